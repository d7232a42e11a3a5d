#include "trainer/metrics/event_file.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <chrono>
#include <span>

#include "parallel/host_name.h"

namespace phalanx {
namespace {

// Fields of the messages that are written: numbers of event.proto, summary.proto, tensor.proto.
constexpr int kEventTime = 1, kEventStep = 2, kEventVersion = 3, kEventSummary = 5,
              kEventSession = 7;
constexpr int kSessionStatus = 1;
constexpr uint64_t kSessionStart = 1;
constexpr int kSummaryValue = 1;
constexpr int kValueTag = 1, kValueSimple = 2, kValueTensor = 8, kValueMetadata = 9;
constexpr int kMetadataPlugin = 1, kPluginName = 1;
constexpr int kTensorType = 1, kTensorShape = 2, kTensorStrings = 8;
constexpr int kShapeDim = 2, kDimSize = 1;
constexpr uint64_t kStringType = 7;

constexpr std::array<uint32_t, 256> make_crc_table() {
  constexpr uint32_t kPolynomial = 0x82f63b78;  // of CRC-32C, bits reversed
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < table.size(); ++i) {
    uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 1) != 0 ? crc >> 1 ^ kPolynomial : crc >> 1;
    table[i] = crc;
  }
  return table;
}

/// Little-endian, whatever the machine is.
template <class Word>
void put_word(std::string& out, Word word) {
  for (size_t i = 0; i < sizeof word; ++i) out += static_cast<char>(word >> (8 * i) & 0xff);
}

/// A message of protocol buffers (encoding: base-128 varints, wire types 0, 1, 2 and 5).
class Message {
 public:
  Message& varint(int field, uint64_t value) { return key(field, 0).raw_varint(value); }
  Message& real64(int field, double value) {
    key(field, 1);
    put_word(bytes_, std::bit_cast<uint64_t>(value));
    return *this;
  }
  Message& real32(int field, double value) {
    key(field, 5);
    put_word(bytes_, std::bit_cast<uint32_t>(static_cast<float>(value)));
    return *this;
  }
  Message& bytes(int field, std::string_view value) {
    key(field, 2).raw_varint(value.size());
    bytes_ += value;
    return *this;
  }
  Message& message(int field, const Message& value) { return bytes(field, value.bytes_); }
  const std::string& text() const { return bytes_; }

 private:
  Message& key(int field, int wire_type) {
    return raw_varint(static_cast<uint64_t>(field) << 3 | static_cast<uint64_t>(wire_type));
  }
  Message& raw_varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_ += static_cast<char>(value | 0x80);
    bytes_ += static_cast<char>(value);
    return *this;
  }

  std::string bytes_;
};

/// So that a checksum of data that holds checksums stays one (record_writer.h).
uint32_t masked(uint32_t crc) { return (crc >> 15 | crc << 17) + 0xa282ead8U; }

void write_record(File& file, const Message& event) {
  std::string record;
  put_word(record, uint64_t{event.text().size()});
  put_word(record, masked(crc32c(record)));
  record += event.text();
  put_word(record, masked(crc32c(event.text())));
  file.write_all(std::as_bytes(std::span(record)));
}

Message event_at(int64_t step, double unix_seconds) {
  Message event;
  event.real64(kEventTime, unix_seconds).varint(kEventStep, static_cast<uint64_t>(step));
  return event;
}

double now() {
  const auto since = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration<double>(since).count();
}

std::string file_name(int64_t attempt) {
  return fmt::format("events.out.tfevents.{:010}.{}.{}.{:05}", static_cast<int64_t>(now()),
                     host_name(), getpid(), attempt);
}

}  // namespace

uint32_t crc32c(std::string_view bytes) {
  static constexpr std::array<uint32_t, 256> kTable = make_crc_table();
  uint32_t crc = ~0U;
  for (const char byte : bytes) crc = crc >> 8 ^ kTable[(crc ^ static_cast<uint8_t>(byte)) & 0xff];
  return ~crc;
}

EventFile::EventFile(const std::filesystem::path& folder, int64_t attempt)
    : file_(File::create(folder / file_name(attempt))) {
  Message event;
  event.real64(kEventTime, now()).bytes(kEventVersion, "brain.Event:2");
  write_record(file_, event);
}

void EventFile::begin_session(int64_t first_step) {
  Message session;
  session.varint(kSessionStatus, kSessionStart);
  write_record(file_, event_at(first_step, now()).message(kEventSession, session));
}

void EventFile::write_scalars(int64_t step, double unix_seconds,
                              const std::vector<TaggedValue>& values) {
  Message summary;
  for (const TaggedValue& one : values) {
    Message value;
    value.bytes(kValueTag, one.tag).real32(kValueSimple, one.value);
    summary.message(kSummaryValue, value);
  }
  write_record(file_, event_at(step, unix_seconds).message(kEventSummary, summary));
}

void EventFile::write_text(int64_t step, double unix_seconds, std::string_view tag,
                           std::string_view text) {
  Message plugin, metadata, dim, shape, tensor, value, summary;
  plugin.bytes(kPluginName, "text");
  metadata.message(kMetadataPlugin, plugin);
  dim.varint(kDimSize, 1);
  shape.message(kShapeDim, dim);
  tensor.varint(kTensorType, kStringType).message(kTensorShape, shape);
  tensor.bytes(kTensorStrings, text);
  value.bytes(kValueTag, tag).message(kValueTensor, tensor).message(kValueMetadata, metadata);
  summary.message(kSummaryValue, value);
  write_record(file_, event_at(step, unix_seconds).message(kEventSummary, summary));
}

}  // namespace phalanx
