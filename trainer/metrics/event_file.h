#pragma once
// TensorBoard's event files, written by hand: scalars and texts by tag and step. Local; one owner.
// Each call is one write, so that a reader sees whole steps as they come; a process that is killed
// may leave a torn record, which readers take for the end of the file.
// Errors: std::system_error naming the file.
//
// Source: TensorFlow's record_writer.h (a record is its length, 8 bytes, a masked CRC-32C of that,
// 4 bytes, the data, a masked CRC-32C of it; little-endian) and event.proto, summary.proto and
// tensor.proto, of whose fields those here are used.
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "data/file.h"

namespace phalanx {

struct TaggedValue {
  std::string tag;  // `train/loss`: what stands before the slash is a group
  double value = 0.0;
};

class EventFile {
 public:
  /// Makes FOLDER/events.out.tfevents.SECONDS.HOST.PID.ATTEMPT, by whose name readers order files.
  EventFile(const std::filesystem::path& folder, int64_t attempt);

  const std::filesystem::path& path() const { return file_.path(); }
  /// The session starts: readers drop what earlier files have of `first_step` and later steps.
  void begin_session(int64_t first_step);
  /// Values are kept in single precision, as readers do.
  void write_scalars(int64_t step, double unix_seconds, const std::vector<TaggedValue>& values);
  /// Shown as Markdown.
  void write_text(int64_t step, double unix_seconds, std::string_view tag, std::string_view text);

 private:
  File file_;
};

/// CRC-32C (Castagnoli): `123456789` has 0xe3069283.
[[nodiscard]] uint32_t crc32c(std::string_view bytes);

}  // namespace phalanx
