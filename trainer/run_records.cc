#include "trainer/run_records.h"

namespace phalanx {

RunRecords::RunRecords(bool is_first_rank, const RecordPlace& place,
                       const std::vector<CurriculumSource>& sources) {
  if (!is_first_rank) return;
  metrics_ = std::make_unique<Metrics>(place.run_folder / "metrics.jsonl", sources, place.echo);
  if (place.event_files) {
    events_ = std::make_unique<EventLog>(place.run_folder / "tensorboard", sources, place.start);
  }
  progress_ = std::make_unique<Progress>(place.progress, sources);
}

void RunRecords::add(const StepRecord& record) {
  if (!progress_) return;
  try {
    metrics_->write(record);
    if (events_) events_->write(record);
  } catch (...) {
    failure_ = std::current_exception();
  }
  progress_->show(record);
  for (const Straggler& one : record.work ? record.work->stragglers : std::vector<Straggler>()) {
    if (!one.is_known) note("straggler: " + straggler_text(one, *record.work));
  }
  if (!record.result.review.note.empty()) note(record.result.review.note);
}

void RunRecords::note(const std::string& text) {
  if (progress_) progress_->note(text);
}

}  // namespace phalanx
