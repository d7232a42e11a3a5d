#include "configs/reproducible_rules.h"

#include <fmt/format.h>

#include <bit>
#include <string>

namespace phalanx {
namespace {

bool is_power_of_two(int64_t number) {
  return number > 0 && std::has_single_bit(static_cast<uint64_t>(number));
}

class TreeRules {
 public:
  TreeRules(const ResolvedConfig& config, int64_t num_ranks, Problems& problems)
      : config_(config), run_(config.run), problems_(problems) {
    const int64_t tensor = run_.parallel.tensor_parallel_size;
    if (num_ranks > 0 && num_ranks % tensor == 0) num_replicas_ = num_ranks / tensor;
  }

  void check() {
    if (run_.parallel.threads_per_rank == 0) {
      fail("parallel.threads_per_rank",
           "expected a number of threads, which sums in LibTorch depend on, got 0");
    }
    if (run_.gradients == Precision::kBf16) {
      fail("gradients", "expected fp32, which micro-batches are summed in, got bf16");
    }
    if (run_.parallel.cuda_graphs) {
      fail("parallel.cuda_graphs", "expected false, since sums go on between passes; got true");
    }
    replicas();
    for (size_t i = 0; i < run_.stages.size(); ++i) {
      const StageConfig& stage = run_.stages[i];
      const std::string path = fmt::format("stages[{}].", i);
      batch(stage.global_batch_size, stage.micro_batch_size, path + "global_batch_size");
      for (size_t r = 0; r < stage.batch_ramp.size(); ++r) {
        batch(stage.batch_ramp[r].global_batch_size, stage.micro_batch_size,
              fmt::format("{}batch_ramp[{}].global_batch_size", path, r));
      }
    }
  }

 private:
  void fail(const std::string& path, const std::string& message) {
    problems_.add(config_.nearest_origin(path), path,
                  "with reproducible: dp_invariant, " + message);
  }

  void replicas() {
    if (num_replicas_ == 0 || is_power_of_two(num_replicas_)) return;
    fail("reproducible",
         fmt::format("expected a power of two of data-parallel replicas, got {}", num_replicas_));
  }

  /// A size that is no multiple of the micro-batch is said elsewhere.
  void batch(int64_t rows, int64_t micro, const std::string& path) {
    if (rows % micro != 0) return;
    const int64_t leaves = rows / micro, group = run_.leaf_group_size;
    if (leaves % group != 0 || !is_power_of_two(leaves / group)) {
      fail(path, fmt::format("expected micro_batch_size {} x leaf_group_size {} x a power of two, "
                             "got {}",
                             micro, group, rows));
    } else if (is_power_of_two(num_replicas_) && leaves / group < num_replicas_) {
      fail(path, fmt::format("expected at least a group of micro_batch_size {} x leaf_group_size "
                             "{} rows for each of the {} replicas, got {}",
                             micro, group, num_replicas_, rows));
    }
  }

  const ResolvedConfig& config_;
  const RunConfig& run_;
  Problems& problems_;
  int64_t num_replicas_ = 0;  // 0: not known
};

}  // namespace

void check_reproducible(const ResolvedConfig& config, int64_t num_ranks, Problems& problems) {
  if (config.run.reproducible == Reproducible::kDpInvariant) {
    return TreeRules(config, num_ranks, problems).check();
  }
  if (config.run.leaf_group_size == 1) return;
  problems.add(config.nearest_origin("leaf_group_size"), "leaf_group_size",
               fmt::format("expected 1 without reproducible: dp_invariant, got {}",
                           config.run.leaf_group_size));
}

}  // namespace phalanx
