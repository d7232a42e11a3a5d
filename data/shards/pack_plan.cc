#include "data/shards/pack_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "data/block_hash.h"

namespace phalanx {
namespace {

// Any constant would do; it must never change, or documents would move between the parts.
constexpr uint64_t kContentSeed = 0x7068616c616e7831;

uint64_t order_key(uint64_t seed, uint64_t ordinal) {
  return xxh3(std::as_bytes(std::span(&ordinal, 1)), seed);
}

void shuffle(std::vector<PlannedDocument>& documents, uint64_t seed) {
  std::sort(documents.begin(), documents.end(),
            [seed](const PlannedDocument& a, const PlannedDocument& b) {
              const uint64_t key_a = order_key(seed, a.ordinal);
              const uint64_t key_b = order_key(seed, b.ordinal);
              return std::pair(key_a, a.ordinal) < std::pair(key_b, b.ordinal);
            });
}

}  // namespace

uint64_t document_content_hash(std::string_view text) { return xxh3(text, kContentSeed); }

PackPlan plan_packing(std::vector<PlannedDocument> documents, uint64_t seed,
                      int64_t validation_per_mille) {
  if (documents.empty()) {
    throw std::invalid_argument("input: expected at least one document with text, found none");
  }
  const auto threshold = static_cast<uint64_t>(validation_per_mille);
  uint64_t smallest = UINT64_MAX;
  bool any_below = false;
  for (const PlannedDocument& document : documents) {
    smallest = std::min(smallest, document.content_hash);
    any_below |= document.content_hash % 1000 < threshold;
  }
  PackPlan plan;
  for (PlannedDocument& document : documents) {
    const bool held_out = any_below ? document.content_hash % 1000 < threshold
                                    : threshold > 0 && document.content_hash == smallest;
    (held_out ? plan.validation : plan.train).push_back(std::move(document));
  }
  if (plan.train.empty()) {
    throw std::invalid_argument(fmt::format(
        "input: expected different documents for training and validation, found {} that all fall "
        "to validation at fraction {:.3f}",
        plan.validation.size(), static_cast<double>(validation_per_mille) / 1000));
  }
  shuffle(plan.train, seed);
  shuffle(plan.validation, seed);
  return plan;
}

}  // namespace phalanx
