#include "data/shards/pack_dataset.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <utility>

#include "data/file.h"
#include "data/shards/pack_finish.h"
#include "data/shards/pack_shard.h"
#include "data/shards/pack_unit.h"
#include "data/shards/run_merge.h"

namespace phalanx {
namespace {

constexpr int64_t kMinMemoryPerThread = int64_t{1} << 20;
constexpr int64_t kMinRunBuffer = int64_t{4} << 10;
constexpr int64_t kMaxRunBuffer = int64_t{4} << 20;
constexpr auto kReportPause = std::chrono::milliseconds(50);

template <typename Expected, typename Found>
void check(bool good, const char* field, const Expected& expected, const Found& found) {
  if (good) return;
  throw std::invalid_argument(fmt::format("{}: expected {}, found {}", field, expected, found));
}

void check_options(const PackOptions& options, const PackTokenizer& tokenizer) {
  check(options.validation_per_mille >= 0 && options.validation_per_mille <= 500,
        "validation fraction", "0 to 500 per mille", options.validation_per_mille);
  check(options.shard_tokens >= 1 && options.shard_tokens <= int64_t{1} << 40, "shard tokens",
        "1 to 2^40", options.shard_tokens);
  check(options.num_threads >= 1, "threads", "at least 1", options.num_threads);
  check(options.max_bad_lines >= 0, "bad lines", "at least 0", options.max_bad_lines);
  check(options.unit_bytes >= 0, "unit", "at least 0 bytes", options.unit_bytes);
  check(options.memory_bytes >= kMinMemoryPerThread * options.num_threads, "memory",
        fmt::format("at least 1 MiB for each of {} threads", options.num_threads),
        fmt::format("{} bytes", options.memory_bytes));
  check(tokenizer.vocab_size >= 1 && tokenizer.vocab_size <= INT32_MAX, "vocabulary size",
        "1 to 2^31 - 1", tokenizer.vocab_size);
  check(tokenizer.end_of_document >= 0 && tokenizer.end_of_document < tokenizer.vocab_size,
        "end-of-document token",
        fmt::format("an id below the vocabulary's {}", tokenizer.vocab_size),
        tokenizer.end_of_document);
}

/// The most threads that can merge `num_runs` runs, each with a buffer of its own for each run.
int64_t merge_threads(const PackOptions& options, size_t num_runs) {
  const int64_t one = static_cast<int64_t>(num_runs) * kMinRunBuffer;
  check(options.memory_bytes >= one, "memory",
        fmt::format("at least {} bytes to merge {} sorted runs", one, num_runs),
        options.memory_bytes);
  return std::min(static_cast<int64_t>(options.num_threads),
                  one == 0 ? 1 : options.memory_bytes / one);
}

int64_t run_buffer(const PackOptions& options, size_t num_runs, int64_t threads) {
  const int64_t share = options.memory_bytes / threads / std::max<int64_t>(1, num_runs);
  return std::min(share, kMaxRunBuffer);
}

/// Calls work(i) for each i below `count` on `num_threads` threads, and poll() here meanwhile.
/// After an error no more are begun, and it is thrown.
void run_on_threads(size_t count, int64_t num_threads, const std::function<void(size_t)>& work,
                    const std::function<void()>& poll) {
  std::mutex mutex;
  std::condition_variable ended;
  std::exception_ptr failure;
  size_t next = 0;
  int64_t at_work = std::min(num_threads, static_cast<int64_t>(count));
  const auto run = [&] {
    std::unique_lock lock(mutex);
    while (next < count && !failure) {
      const size_t i = next++;
      lock.unlock();
      std::exception_ptr error;
      try {
        work(i);
      } catch (...) {
        error = std::current_exception();
      }
      lock.lock();
      if (error && !failure) failure = error;
    }
    --at_work;
    ended.notify_all();
  };
  {
    std::vector<std::jthread> threads;
    for (int64_t i = at_work; i > 0; --i) threads.emplace_back(run);
    std::unique_lock lock(mutex);
    while (at_work > 0) {
      ended.wait_for(lock, kReportPause);
      lock.unlock();
      poll();
      lock.lock();
    }
  }
  if (failure) std::rethrow_exception(failure);
}

PartRule part_rule(const PackPlan& plan, const std::vector<UnitRecord>& units) {
  PartRule rule{plan.options.validation_per_mille, false, UINT64_MAX};
  for (const UnitRecord& unit : units) {
    rule.any_below |= unit.num_held_out > 0;
    rule.smallest_content = std::min(rule.smallest_content, unit.smallest_content);
  }
  return rule;
}

void check_bad_lines(const PackPlan& plan, const std::vector<UnitRecord>& units, int64_t limit) {
  int64_t count = 0;
  for (const UnitRecord& unit : units) {
    for (const RejectedRecord& record : unit.rejected) {
      if (++count > limit) refuse_bad_line(plan, record, limit);
    }
  }
}

}  // namespace

PackJob::PackJob(const PackOptions& options, const PackTokenizer& tokenizer, ReportProgress report)
    : options_(options), tokenizer_(tokenizer), report_(std::move(report)), work_(options.output) {
  check_options(options, tokenizer);
  plan_ = work_.open(make_pack_plan(options, tokenizer));
  if (plan_) bad_lines_.resize(plan_->units.size());
}

int64_t PackJob::bad_lines_before(size_t unit) {
  if (options_.max_bad_lines == 0) return 0;
  int64_t sum = 0;
  for (size_t i = 0; i < bad_lines_.size(); ++i) {
    if (i == unit) continue;
    if (!bad_lines_[i] && work_.unit_is_done(i)) {
      const UnitRecord record = load_unit_record(work_.unit_folder(i));
      bad_lines_[i] = static_cast<int64_t>(record.rejected.size());
    }
    sum += bad_lines_[i].value_or(0);
  }
  return sum;
}

void PackJob::encode_units(const JobShare& share) {
  if (!has_work()) return;
  const std::vector<PackUnit>& units = plan_->units;
  std::vector<size_t> mine;
  PackProgress base;
  const auto bytes_of = [&](const PackUnit& unit) {
    int64_t bytes = 0;
    for (int64_t i = unit.first_file; i < unit.end_file; ++i) {
      bytes += plan_->inputs[static_cast<size_t>(i)].bytes;
    }
    return bytes;
  };
  for (size_t i = 0; i < units.size(); ++i) {
    if (!share.holds(static_cast<int64_t>(i)) || work_.unit_is_done(i)) continue;
    mine.push_back(i);
    base.total += bytes_of(units[i]);
  }
  if (mine.empty()) return;
  UnitEncoder encoder(*plan_, options_, tokenizer_);
  for (const size_t i : mine) {
    const std::optional<FileLock> lock = work_.try_lock("unit-" + PackWork::unit_name(i));
    if (!lock || work_.unit_is_done(i)) continue;
    encoder.encode(units[i], bad_lines_before(i), work_.unit_folder(i), [&](PackProgress progress) {
      progress.done += base.done;
      progress.total = base.total;
      if (report_) report_(progress);
    });
    base.done += bytes_of(units[i]);
  }
}

int64_t PackJob::units_left() const {
  return has_work() ? static_cast<int64_t>(plan_->units.size()) - work_.units_done() : 0;
}

void PackJob::plan_shards() {
  if (!has_work()) return;
  const FileLock lock = work_.lock("plan");
  if (work_.shard_plan()) return;
  const std::vector<UnitRecord> units = work_.unit_records(plan_->units.size());
  check_bad_lines(*plan_, units, options_.max_bad_lines);
  const std::vector<RunFile> runs = work_.open_runs(units);
  merge_threads(options_, runs.size());
  PackProgress progress;
  progress.stage = PackProgress::Stage::kPlanning;
  for (const UnitRecord& unit : units) progress.total += unit.num_documents;
  const ShardPlan shards =
      make_shard_plan(runs, part_rule(*plan_, units), plan_->options.shard_tokens,
                      run_buffer(options_, runs.size(), 1), [&](int64_t documents) {
                        progress.done = documents;
                        if (report_) report_(progress);
                      });
  work_.commit_shard_plan(shards);
}

void PackJob::write_shards(const JobShare& share) {
  if (!has_work()) return work_.release();
  const ShardPlan shards = work_.shard_plan().value();
  std::vector<size_t> mine;
  PackProgress progress;
  progress.stage = PackProgress::Stage::kWriting;
  for (size_t i = 0; i < shards.shards.size(); ++i) {
    const PlannedShard& shard = shards.shards[i];
    if (!share.holds(static_cast<int64_t>(i)) || work_.shard_is_done(shard)) continue;
    mine.push_back(i);
    progress.total += shard.num_tokens;
    make_folders(work_.part_folder(shard));
  }
  if (mine.empty()) return work_.release();
  const std::vector<RunFile> runs = work_.open_runs(work_.unit_records(plan_->units.size()));
  const int64_t threads =
      std::min(merge_threads(options_, runs.size()), static_cast<int64_t>(mine.size()));
  const int64_t buffer = run_buffer(options_, runs.size(), threads);
  std::atomic<int64_t> tokens = 0;
  const auto write = [&](size_t i) {
    const PlannedShard& shard = shards.shards[mine[i]];
    const auto lock = work_.try_lock(PackWork::shard_name(shard));
    if (!lock || work_.shard_is_done(shard)) return;
    work_.commit_shard(shard,
                       write_shard(shards, mine[i], runs, buffer, options_.bin_lengths,
                                   work_.part_folder(shard), [&](int64_t n) { tokens += n; }));
  };
  run_on_threads(mine.size(), threads, write, [&] {
    progress.done = tokens;
    if (report_) report_(progress);
  });
  work_.release();
}

int64_t PackJob::shards_left() const { return has_work() ? work_.shards_left() : 0; }

PackResult PackJob::finish() {
  work_.release();
  const std::optional<FileLock> lock = work_.lock_all();
  if (!lock) return result();
  const PackPlan plan = work_.plan();
  if (!plan.packed) {
    write_manifests(plan, work_);
    work_.commit_packed(plan);
  }
  work_.finish();
  return result();
}

PackResult PackJob::result() const {
  PackResult result{load_manifest(options_.output / "train"), std::nullopt};
  if (std::filesystem::exists(options_.output / "validation")) {
    result.validation = load_manifest(options_.output / "validation");
  }
  return result;
}

PackResult pack_dataset(const PackOptions& options, const PackTokenizer& tokenizer,
                        const ReportProgress& report) {
  PackJob job(options, tokenizer, report);
  job.encode_units({});
  job.plan_shards();
  job.write_shards({});
  return job.finish();
}

}  // namespace phalanx
