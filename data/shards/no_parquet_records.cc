// Stands in for parquet_records.cc in a build without Arrow C++.
#include <fmt/format.h>

#include <stdexcept>

#include "data/shards/parquet_records.h"

namespace phalanx {

std::unique_ptr<RecordReader> open_parquet_records(const std::filesystem::path& file,
                                                   const RecordFormat& /*format*/) {
  throw std::invalid_argument(
      fmt::format("{}: expected a build with Arrow C++ to read Parquet, found one without: run "
                  "./launch/setup.sh, which installs pyarrow, and configure and build again",
                  file.string()));
}

}  // namespace phalanx
