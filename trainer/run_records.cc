#include "trainer/run_records.h"

#include <fmt/format.h>

#include <chrono>
#include <utility>

namespace phalanx {
namespace {

constexpr std::chrono::seconds kProgressInterval{5};

}  // namespace

RunRecords::RunRecords(bool is_first_rank, const RecordPlace& place,
                       const std::vector<std::string>& source_names) {
  if (!is_first_rank) return;
  metrics_ = std::make_unique<Metrics>(place.run_folder / "metrics.jsonl", source_names);
  progress_ = std::make_unique<Progress>(place.on_terminal, kProgressInterval, place.num_tokens);
}

void RunRecords::add(const StepRecord& record) {
  if (!progress_) return;
  try {
    metrics_->write(record);
  } catch (...) {
    failure_ = std::current_exception();
  }
  progress_->show(record);
  for (const auto& [source, result] : record.validation) {
    note(fmt::format("step {}  validation {}  loss {:.4f}  bits per byte {:.4f}", record.step,
                     source, result.loss, result.bits_per_byte));
  }
  for (const Straggler& one : record.work ? record.work->stragglers : std::vector<Straggler>()) {
    if (!one.is_known) note("straggler: " + straggler_text(one, *record.work));
  }
  if (!record.result.review.note.empty()) note(record.result.review.note);
}

void RunRecords::note(const std::string& text) {
  if (progress_) progress_->note(text);
}

}  // namespace phalanx
