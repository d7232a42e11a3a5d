#pragma once
// Token ids held against a vocabulary before a model sees them. Local, pure.
#include <cstdint>
#include <span>

#include "data/shards/dataset_reader.h"

namespace phalanx {

/// Throws std::invalid_argument with shard file, position, id and size of the vocabulary if one of
/// `tokens`, which were read at `begin`, is none of [0, vocab_size), at most 2^31 of them.
void check_ids(const DatasetReader& reader, const TokenPlace& begin,
               std::span<const int32_t> tokens, int64_t vocab_size);

}  // namespace phalanx
