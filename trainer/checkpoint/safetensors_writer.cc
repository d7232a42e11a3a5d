#include "trainer/checkpoint/safetensors_writer.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <utility>

#include "data/json_writer.h"

namespace phalanx {
namespace {

constexpr size_t kHeaderAlignment = 8;
constexpr size_t kLengthBytes = 8;

std::vector<StoredTensor> sorted(std::vector<StoredTensor> tensors) {
  std::sort(tensors.begin(), tensors.end(), [](const StoredTensor& a, const StoredTensor& b) {
    return a.dtype != b.dtype ? a.dtype > b.dtype : a.name < b.name;
  });
  return tensors;
}

void place(std::vector<StoredTensor>& tensors) {
  int64_t offset = 0;
  for (StoredTensor& tensor : tensors) {
    tensor.begin = offset;
    offset += stored_bytes(tensor.dtype, tensor.shape, tensor.name);
    tensor.end = offset;
  }
}

void write_tensor(JsonWriter& header, const StoredTensor& tensor) {
  header.begin_object();
  header.member("dtype", dtype_name(tensor.dtype));
  header.key("shape");
  header.begin_list();
  for (const int64_t size : tensor.shape) header.value(size);
  header.end_list();
  header.key("data_offsets");
  header.begin_list();
  header.value(tensor.begin);
  header.value(tensor.end);
  header.end_list();
  header.end_object();
}

std::string header_text(const std::vector<StoredTensor>& tensors,
                        const std::map<std::string, std::string>& metadata) {
  JsonWriter header;
  header.begin_object();
  if (!metadata.empty()) {
    header.key("__metadata__");
    header.begin_object();
    for (const auto& [key, value] : metadata) header.member(key, value);
    header.end_object();
  }
  for (const StoredTensor& tensor : tensors) {
    header.key(tensor.name);
    write_tensor(header, tensor);
  }
  header.end_object();
  std::string text = header.text();
  text.resize((text.size() + kHeaderAlignment - 1) / kHeaderAlignment * kHeaderAlignment, ' ');
  return text;
}

}  // namespace

SafetensorsLayout lay_out(std::vector<StoredTensor> tensors,
                          const std::map<std::string, std::string>& metadata) {
  SafetensorsLayout layout{{}, sorted(std::move(tensors))};
  place(layout.tensors);
  const std::string header = header_text(layout.tensors, metadata);
  for (size_t i = 0; i < kLengthBytes; ++i) {
    layout.head += static_cast<char>(static_cast<uint64_t>(header.size()) >> (8 * i));
  }
  layout.head += header;
  return layout;
}

SafetensorsWriter::SafetensorsWriter(const std::filesystem::path& path,
                                     std::vector<StoredTensor> tensors,
                                     const std::map<std::string, std::string>& metadata)
    : layout_(lay_out(std::move(tensors), metadata)), file_(path) {
  if (!layout_.tensors.empty()) bytes_left_ = layout_.tensors.back().end;
  file_.write(std::as_bytes(std::span(layout_.head)));
}

void SafetensorsWriter::write(std::span<const std::byte> bytes) {
  bytes_left_ -= static_cast<int64_t>(bytes.size());
  file_.write(bytes);
}

WrittenFile SafetensorsWriter::finish() {
  if (bytes_left_ != 0) {
    throw std::logic_error("safetensors: the bytes written are not those of the tensors declared");
  }
  return file_.finish();
}

}  // namespace phalanx
