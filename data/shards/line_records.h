#pragma once
// JSON lines as records: each line an object whose field of a given name holds the text.
// See record_reader.h for threads, memory and errors.
//
// Every line is checked in full (valid JSON, valid UTF-8, nothing after the object); one that is
// not an object with exactly one such string, or is longer than the format allows, is a Record with
// a problem. A last line needs no newline. Blank lines are bad lines too, but for those at the end
// of the file, which are none. A byte order mark at the beginning is passed over.
#include <memory>

#include "data/shards/record_reader.h"

namespace phalanx {

[[nodiscard]] std::unique_ptr<RecordReader> open_line_records(const std::filesystem::path& file,
                                                              const RecordFormat& format);

}  // namespace phalanx
