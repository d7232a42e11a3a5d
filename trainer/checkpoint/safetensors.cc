#include "trainer/checkpoint/safetensors.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>
#include <tuple>
#include <utility>

namespace phalanx {
namespace {

constexpr int64_t kMaxHeaderBytes = 100'000'000;
constexpr int64_t kLengthBytes = 8;

constexpr size_t kMaxDims = 64;  // as many as LibTorch's operations take
constexpr size_t kShownBytes = 200;

struct DtypeRow {
  std::string_view name;
  int64_t bits;
};
constexpr std::array<DtypeRow, 22> kDtypes{
    {{"BOOL", 8},        {"F4", 4},      {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"U8", 8},
     {"I8", 8},          {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8},
     {"F8_E5M2FNUZ", 8}, {"I16", 16},    {"U16", 16},    {"F16", 16},    {"BF16", 16},
     {"I32", 32},        {"U32", 32},    {"F32", 32},    {"C64", 64},    {"F64", 64},
     {"I64", 64},        {"U64", 64}}};

int64_t dtype_bits(Dtype dtype) { return kDtypes[static_cast<size_t>(dtype)].bits; }

/// Text of a file in a message: on one line, and no longer than a person would read.
std::string shown(const std::string& text) {
  const bool plain =
      std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
  using Json = nlohmann::json;
  std::string line = plain ? text : Json(text).dump(-1, ' ', true, Json::error_handler_t::replace);
  if (line.size() > kShownBytes) line = line.substr(0, kShownBytes) + "...";
  return line;
}

// nlohmann's DOM keeps the last of two equal keys, so the events are read instead.
class HeaderEvents : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit HeaderEvents(SafetensorsHeader& header) : header_(header) {}
  const std::string& error() const { return error_; }

  bool null() override { return unexpected("null"); }
  bool boolean(bool) override { return unexpected("a boolean"); }
  bool number_integer(number_integer_t value) override {
    return not_a_count(std::to_string(value));
  }
  bool number_float(number_float_t, const string_t& value) override { return not_a_count(value); }
  bool binary(binary_t&) override { return unexpected("binary data"); }

  bool number_unsigned(number_unsigned_t value) override {
    if (!in_array_ || value > uint64_t{INT64_MAX}) return not_a_count(std::to_string(value));
    const size_t limit = field_ == "shape" ? kMaxDims : 2;
    if (numbers().size() == limit) {
      return fail(fmt::format("{}: {}: expected at most {} numbers", place(), field_, limit));
    }
    numbers().push_back(static_cast<int64_t>(value));
    return true;
  }

  bool string(string_t& value) override {
    if (depth_ != 2 || in_array_) return unexpected("a string");
    if (in_metadata()) {
      metadata_->second = std::move(value);
      return true;
    }
    if (field_ != "dtype") return unexpected("a string");
    const std::optional<Dtype> dtype = find_dtype(value);
    if (!dtype) return fail(fmt::format("{}: unknown dtype {}", place(), shown(value)));
    dtype_ = *dtype;
    return true;
  }

  bool start_object(size_t) override {
    if (depth_ == 2 || in_array_) return unexpected("an object");
    ++depth_;
    return true;
  }

  bool key(string_t& value) override { return depth_ == 1 ? begin_entry(value) : field(value); }

  bool end_object() override {
    --depth_;
    if (depth_ != 1 || in_metadata()) return true;
    if (fields_.size() != 3 || offsets_.size() != 2) {
      return fail(fmt::format("{}: expected a dtype, a shape and two data_offsets", place()));
    }
    header_.tensors.push_back({name_, dtype_, shape_, offsets_[0], offsets_[1]});
    return true;
  }

  bool start_array(size_t) override {
    const bool allowed = depth_ == 2 && !in_array_ && !in_metadata() &&
                         (field_ == "shape" || field_ == "data_offsets");
    if (!allowed) return unexpected("an array");
    in_array_ = true;
    return true;
  }
  bool end_array() override {
    in_array_ = false;
    return true;
  }

  bool parse_error(size_t position, const std::string&,
                   const nlohmann::detail::exception& error) override {
    return fail(fmt::format("byte {}: {}", position, shown(error.what())));
  }

 private:
  bool in_metadata() const { return name_ == "__metadata__"; }
  std::string place() const { return in_metadata() ? name_ : "tensor " + shown(name_); }
  std::vector<int64_t>& numbers() { return field_ == "shape" ? shape_ : offsets_; }

  bool begin_entry(const string_t& name) {
    name_ = name;
    if (!names_.insert(name).second) return fail(place() + " occurs twice");
    field_.clear();
    fields_.clear();
    shape_.clear();
    offsets_.clear();
    return true;
  }
  bool field(const string_t& name) {
    field_ = name;
    bool is_new = false;
    if (in_metadata()) {
      std::tie(metadata_, is_new) = header_.metadata.try_emplace(name);
    } else if (name != "dtype" && name != "shape" && name != "data_offsets") {
      return fail(fmt::format("{}: unknown key {}", place(), shown(name)));
    } else {
      is_new = fields_.insert(name).second;
    }
    return is_new || fail(fmt::format("{}: key {} occurs twice", place(), shown(name)));
  }

  bool fail(std::string message) {
    if (error_.empty()) error_ = std::move(message);
    return false;
  }
  bool unexpected(const std::string& what) {
    if (name_.empty()) return fail("unexpected " + what);
    const std::string key = field_.empty() ? "" : shown(field_) + ": ";
    return fail(fmt::format("{}: {}unexpected {}", place(), key, what));
  }
  bool not_a_count(const std::string& found) {
    if (!in_array_) return unexpected("number " + shown(found));
    return fail(fmt::format("{}: {}: expected whole numbers from 0 to {}, found {}", place(),
                            field_, INT64_MAX, shown(found)));
  }

  SafetensorsHeader& header_;
  std::string error_, name_, field_;
  std::set<std::string> names_, fields_;
  std::map<std::string, std::string>::iterator metadata_;  // the entry whose value comes next
  std::vector<int64_t> shape_, offsets_;
  Dtype dtype_ = Dtype::kF32;
  int depth_ = 0;
  bool in_array_ = false;
};

// No holes, no overlap, no trailing bytes: every byte of the file has one meaning.
void check_layout(SafetensorsHeader& header, int64_t data_bytes, const std::string& where) {
  std::sort(header.tensors.begin(), header.tensors.end(),
            [](const StoredTensor& a, const StoredTensor& b) {
              return std::tie(a.begin, a.end) < std::tie(b.begin, b.end);
            });
  int64_t expected_begin = 0;
  for (const StoredTensor& tensor : header.tensors) {
    const std::string place = fmt::format("{}: tensor {}", where, shown(tensor.name));
    if (tensor.begin != expected_begin || tensor.end < tensor.begin) {
      throw std::invalid_argument(
          fmt::format("{}: expected its data to begin at {}, found [{}, {})", place, expected_begin,
                      tensor.begin, tensor.end));
    }
    const int64_t bytes = stored_bytes(tensor.dtype, tensor.shape, place);
    if (bytes != tensor.end - tensor.begin) {
      throw std::invalid_argument(fmt::format(
          "{}: expected {} bytes for {} [{}], found {}", place, bytes, dtype_name(tensor.dtype),
          fmt::join(tensor.shape, ", "), tensor.end - tensor.begin));
    }
    expected_begin = tensor.end;
  }
  if (expected_begin != data_bytes) {
    throw std::invalid_argument(
        fmt::format("{}: expected {} bytes of data, found {}", where, expected_begin, data_bytes));
  }
}

}  // namespace

int64_t dtype_bytes(Dtype dtype) {
  if (dtype_bits(dtype) % 8 != 0) throw std::logic_error("dtype_bytes: a part of a byte");
  return dtype_bits(dtype) / 8;
}
std::string_view dtype_name(Dtype dtype) { return kDtypes[static_cast<size_t>(dtype)].name; }

std::optional<Dtype> find_dtype(std::string_view name) {
  const auto row = std::find_if(kDtypes.begin(), kDtypes.end(),
                                [&](const DtypeRow& dtype) { return dtype.name == name; });
  if (row == kDtypes.end()) return std::nullopt;
  return static_cast<Dtype>(row - kDtypes.begin());
}

const StoredTensor* SafetensorsHeader::find(std::string_view name) const {
  const auto found = std::find_if(tensors.begin(), tensors.end(),
                                  [&](const StoredTensor& tensor) { return tensor.name == name; });
  return found == tensors.end() ? nullptr : &*found;
}

int64_t checked_numel(const std::vector<int64_t>& shape, const std::string& where) {
  const bool negative = std::any_of(shape.begin(), shape.end(), [](int64_t n) { return n < 0; });
  int64_t product = 1;
  bool overflow = false;
  for (const int64_t size : shape) overflow |= __builtin_mul_overflow(product, size, &product);
  if (negative || overflow) {
    throw std::invalid_argument(
        fmt::format("{}: the shape [{}] is impossible", where, fmt::join(shape, ", ")));
  }
  return product;
}

int64_t stored_bytes(Dtype dtype, const std::vector<int64_t>& shape, const std::string& where) {
  int64_t bits = 0;
  if (__builtin_mul_overflow(checked_numel(shape, where), dtype_bits(dtype), &bits) ||
      bits % 8 != 0) {
    throw std::invalid_argument(fmt::format("{}: expected {} [{}] to fill a number of whole bytes",
                                            where, dtype_name(dtype), fmt::join(shape, ", ")));
  }
  return bits / 8;
}

SafetensorsHeader read_safetensors_header(const std::string& path, int64_t file_bytes,
                                          const ReadBytes& read) {
  const std::string where = path + ": safetensors header";
  if (file_bytes < kLengthBytes) {
    throw std::invalid_argument(fmt::format("{}: expected at least {} bytes in the file, found {}",
                                            where, kLengthBytes, file_bytes));
  }
  std::array<std::byte, kLengthBytes> length_bytes;
  read(0, length_bytes);
  uint64_t length = 0;
  for (size_t i = 0; i < length_bytes.size(); ++i) {
    length |= std::to_integer<uint64_t>(length_bytes[i]) << (8 * i);
  }
  const int64_t limit = std::min(kMaxHeaderBytes, file_bytes - kLengthBytes);
  if (length > static_cast<uint64_t>(limit)) {
    throw std::invalid_argument(
        fmt::format("{}: expected a length of at most {}, found {}", where, limit, length));
  }
  std::string text(length, '\0');
  read(kLengthBytes, std::as_writable_bytes(std::span(text)));
  if (text.empty() || text.front() != '{') {
    throw std::invalid_argument(where + ": expected '{' as its first byte");
  }
  // No JSON holds this byte, but the parser takes it for the end of the text.
  if (const size_t at = text.find('\0'); at != std::string::npos) {
    throw std::invalid_argument(fmt::format("{}: byte {}: expected JSON, found a zero", where, at));
  }
  SafetensorsHeader header;
  HeaderEvents events(header);
  if (!nlohmann::json::sax_parse(text, &events)) {
    throw std::invalid_argument(fmt::format("{}: {}", where, events.error()));
  }
  const int64_t data_begin = kLengthBytes + static_cast<int64_t>(length);
  check_layout(header, file_bytes - data_begin, where);
  for (StoredTensor& tensor : header.tensors) {
    tensor.begin += data_begin;
    tensor.end += data_begin;
  }
  return header;
}

}  // namespace phalanx
