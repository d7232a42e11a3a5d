#pragma once
// Which shards the next rows of a run lie in: so that sources that fetch their shards have them in
// time, and room for them.
//
// Local; one thread. What is expected follows from the cursor alone, so it is the same on all ranks
// at a step, whatever rows they read themselves: their processes hold the same shards of a host's
// cache. Memory: an epoch's order of each source. SEMANTICS.md section 7.
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "data/mixture/epoch_order.h"
#include "data/mixture/ledger.h"
#include "data/mixture/row_source.h"

namespace phalanx {

/// [stage][source in name order]; an empty pointer where the plan draws nothing.
using StageSources = std::vector<std::vector<std::shared_ptr<const RowSource>>>;

class ReadAhead {
 public:
  /// `steps_ahead` are those whose rows must be at hand: of the batches that are read ahead, and
  /// the one under way.
  ReadAhead(std::shared_ptr<const MixturePlan> plan, StageSources sources, int64_t steps_ahead);

  /// Tells the sources of the step at `cursor` what is read from there on.
  void expect(const Cursor& cursor);
  /// Reads that wait, in another thread, throw.
  void stop_waiting() const;

  /// The shards of source `source` that hold the rows of its draws [begin, end) of a stage, in the
  /// order in which they are met: those of steps_ahead steps, and the next ones to be fetched.
  [[nodiscard]] std::vector<size_t> shards(size_t stage, size_t source, int64_t begin, int64_t end);

  /// Shards of a source, at most, that may have to be held at once for readers of which the one
  /// that is farthest is in this stage, and the others up to so many steps behind, perhaps in a
  /// stage before.
  [[nodiscard]] int64_t max_shards(size_t stage, size_t source, int64_t steps_apart) const;
  /// The first stage that those readers may be in.
  [[nodiscard]] size_t first_stage(size_t stage, int64_t steps_apart) const;
  /// Whether the plan draws from the source in this stage.
  [[nodiscard]] bool draws(size_t stage, size_t source) const;

 private:
  int64_t max_rows(size_t stage, int64_t steps) const;
  int64_t max_shards_of(size_t stage, size_t source, int64_t steps_ahead,
                        int64_t steps_apart) const;
  void tell(size_t k, const std::shared_ptr<const RowSource>& source, std::vector<size_t> shards);
  const EpochOrder& order(size_t stage, size_t source, int64_t epoch);

  struct Epoch {
    size_t stage;
    int64_t number;
    EpochOrder order;
  };
  std::shared_ptr<const MixturePlan> plan_;
  StageSources sources_;
  int64_t steps_ahead_;
  std::vector<std::optional<Epoch>> epochs_;  // by source
  /// A source that has been told, and of what.
  struct Told {
    std::shared_ptr<const RowSource> source;
    std::vector<size_t> shards;
  };
  std::vector<Told> told_;  // by source
};

}  // namespace phalanx
