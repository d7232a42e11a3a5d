#include "data/mixture/caps.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>
#include <string>

namespace phalanx {
namespace {

constexpr int64_t kMillion = 1'000'000;

std::map<int64_t, int64_t> drawn_at_start(const MixturePlan& plan, size_t k) {
  const auto taken = plan.start.taken.find(plan.sources[k].name);
  return taken == plan.start.taken.end() ? std::map<int64_t, int64_t>{} : taken->second;
}

int64_t rows_in_stage(const MixturePlan& plan, size_t k, size_t stage) {
  return plan.prefix_at(plan.stage_first_block[stage + 1])[k] -
         plan.prefix_at(plan.stage_first_block[stage])[k];
}

// Calls visit(stage, rows in the stage, drawn before it by T) for each stage that draws from k.
template <typename Visit>
void for_each_use(const MixturePlan& plan, size_t k, Visit visit) {
  std::map<int64_t, int64_t> drawn = drawn_at_start(plan, k);
  for (size_t s = 0; s < plan.curriculum.stages.size(); ++s) {
    const int64_t rows = rows_in_stage(plan, k, s);
    if (rows > 0) visit(s, rows, drawn);
    drawn[plan.curriculum.stages[s].sequence_length] += rows;
  }
}

void check_shortages(const MixturePlan& plan) {
  std::string message;
  for (size_t k = 0; k < plan.num_sources(); ++k) {
    const auto& cap = plan.curriculum.sources[k].max_epochs_millionths;
    for_each_use(plan, k, [&](size_t s, int64_t rows, const std::map<int64_t, int64_t>& drawn) {
      const int64_t left = rows_left(plan, k, s, drawn);
      if (rows <= left) return;
      const int64_t length = plan.curriculum.stages[s].sequence_length;
      const __int128 missing = static_cast<__int128>(rows - left) * length;
      message += fmt::format(
          "{}data.sources.{}.max_epochs: expected at most {}{} epochs of {} rows of {} tokens, "
          "found that {} needs {} tokens more than are left of them",
          message.empty() ? "" : "\n", plan.sources[k].name,
          cap ? static_cast<double>(*cap) / 1e6 : 1.0, cap ? "" : " (the default)",
          plan.sources[k].rows_by_stage[s], length, plan.curriculum.stages[s].path,
          static_cast<int64_t>(missing));
    });
  }
  if (!message.empty()) throw std::invalid_argument(message);
}

}  // namespace

int64_t rows_left(const MixturePlan& plan, size_t k, size_t stage,
                  const std::map<int64_t, int64_t>& drawn) {
  const int64_t length = plan.curriculum.stages[stage].sequence_length;
  const int64_t epochs = plan.curriculum.sources[k].max_epochs_millionths.value_or(kMillion);
  __int128 cap = static_cast<__int128>(epochs) * plan.sources[k].rows_by_stage[stage] / kMillion;
  __int128 elsewhere = 0;
  for (const auto& [other, rows] : drawn) {
    if (other == length) {
      cap -= rows;
    } else {
      elsewhere += static_cast<__int128>(rows) * other;
    }
  }
  cap -= (elsewhere + length - 1) / length;
  return static_cast<int64_t>(std::clamp<__int128>(cap, 0, INT64_MAX - 1));
}

std::vector<Repeat> repeats(const MixturePlan& plan) {
  std::vector<Repeat> found;
  for (size_t k = 0; k < plan.num_sources(); ++k) {
    for_each_use(plan, k, [&](size_t s, int64_t rows, const std::map<int64_t, int64_t>& drawn) {
      const int64_t length = plan.curriculum.stages[s].sequence_length;
      const int64_t epoch = plan.sources[k].rows_by_stage[s];
      const __int128 epoch_tokens = static_cast<__int128>(epoch) * length;
      __int128 seen = 0;
      for (const auto& [other, count] : drawn) {
        if (other != length) seen += static_cast<__int128>(count) * other;
      }
      const __int128 read = static_cast<__int128>(std::min(rows, epoch)) * length;
      const __int128 tokens = std::min({seen, read, epoch_tokens});
      if (tokens > 0) found.push_back({static_cast<int32_t>(s), k, static_cast<int64_t>(tokens)});
    });
  }
  return found;
}

void check_caps(const MixturePlan& plan) {
  check_shortages(plan);
  for (const Repeat& repeat : repeats(plan)) {
    const CurriculumStage& stage = plan.curriculum.stages[static_cast<size_t>(repeat.stage)];
    if (stage.allow_repeat) continue;
    throw std::invalid_argument(fmt::format(
        "{}.allow_repeat: expected `true`, because source {} was read at another sequence length "
        "before and up to {} of its tokens may be read again at {}; found `false`",
        stage.path, plan.sources[repeat.source].name, repeat.tokens, stage.sequence_length));
  }
}

}  // namespace phalanx
