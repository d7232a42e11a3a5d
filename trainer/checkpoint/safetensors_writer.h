#pragma once
// Writes one safetensors file in order, without ever holding it. Its bytes equal those of the
// reference writer: tensors sorted by dtype (wide first), then name; header padded with blanks to a
// multiple of 8.
//
// Local; one owner. The file is whole and on the disk once finish() returns, and removed when the
// object ends without. Errors: std::system_error with the path.
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "data/file.h"
#include "trainer/checkpoint/safetensors.h"

namespace phalanx {

/// A tensor to come: `begin` and `end` are not read.
class SafetensorsWriter {
 public:
  SafetensorsWriter(const std::filesystem::path& path, std::vector<StoredTensor> tensors,
                    const std::map<std::string, std::string>& metadata = {});

  /// The order in which the bytes of the tensors must be written.
  const std::vector<StoredTensor>& tensors() const { return tensors_; }
  void write(std::span<const std::byte> bytes);
  /// Precondition: all bytes of all tensors were written.
  WrittenFile finish();

 private:
  std::vector<StoredTensor> tensors_;
  DurableWriter file_;
  int64_t bytes_left_ = 0;
};

}  // namespace phalanx
