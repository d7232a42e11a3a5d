#include "trainer/step_rows.h"

#include <fmt/format.h>

#include <stdexcept>

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

/// The file of the shard that holds document `number`.
std::string shard_of_document(const DatasetManifest& manifest, int64_t number) {
  for (const ShardEntry& shard : manifest.shards) {
    if (number < shard.num_documents) return shard.file;
    number -= shard.num_documents;
  }
  throw std::logic_error(fmt::format("{}: no document {}", manifest.name, number));
}

/// Row::documents numbers the document of token 0, then each that begins in [1, T].
std::vector<RowDocument> documents_of(const DatasetManifest& manifest, const OriginReader& origins,
                                      const Row& row) {
  std::vector<RowDocument> documents;
  std::vector<int64_t> positions{0};
  for (const int64_t start : row.document_starts) {
    if (start > 0) positions.push_back(start);
  }
  for (size_t i = 0; i < row.documents.size() && i < positions.size(); ++i) {
    const int64_t number = row.documents[i];
    documents.push_back(
        {positions[i], number, shard_of_document(manifest, number), origins.find(number)});
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
  if (const auto dataset = dataset_of(source)) {
    result.documents =
        documents_of(dataset->manifest(), origins_.at(result.draw.source), result.row);
  }
  return result;
}

}  // namespace phalanx
