#include "trainer/checkpoint/safetensors_writer.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <utility>

namespace phalanx {
namespace {

constexpr size_t kHeaderAlignment = 8;

std::vector<StoredTensor> sorted(std::vector<StoredTensor> tensors) {
  std::sort(tensors.begin(), tensors.end(), [](const StoredTensor& a, const StoredTensor& b) {
    return a.dtype != b.dtype ? a.dtype > b.dtype : a.name < b.name;
  });
  return tensors;
}

// Sets begin and end, from the start of the data, and returns the bytes of all.
int64_t place(std::vector<StoredTensor>& tensors) {
  int64_t offset = 0;
  for (StoredTensor& tensor : tensors) {
    tensor.begin = offset;
    offset += stored_bytes(tensor.dtype, tensor.shape, tensor.name);
    tensor.end = offset;
  }
  return offset;
}

std::string header_text(const std::vector<StoredTensor>& tensors,
                        const std::map<std::string, std::string>& metadata) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  for (const StoredTensor& tensor : tensors) {
    nlohmann::ordered_json& entry = header[tensor.name];
    entry["dtype"] = dtype_name(tensor.dtype);
    entry["shape"] = tensor.shape;
    entry["data_offsets"] = {tensor.begin, tensor.end};
  }
  std::string text = header.dump();
  text.resize((text.size() + kHeaderAlignment - 1) / kHeaderAlignment * kHeaderAlignment, ' ');
  return text;
}

}  // namespace

SafetensorsWriter::SafetensorsWriter(const std::filesystem::path& path,
                                     std::vector<StoredTensor> tensors,
                                     const std::map<std::string, std::string>& metadata)
    : tensors_(sorted(std::move(tensors))), file_(path) {
  bytes_left_ = place(tensors_);
  const std::string header = header_text(tensors_, metadata);
  std::array<std::byte, 8> length;
  for (size_t i = 0; i < length.size(); ++i) {
    length[i] = static_cast<std::byte>(static_cast<uint64_t>(header.size()) >> (8 * i));
  }
  file_.write(length);
  file_.write(std::as_bytes(std::span(header)));
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
