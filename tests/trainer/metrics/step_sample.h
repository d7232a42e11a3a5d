#pragma once
// A step of a run with two sources, as what records or shows steps is given it.
#include <vector>

#include "trainer/metrics/step_record.h"

namespace phalanx::testing {

inline const std::vector<CurriculumSource> kSources{{"books", SourceKind::kOrganic, {}},
                                                    {"web", SourceKind::kSynthetic, {}}};

/// Of 200 steps of 4,096 tokens, 0.125 s each; all of its rows are of books.
inline StepRecord record_of(int64_t step) {
  StepRecord record;
  record.step = step;
  record.num_steps = 200;
  record.tokens = step * 4096;
  record.num_tokens = 200 * 4096;
  record.unix_seconds = 1790000000.25;
  record.seconds = 0.125;
  record.peak_memory_bytes = 3 << 20;
  record.step_tokens = 4096;
  record.flops = 4096 * 6e6;
  record.learning_rate = 3e-4;
  record.phase = "pretrain/reasoning";
  record.result.loss = 4.25;
  record.result.grad_norm = 1.5;
  record.result.by_source = {{8, 0}, {4, 0}};
  record.source_tokens = {4096, 0};
  record.source_total_tokens = {step * 4096, 12288};
  record.source_weights = {0.75, 0.25};
  record.source_epochs = {0.5, 1.25};
  return record;
}

}  // namespace phalanx::testing
