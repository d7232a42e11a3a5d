#pragma once
// Records of a Parquet file: one row, one record, from one text column. In a build without Arrow
// C++ opening is refused with a message that says how to get it (no_parquet_records.cc).
//
// Local. A reader belongs to one thread; chunks may be parsed in any thread and outlive it. Memory:
// one batch of rows of that column, some MiB of text, and one page of the file.
// Errors: std::invalid_argument with file, row group, column, expected and found: a file that is
// cut off or not Parquet, a column that is missing or holds no text, a page that does not decode or
// whose checksum differs. std::system_error when the machine fails.
#include <filesystem>
#include <memory>

#include "data/shards/record_reader.h"

namespace phalanx {

/// The column `format.text_field` must hold strings, however they are encoded. A record's line is
/// its row, from 1; a null is a record with a problem.
[[nodiscard]] std::unique_ptr<RecordReader> open_parquet_records(const std::filesystem::path& file,
                                                                 const RecordFormat& format);

}  // namespace phalanx
