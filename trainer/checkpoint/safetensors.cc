#include "trainer/checkpoint/safetensors.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>
#include <tuple>
#include <utility>

namespace phalanx {
namespace {

constexpr int64_t kMaxHeaderBytes = 100'000'000;
constexpr int64_t kLengthBytes = 8;

struct DtypeRow {
  std::string_view name;
  int64_t bytes;
};
constexpr std::array<DtypeRow, 15> kDtypes{{{"BOOL", 1},
                                            {"U8", 1},
                                            {"I8", 1},
                                            {"F8_E5M2", 1},
                                            {"F8_E4M3", 1},
                                            {"I16", 2},
                                            {"U16", 2},
                                            {"F16", 2},
                                            {"BF16", 2},
                                            {"I32", 4},
                                            {"U32", 4},
                                            {"F32", 4},
                                            {"F64", 8},
                                            {"I64", 8},
                                            {"U64", 8}}};

// nlohmann's DOM keeps the last of two equal keys, so the events are read instead.
class HeaderEvents : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit HeaderEvents(SafetensorsHeader& header) : header_(header) {}
  const std::string& error() const { return error_; }

  bool null() override { return unexpected("null"); }
  bool boolean(bool) override { return unexpected("a boolean"); }
  bool number_integer(number_integer_t) override { return unexpected("a negative number"); }
  bool number_float(number_float_t, const string_t&) override {
    return unexpected("a fractional number");
  }
  bool binary(binary_t&) override { return unexpected("binary data"); }

  bool number_unsigned(number_unsigned_t value) override {
    if (!in_array_) return unexpected("a number");
    if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
      return fail(fmt::format("tensor {}: {}: {} is too large", name_, field_, value));
    }
    numbers().push_back(static_cast<int64_t>(value));
    return true;
  }

  bool string(string_t& value) override {
    if (depth_ != 2 || in_array_) return unexpected("a string");
    if (in_metadata()) {
      header_.metadata[field_] = value;
      return true;
    }
    if (field_ != "dtype") return unexpected("a string");
    const std::optional<Dtype> dtype = find_dtype(value);
    if (!dtype) return fail(fmt::format("tensor {}: unknown dtype {}", name_, value));
    dtype_ = *dtype;
    return true;
  }

  bool start_object(size_t) override {
    if (depth_ == 2 || in_array_) return unexpected("an object");
    ++depth_;
    return true;
  }

  bool key(string_t& value) override {
    if (depth_ == 1) {
      if (!names_.insert(value).second) return fail(fmt::format("tensor {} occurs twice", value));
      name_ = value;
      fields_.clear();
      shape_.clear();
      offsets_.clear();
      return true;
    }
    if (!fields_.insert(value).second) {
      return fail(fmt::format("tensor {}: key {} occurs twice", name_, value));
    }
    field_ = value;
    return in_metadata() || field_ == "dtype" || field_ == "shape" || field_ == "data_offsets" ||
           fail(fmt::format("tensor {}: unknown key {}", name_, field_));
  }

  bool end_object() override {
    --depth_;
    if (depth_ != 1 || in_metadata()) return true;
    if (fields_.size() != 3 || offsets_.size() != 2) {
      return fail(fmt::format("tensor {}: expected a dtype, a shape and two data_offsets", name_));
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
    return fail(fmt::format("byte {}: {}", position, error.what()));
  }

 private:
  bool in_metadata() const { return name_ == "__metadata__"; }
  std::vector<int64_t>& numbers() { return field_ == "shape" ? shape_ : offsets_; }
  bool fail(std::string message) {
    if (error_.empty()) error_ = std::move(message);
    return false;
  }
  bool unexpected(const char* what) {
    return fail(name_.empty() ? fmt::format("unexpected {}", what)
                              : fmt::format("tensor {}: {}: unexpected {}", name_, field_, what));
  }

  SafetensorsHeader& header_;
  std::string error_, name_, field_;
  std::set<std::string> names_, fields_;
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
    const std::string place = fmt::format("{}: tensor {}", where, tensor.name);
    if (tensor.begin != expected_begin || tensor.end < tensor.begin) {
      throw std::invalid_argument(
          fmt::format("{}: expected its data to begin at {}, found [{}, {})", place, expected_begin,
                      tensor.begin, tensor.end));
    }
    std::vector<int64_t> sizes = tensor.shape;
    sizes.push_back(dtype_bytes(tensor.dtype));
    const int64_t bytes = checked_numel(sizes, place);
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

int64_t dtype_bytes(Dtype dtype) { return kDtypes[static_cast<size_t>(dtype)].bytes; }
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
