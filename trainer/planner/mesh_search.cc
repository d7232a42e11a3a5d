#include "trainer/planner/mesh_search.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace phalanx {
namespace {

constexpr double kGiB = 1 << 30;
constexpr double kUsable = 0.95;
/// A larger micro-batch must gain so much: memory that is left over is worth something.
constexpr double kWorthMore = 1.01;
constexpr Recompute kModes[] = {Recompute::kNone, Recompute::kSelective, Recompute::kFull};

/// Divisors in rising order.
std::vector<int64_t> divisors(int64_t n) {
  std::vector<int64_t> low, high;
  for (int64_t d = 1; d * d <= n; ++d) {
    if (n % d != 0) continue;
    low.push_back(d);
    if (d != n / d) high.push_back(n / d);
  }
  low.insert(low.end(), high.rbegin(), high.rend());
  return low;
}

/// The largest micro-batch of a span that divides its rows and has at most so many tokens.
int64_t micro_batch_of(const WorkSpan& span, int64_t replicas, int64_t tokens) {
  int64_t best = 1;
  for (const int64_t rows : divisors(span.rows_per_step / replicas)) {
    if (rows * span.sequence_length <= tokens) best = rows;
  }
  return best;
}

/// Spans of one stage share a micro-batch, the smallest that any of them takes.
void choose_micro_batches(std::vector<WorkSpan>& spans, int64_t replicas, int64_t tokens) {
  for (WorkSpan& span : spans) span.micro_batch_size = micro_batch_of(span, replicas, tokens);
  for (WorkSpan& span : spans) {
    for (const WorkSpan& other : spans) {
      if (other.stage != span.stage) continue;
      while (other.rows_per_step / replicas % span.micro_batch_size != 0) --span.micro_batch_size;
    }
  }
}

/// Tokens a micro-batch worth a try: those of the rows that divide each span's.
std::vector<int64_t> micro_batch_tokens(const std::vector<WorkSpan>& spans, int64_t replicas) {
  std::vector<int64_t> sizes;
  for (const WorkSpan& span : spans) {
    for (const int64_t rows : divisors(span.rows_per_step / replicas)) {
      sizes.push_back(rows * span.sequence_length);
    }
  }
  std::sort(sizes.begin(), sizes.end());
  sizes.erase(std::unique(sizes.begin(), sizes.end()), sizes.end());
  return sizes;
}

double seconds_a_token(const PlanInput& input, const Accelerator& accelerator, double& mfu) {
  double seconds = 0, tokens = 0, of_peak = 0;
  for (const WorkSpan& span : input.spans) {
    const StepPlan step = plan_step(input, span, accelerator);
    const double weight = span.tokens > 0 ? double(span.tokens) : double(span.tokens_per_step());
    seconds += weight / step.tokens_per_second;
    of_peak += weight / step.tokens_per_second * step.mfu;
    tokens += weight;
  }
  mfu = of_peak / seconds;
  return seconds / tokens;
}

std::string too_large(const MemoryPlan& least, const SearchLimits& limits) {
  if (least.total() <= limits.memory_bytes) {
    return fmt::format("keeps {:.2f} GiB a rank on the host, which has {:.2f} GiB for it",
                       double(least.host) / kGiB, double(limits.host_bytes) / kGiB);
  }
  std::vector<MemoryCategory> parts = least.categories();
  const auto largest = std::max_element(
      parts.begin(), parts.end(), [](const auto& a, const auto& b) { return a.bytes < b.bytes; });
  return fmt::format("needs at least {:.2f} GiB a rank of {:.2f} GiB ({} {:.2f} GiB)",
                     double(least.total()) / kGiB, double(limits.memory_bytes) / kGiB,
                     largest->name, double(largest->bytes) / kGiB);
}

/// Why no mesh of this size can be, whatever the memory; nullopt: it can.
std::optional<std::string> impossible(const PlanInput& input, int64_t tensor,
                                      const Accelerator& accelerator) {
  const int64_t heads = input.shape.num_attention_heads, ranks = input.mesh.num_ranks();
  if (heads % tensor != 0) return fmt::format("does not divide the {} attention heads", heads);
  if (tensor > accelerator.ranks_per_node) {
    return fmt::format("is more than the {} ranks of a node", accelerator.ranks_per_node);
  }
  for (const WorkSpan& span : input.spans) {
    if (span.rows_per_step % (ranks / tensor) == 0) continue;
    return fmt::format("leaves {} replicas, which do not divide the {} rows of a step of stage {}",
                       ranks / tensor, span.rows_per_step, span.stage);
  }
  return std::nullopt;
}

class Searcher {
 public:
  Searcher(const PlanInput& input, const Accelerator& accelerator, const SearchLimits& limits)
      : input_(input), accelerator_(accelerator), limits_(limits) {}

  void try_size(int64_t tensor) {
    if (const auto reason = impossible(input_, tensor, accelerator_)) {
      found_.refused.push_back({tensor, *reason});
      return;
    }
    PlanInput input = input_;
    input.mesh = {tensor, input_.mesh.num_ranks() / tensor};
    std::optional<MemoryPlan> least;
    const size_t before = found_.fitting.size();
    for (const Recompute mode : kModes) {
      input.recompute = mode;
      try_micro_batches(input, least);
    }
    if (found_.fitting.size() == before) {
      found_.refused.push_back({tensor, too_large(*least, limits_)});
    }
  }

  MeshSearch finish() {
    std::stable_sort(found_.fitting.begin(), found_.fitting.end(),
                     [](const MeshCandidate& a, const MeshCandidate& b) {
                       return a.tokens_per_second > b.tokens_per_second;
                     });
    return std::move(found_);
  }

 private:
  /// Larger micro-batches need more, so the first that does not fit is the last that is tried.
  void try_micro_batches(PlanInput& input, std::optional<MemoryPlan>& least) {
    std::optional<MeshCandidate> best;
    std::vector<WorkSpan> last;
    for (const int64_t tokens : micro_batch_tokens(input_.spans, input.mesh.data_parallel)) {
      choose_micro_batches(input.spans, input.mesh.data_parallel, tokens);
      if (input.spans == last) continue;
      last = input.spans;
      const MemoryPlan memory = plan_memory(input, accelerator_);
      if (found_.num_tried++ == 0 || memory.total() < found_.least_bytes) {
        found_.least_bytes = memory.total();
      }
      if (!least || memory.total() < least->total()) least = memory;
      if (!limits_.hold(memory)) break;
      MeshCandidate candidate{input, memory, 0, 0};
      candidate.tokens_per_second = 1 / seconds_a_token(input, accelerator_, candidate.mfu);
      if (!best || candidate.tokens_per_second > kWorthMore * best->tokens_per_second) {
        best = candidate;
      }
    }
    if (best) found_.fitting.push_back(*best);
  }

  const PlanInput& input_;
  const Accelerator& accelerator_;
  SearchLimits limits_;
  MeshSearch found_;
};

}  // namespace

MeshSearch search_meshes(const PlanInput& input, const Accelerator& accelerator,
                         const SearchLimits& limits) {
  Searcher searcher(input, accelerator, limits);
  for (const int64_t tensor : divisors(input.mesh.num_ranks())) {
    if (tensor <= input.shape.num_attention_heads) searcher.try_size(tensor);
  }
  return searcher.finish();
}

int64_t usable_memory(const Accelerator& accelerator) {
  return static_cast<int64_t>(kUsable * double(accelerator.memory_bytes));
}

std::string overrides_text(const PlanInput& input) {
  std::string text = fmt::format("parallel.tensor_parallel_size={} recompute={}",
                                 input.mesh.tensor_parallel, recompute_name(input.recompute));
  int64_t stage = -1;
  const WorkSpan* before = nullptr;
  for (const WorkSpan& span : input.spans) {
    if (before == nullptr || before->stage != span.stage) {
      text += fmt::format(" stages[{}].micro_batch_size={}", ++stage, span.micro_batch_size);
    }
    before = &span;
  }
  return text;
}

}  // namespace phalanx
