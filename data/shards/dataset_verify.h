#pragma once
// Reads a whole data set and compares it with what was recorded when it was packed.
// Local; memory is one block of 16 MiB. Const access to the reader.
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "data/shards/dataset_reader.h"

namespace phalanx {

/// One message for each thing that is wrong, in the order of the shards; none when all is well. For
/// each shard: header and sizes, every entry of the index, the hashes of all files, the largest
/// token id, and the bins: hash, every entry, and that they hold each target once; then the list of
/// input files. The .bin is held against its sidecar of hashes as well: a damaged .bin is reported
/// with its first damaged block, a damaged sidecar with its line. `progress` gets the bytes read so
/// far. System errors are thrown.
[[nodiscard]] std::vector<std::string> verify_dataset(
    const DatasetReader& reader, const std::function<void(int64_t bytes)>& progress);

}  // namespace phalanx
