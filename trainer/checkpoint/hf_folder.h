#pragma once
// The weights of a Hugging Face folder (one model.safetensors, or several with an index) as logical
// tensors: the rows of fused tensors are taken apart. Sources in fp32, bf16 or fp16 become fp32
// masters exactly; a value that is not finite is an error as soon as it is read.
//
// Local; one owner; every rank opens its own and reads only the elements it holds.
// Errors: std::invalid_argument naming the file, tensor or key, expected and found;
// std::system_error when a file cannot be read.
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "data/file.h"
#include "model/hf_layout.h"
#include "model/phi4_config.h"
#include "parallel/parameters.h"
#include "trainer/adamw.h"
#include "trainer/checkpoint/safetensors.h"
#include "trainer/checkpoint/tensor_source.h"

namespace phalanx {

class HfFolder final : public TensorSource {
 public:
  /// Checks that the folder holds exactly the tensors of such a model.
  HfFolder(const std::filesystem::path& folder, const Phi4Config& model);

  std::string description() const override { return "Hugging Face folder " + folder_.string(); }
  const std::map<std::string, std::vector<int64_t>>& shapes() const override { return shapes_; }
  void read(const std::string& tensor, int64_t begin, std::span<float> values) override;
  /// Of the logical tensor, as the file stores it.
  [[nodiscard]] Dtype stored_dtype(const std::string& tensor) const;

 private:
  struct Place {
    const File* file = nullptr;
    std::string stored_name;  // of the tensor in the file that this one is a part of
    Dtype dtype = Dtype::kF32;
    int64_t begin = 0;          // byte of the first element
    int64_t first_element = 0;  // its number in the stored tensor
  };

  void add_file(const std::string& name);
  void check_index(const std::map<std::string, std::string>& files_by_tensor) const;
  void add_tensor(const HfTensor& tensor);
  void check_tied_head(const File& file, const StoredTensor& head) const;

  std::filesystem::path folder_;
  std::map<std::string, File> files_;
  std::map<std::string, std::pair<const File*, StoredTensor>> stored_;  // by HF name
  std::map<std::string, Place> places_;                                 // by logical name
  std::map<std::string, std::vector<int64_t>> shapes_;
};

/// Fills the masters of this rank's shares from the folder; moments are left alone. The caller
/// rounds the masters into the weights (AdamW::write_weights and gather_weights). Returns the
/// folder's rope_theta, which belongs to a training stage and not to the weights.
double load_hf_weights(const std::filesystem::path& folder, const Phi4Config& model,
                       const ParameterSet& parameters, std::vector<BucketShare>& shares);

}  // namespace phalanx
