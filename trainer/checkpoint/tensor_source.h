#pragma once
// A model's tensors by their logical names, wherever they are stored: a checkpoint written by any
// number of ranks, a Hugging Face folder. What fills a rank's shares knows nothing else.
//
// Local; one owner, not for several threads at a time. Units are elements.
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace phalanx {

class TensorSource {
 public:
  virtual ~TensorSource() = default;

  /// For messages: "checkpoint runs/a/checkpoints/step-000100".
  virtual std::string description() const = 0;
  /// The full shape of every tensor.
  virtual const std::map<std::string, std::vector<int64_t>>& shapes() const = 0;
  /// values = elements [begin, begin + values.size()) of the full row-major tensor, as fp32.
  virtual void read(const std::string& tensor, int64_t begin, std::span<float> values) = 0;
};

}  // namespace phalanx
