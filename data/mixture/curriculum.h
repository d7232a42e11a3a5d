#pragma once
// A checked curriculum: every mix as 32-bit fixed-point weights over the sources in name order.
// Local, pure. All errors are std::invalid_argument naming the field (`stages[0].phases[1].mix`),
// what was expected and what was found. SEMANTICS.md sections 1 and 2.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "data/mixture/curriculum_config.h"

namespace phalanx {

struct CurriculumSource {
  std::string name;
  SourceKind kind = SourceKind::kOrganic;
  std::optional<int64_t> max_epochs_millionths;
};

struct CurriculumPhase {
  std::string path;  // `stages[0].phases[1]`
  std::string name;
  int64_t tokens = 0;
  std::vector<int64_t> weights;  // one a source, sum 2^32
  Ramp ramp = Ramp::kStep;
  std::optional<int64_t> ramp_tokens;
};

struct CurriculumStage {
  std::string path;
  std::string name;
  int64_t sequence_length = 0;
  int64_t global_batch_size = 0;
  std::vector<BatchRampEntry> batch_ramp;
  bool allow_repeat = false;
  std::vector<CurriculumPhase> phases;
};

struct Curriculum {
  uint64_t seed = 0;
  bool document_mask = false;
  OnExhausted on_exhausted = OnExhausted::kError;
  std::vector<CurriculumSource> sources;  // in name order
  std::vector<CurriculumStage> stages;
};

[[nodiscard]] Curriculum resolve_curriculum(const DataConfig& data,
                                            const std::vector<StageRows>& stages);

}  // namespace phalanx
