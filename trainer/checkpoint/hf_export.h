#pragma once
// Writes a Hugging Face folder (architecture Phi3ForCausalLM) from logical tensors: config.json,
// safetensors files that transformers loads, and the files carried beside them.
//
// Local: one rank, reading tensor by tensor and never holding one. The folder appears whole or not
// at all. Errors: std::invalid_argument when the folder is there already, or naming a tensor and
// element whose value the dtype cannot hold; std::system_error when the machine fails.
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

#include "trainer/checkpoint/hf_config.h"
#include "trainer/checkpoint/hf_files.h"
#include "trainer/checkpoint/new_folder.h"
#include "trainer/checkpoint/safetensors.h"
#include "trainer/checkpoint/tensor_source.h"

namespace phalanx {

struct HfExport {
  HfConfig config;
  Dtype dtype = Dtype::kBF16;              // or kF32, kF16; rounded to nearest even
  int64_t max_file_bytes = 5'000'000'000;  // a file is closed before it grows beyond this
  std::map<std::string, Dtype> dtypes{};   // of logical tensors that have another
  HfFiles files{};
  ByteProgress progress{};
};

struct HfExported {
  int64_t tensors = 0;
  int64_t files = 0;  // of tensors
  int64_t bytes = 0;  // of all tensors
};

HfExported export_hf(TensorSource& source, const std::filesystem::path& folder,
                     const HfExport& options);

}  // namespace phalanx
