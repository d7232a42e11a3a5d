#pragma once
// The rows of one step as training reads them, one at a time: a step of any size in the memory of a
// row. Local, one thread; shares plan and sources.
// Errors: std::invalid_argument if the plan has no such step; what the sources throw.
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/mixture/row_schedule.h"
#include "data/shards/origins.h"
#include "trainer/run_data.h"

namespace phalanx {

/// A document that a row holds a part of.
struct RowDocument {
  int64_t position = 0;     // in the row, of the part's first token
  int64_t first_token = 0;  // its place in the data set
  int64_t offset = 0;       // tokens of the document before the part; 0: it begins here
  int64_t number = 0;       // in the data set
  std::string shard;        // file name without suffix
  std::optional<DocumentOrigin> origin = std::nullopt;  // nothing: not recorded
};

struct StepRow {
  int64_t place = 0;  // in the step, in the order in which replicas cut it up
  RowDraw draw;
  Row row;
  int64_t num_valid_targets = 0;       // those that count, after the document mask
  std::optional<int64_t> first_token;  // its place in the data set, for rows that are windows
  std::vector<RowDocument> documents;  // empty if the source does not number them
};

class StepRows {
 public:
  /// `step` counts from 0.
  StepRows(const std::shared_ptr<const MixturePlan>& plan, const RunData& data, int64_t step);

  const StepRange& range() const { return range_; }
  int64_t num_rows() const { return range_.num_rows; }
  int64_t sequence_length() const;
  /// `stage/phase` of the step's first row.
  std::string phase() const;
  const std::string& source_name(const StepRow& row) const;
  [[nodiscard]] StepRow read(int64_t place) const;

 private:
  std::shared_ptr<const MixturePlan> plan_;
  std::vector<std::shared_ptr<const RowSource>> sources_;  // of the stage, in name order
  StepRange range_;
  std::vector<RowDraw> draws_;
  std::map<int32_t, OriginReader> origins_;  // of the sources that the step draws from
};

}  // namespace phalanx
