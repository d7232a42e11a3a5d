#pragma once
// What an input file holds and how it is packed: by its name, or as the user says. Suffixes count
// in any letter case. Local, pure. Errors: std::invalid_argument with the path.
#include <filesystem>
#include <string>
#include <string_view>

namespace phalanx {

enum class FileFormat {
  kAuto,     // by the file's name
  kLines,    // a JSON object a line: .json, .jsonl, .ndjson
  kText,     // the whole file is one document: any other name
  kParquet,  // a document a row: .parquet
};

/// "auto", "jsonl", "text" or "parquet".
[[nodiscard]] FileFormat parse_file_format(std::string_view name);
[[nodiscard]] std::string_view file_format_name(FileFormat format);

enum class Packing { kNone, kGzip, kZstd };

/// .gz is gzip, .zst and .zstd are zstd.
[[nodiscard]] Packing packing_of(const std::filesystem::path& file);

/// `asked`, or what the name says; never kAuto. Throws for a kind that is not read, and for a
/// packed file whose name does not say what is in it.
[[nodiscard]] FileFormat format_of(const std::filesystem::path& file, FileFormat asked);

/// What a text is that begins as packed files do, with what to do about it; empty for others.
[[nodiscard]] std::string packed_content(std::string_view text);

}  // namespace phalanx
