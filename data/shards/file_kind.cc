#include "data/shards/file_kind.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <utility>

namespace phalanx {
namespace {

using namespace std::string_view_literals;

constexpr std::array<std::pair<FileFormat, std::string_view>, 4> kFormatNames = {
    {{FileFormat::kAuto, "auto"},
     {FileFormat::kLines, "jsonl"},
     {FileFormat::kText, "text"},
     {FileFormat::kParquet, "parquet"}}};

// Packed, or tables of other formats: as text they would be noise.
constexpr std::array kUnreadable = {
    ".7z"sv,   ".arrow"sv, ".avro"sv, ".br"sv,   ".bz2"sv, ".feather"sv, ".lz"sv,
    ".lz4"sv,  ".lzma"sv,  ".lzo"sv,  ".orc"sv,  ".rar"sv, ".tar"sv,     ".tbz"sv,
    ".tbz2"sv, ".tgz"sv,   ".txz"sv,  ".tzst"sv, ".xz"sv,  ".z"sv,       ".zip"sv};

struct Signature {
  std::string_view bytes, what;
};
constexpr std::array kSignatures = {
    Signature{"\x1f\x8b"sv, "gzip data, which a name that ends in .gz would say"},
    Signature{"\x28\xb5\x2f\xfd"sv, "zstd data, which a name that ends in .zst would say"},
    Signature{"PAR1"sv, "a Parquet file, which a name that ends in .parquet would say"},
    Signature{"\xfd"
              "7zXZ\0"sv,
              "xz data: unpack it first"},
    Signature{"BZh91AY&SY"sv, "bzip2 data: unpack it first"},
    Signature{"PK\x03\x04"sv, "a zip archive: unpack it first"},
    Signature{"\x04\x22\x4d\x18"sv, "lz4 data: unpack it first"},
    Signature{"7z\xbc\xaf\x27\x1c"sv, "a 7z archive: unpack it first"},
    Signature{"Rar!\x1a\x07"sv, "a rar archive: unpack it first"}};

std::string suffix_of(const std::filesystem::path& name) {
  std::string suffix = name.extension().string();
  for (char& c : suffix) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return suffix;
}

FileFormat format_by_suffix(std::string_view suffix) {
  if (suffix == ".json" || suffix == ".jsonl" || suffix == ".ndjson") return FileFormat::kLines;
  return suffix == ".parquet" ? FileFormat::kParquet : FileFormat::kText;
}

[[noreturn]] void refuse_file(const std::filesystem::path& file, std::string_view expected,
                              std::string_view found) {
  throw std::invalid_argument(
      fmt::format("{}: expected {}, found {}", file.string(), expected, found));
}

}  // namespace

FileFormat parse_file_format(std::string_view name) {
  for (const auto& [format, known] : kFormatNames) {
    if (name == known) return format;
  }
  throw std::invalid_argument(
      fmt::format("format: expected auto, jsonl, text or parquet, found \"{}\"", name));
}

std::string_view file_format_name(FileFormat format) {
  for (const auto& [known, name] : kFormatNames) {
    if (format == known) return name;
  }
  throw std::logic_error("a file format without a name");
}

Packing packing_of(const std::filesystem::path& file) {
  const std::string suffix = suffix_of(file);
  if (suffix == ".gz") return Packing::kGzip;
  return suffix == ".zst" || suffix == ".zstd" ? Packing::kZstd : Packing::kNone;
}

FileFormat format_of(const std::filesystem::path& file, FileFormat asked) {
  const bool packed = packing_of(file) != Packing::kNone;
  const std::string suffix = suffix_of(packed ? file.stem() : file.filename());
  const std::string packing = file.extension().string();
  if (std::find(kUnreadable.begin(), kUnreadable.end(), suffix) != kUnreadable.end()) {
    refuse_file(file, "JSON lines, Parquet or text (the first and the last as .gz or .zst too)",
                suffix + ": unpack or convert it first");
  }
  if (asked == FileFormat::kAuto && packed && suffix.empty()) {
    refuse_file(file,
                fmt::format("a name that says what is packed, such as {}.jsonl{}",
                            file.stem().string(), packing),
                "none: rename it, or say --format jsonl or --format text");
  }
  const FileFormat format = asked == FileFormat::kAuto ? format_by_suffix(suffix) : asked;
  if (packed && format == FileFormat::kParquet) {
    refuse_file(file, "a Parquet file as it is, which is packed inside", packing);
  }
  return format;
}

std::string packed_content(std::string_view text) {
  for (const Signature& signature : kSignatures) {
    if (text.starts_with(signature.bytes)) return std::string(signature.what);
  }
  return "";
}

}  // namespace phalanx
