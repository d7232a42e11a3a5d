#include "trainer/step_rows.h"

#include <algorithm>

#include "data/mixture/bin_loader.h"
#include "data/mixture/plan_report.h"
#include "data/mixture/source_loader.h"

namespace phalanx {
namespace {

/// The data set that a source reads; none behind a source that is not one.
std::shared_ptr<const DatasetReader> dataset_of(const RowSource& source) {
  if (const auto* windows = dynamic_cast<const SourceLoader*>(&source)) return windows->dataset();
  if (const auto* bins = dynamic_cast<const BinLoader*>(&source)) return bins->dataset();
  return nullptr;
}

/// Where the parts of documents in a row begin, in the data set.
std::vector<int64_t> first_tokens(const RowSource& source, int64_t window,
                                  const std::vector<int64_t>& positions) {
  std::vector<int64_t> tokens;
  if (const auto* windows = dynamic_cast<const SourceLoader*>(&source)) {
    for (const int64_t p : positions) tokens.push_back(windows->first_token(window) + p);
  } else if (const auto* bins = dynamic_cast<const BinLoader*>(&source)) {
    std::vector<BinPiece> pieces;
    const size_t shard = bins->find_pieces(window, pieces);
    const int64_t begin = bins->dataset()->shard_begins()[shard];
    for (const BinPiece& piece : pieces) tokens.push_back(begin + piece.begin);
  }
  return tokens;
}

/// Row::documents numbers the document of token 0, then each that begins in [1, T].
std::vector<RowDocument> documents_of(const RowSource& source, const OriginReader& origins,
                                      int64_t window, const Row& row) {
  const DatasetReader& dataset = *dataset_of(source);
  std::vector<int64_t> positions{0};
  for (const int64_t start : row.document_starts) {
    if (start > 0) positions.push_back(start);
  }
  const std::vector<int64_t> tokens = first_tokens(source, window, positions);
  std::vector<RowDocument> documents;
  for (size_t i = 0; i < std::min({row.documents.size(), positions.size(), tokens.size()}); ++i) {
    const int64_t number = row.documents[i];
    const size_t shard = dataset.shard_of_document(number);
    documents.push_back({positions[i], tokens[i], tokens[i] - dataset.document_begin(number),
                         number, dataset.manifest().shards[shard].file, origins.find(number)});
  }
  return documents;
}

}  // namespace

StepRows::StepRows(const std::shared_ptr<const MixturePlan>& plan, const RunData& data,
                   int64_t step)
    : plan_(plan), range_(plan->step_rows(step)) {
  sources_ = data.sources[static_cast<size_t>(range_.stage)];
  RowSchedule schedule(plan);
  draws_ = schedule.step(step);
  for (const RowDraw& draw : draws_) {
    if (origins_.contains(draw.source)) continue;
    const auto dataset = dataset_of(*sources_[static_cast<size_t>(draw.source)]);
    if (dataset) origins_.emplace(draw.source, OriginReader(dataset));
  }
}

int64_t StepRows::sequence_length() const {
  return plan_->curriculum.stages[static_cast<size_t>(range_.stage)].sequence_length;
}

std::string StepRows::phase() const { return phase_name(*plan_, range_.first_row); }

const std::string& StepRows::source_name(const StepRow& row) const {
  return plan_->sources[static_cast<size_t>(row.draw.source)].name;
}

StepRow StepRows::read(int64_t place) const {
  StepRow result;
  result.place = place;
  result.draw = draws_.at(static_cast<size_t>(place));
  const RowSource& source = *sources_[static_cast<size_t>(result.draw.source)];
  source.read(result.draw.window, result.row);
  Batch one = make_batch(1, sequence_length());
  put_row(result.row, result.draw.source, 0, plan_->curriculum.document_mask, one);
  result.num_valid_targets = one.num_valid_targets;
  if (const auto* windows = dynamic_cast<const SourceLoader*>(&source)) {
    result.first_token = windows->first_token(result.draw.window);
  }
  if (dataset_of(source)) {
    result.documents =
        documents_of(source, origins_.at(result.draw.source), result.draw.window, result.row);
  }
  return result;
}

}  // namespace phalanx
