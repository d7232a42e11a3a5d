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

/// A file to come: its first bytes, and the tensors that follow them, in order.
struct SafetensorsLayout {
  std::string head;                   // length of the header, header
  std::vector<StoredTensor> tensors;  // begin and end count from the start of the data
};

/// `begin` and `end` of the tensors are not read.
[[nodiscard]] SafetensorsLayout lay_out(std::vector<StoredTensor> tensors,
                                        const std::map<std::string, std::string>& metadata = {});

class SafetensorsWriter {
 public:
  /// `begin` and `end` of the tensors are not read.
  SafetensorsWriter(const std::filesystem::path& path, std::vector<StoredTensor> tensors,
                    const std::map<std::string, std::string>& metadata = {});

  /// The order in which the bytes of the tensors must be written.
  const std::vector<StoredTensor>& tensors() const { return layout_.tensors; }
  void write(std::span<const std::byte> bytes);
  /// Precondition: all bytes of all tensors were written.
  WrittenFile finish();

 private:
  SafetensorsLayout layout_;
  DurableWriter file_;
  int64_t bytes_left_ = 0;
};

}  // namespace phalanx
