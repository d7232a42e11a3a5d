#include "data/shards/pack_work.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <system_error>
#include <thread>

#include "data/file.h"

namespace phalanx {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMaxPlanBytes = int64_t{4} << 30;
constexpr int64_t kMaxEntryBytes = int64_t{1} << 20;
constexpr const char* kLockName = "pack.lock";
constexpr const char* kShardPlanName = "shards.json";
constexpr int64_t kSpareDescriptors = 256;
constexpr auto kPause = std::chrono::milliseconds(10);

/// How many runs may stay open, beside all else that the process has open.
int64_t descriptors_for_runs() { return std::max(0L, ::sysconf(_SC_OPEN_MAX) - kSpareDescriptors); }

void refuse_output(const fs::path& output) {
  throw std::invalid_argument(
      fmt::format("output {}: expected a new folder, found one that is there already: choose "
                  "another or remove it",
                  output.string()));
}

/// Anything but what a kill leaves before pack.json is there.
void check_nothing_else(const fs::path& folder) {
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name == kLockName || name == std::string(kPackPlanName) + ".tmp") continue;
    throw std::invalid_argument(
        fmt::format("{}: expected an unfinished packing ({}) or nothing, found {}: remove the "
                    "folder or choose another output",
                    folder.string(), kPackPlanName, name));
  }
}

/// A lock in a folder to which another process may give its final name at this moment: then
/// nothing.
template <class Take>
std::optional<FileLock> unless_gone(const Take& take) {
  try {
    return take();
  } catch (const std::system_error& error) {
    if (error.code() != std::errc::no_such_file_or_directory) throw;
    return std::nullopt;
  }
}

/// Of the names in a folder, those that are final.
int64_t count_finished(const fs::path& folder) {
  int64_t count = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    count += entry.path().extension() == ".tmp" ? 0 : 1;
  }
  return count;
}

}  // namespace

PackWork::PackWork(const fs::path& output) : output_(output), folder_(staging_folder(output)) {}

std::optional<PackPlan> PackWork::open(const PackPlan& asked) {
  while (true) {
    if (fs::exists(output_)) {
      if (!is_complete(asked)) refuse_output(output_);
      return std::nullopt;
    }
    make_folders(folder_);
    in_use_ = unless_gone([&] { return FileLock::share(folder_ / kLockName); });
    if (!in_use_) continue;
    has_locks_ = in_use_->keeps_others_out();
    if (in_use_->is_current() && fs::exists(folder_ / kPackPlanName)) {
      PackPlan there = plan();
      try {
        check_same_job(there, asked, folder_.string());
      } catch (const std::invalid_argument&) {
        if (!replace(asked)) throw;
        continue;
      }
      take_inputs(there, asked);
      for (const char* name : {"units", "locks", "shards"}) make_folders(folder_ / name);
      return there;
    }
    in_use_.reset();
    if (!begin(asked)) std::this_thread::sleep_for(kPause);
  }
}

void PackWork::take_inputs(PackPlan& there, const PackPlan& asked) const {
  const bool decided = there.packed || fs::exists(folder_ / kShardPlanName);
  for (size_t i = 0; i < there.units.size(); ++i) {
    const auto [first, end] = there.units[i];
    if (!there.packed && !unit_is_done(i)) {
      std::copy(asked.inputs.begin() + first, asked.inputs.begin() + end,
                there.inputs.begin() + first);
      continue;
    }
    if (!there.packed) take_packed_files(there, i);
    const std::string remedy =
        decided ? fmt::format("remove {} to start anew", folder_.string())
                : fmt::format("remove {}, which is then packed again", unit_folder(i).string());
    for (auto file = static_cast<size_t>(first); file < static_cast<size_t>(end); ++file) {
      check_same_file(there.inputs[file], asked.inputs[file], "put that file back, or " + remedy);
    }
  }
}

void PackWork::take_packed_files(PackPlan& plan, size_t unit) const {
  auto file = static_cast<size_t>(plan.units.at(unit).first_file);
  for (const UnitFile& read : load_unit_record(unit_folder(unit)).files) {
    PackInput& input = plan.inputs.at(file++);
    input.bytes = read.bytes;
    input.mtime_ns = read.mtime_ns;
  }
}

bool PackWork::begin(const PackPlan& asked) const {
  const std::optional<FileLock> lock =
      unless_gone([&] { return FileLock::try_exclude(folder_ / kLockName); });
  if (!lock || !lock->is_current() || fs::exists(folder_ / kPackPlanName)) return false;
  check_nothing_else(folder_);
  commit_plan(asked);
  return true;
}

bool PackWork::replace(const PackPlan& asked) {
  in_use_.reset();
  const std::optional<FileLock> lock =
      unless_gone([&] { return FileLock::try_exclude(folder_ / kLockName); });
  if (!lock || !lock->keeps_others_out() || !lock->is_current()) return false;
  // Units are gone once all is packed and only the last rename is left.
  if (plan().packed || (fs::exists(folder_ / "units") && units_done() > 0)) return false;
  for (const auto& entry : fs::directory_iterator(folder_)) {
    const fs::path name = entry.path().filename();
    if (name != kLockName && name != kPackPlanName) fs::remove_all(entry.path());
  }
  commit_plan(asked);  // in the place of the other, so that a kill never leaves a folder without
  return true;
}

bool PackWork::is_complete(const PackPlan& asked) const {
  const fs::path path = output_ / kPackPlanName;
  if (!fs::exists(path)) return false;
  try {
    const PackPlan there = parse_pack_plan(read_text(path, kMaxPlanBytes), path.string());
    check_same_job(there, asked, output_.string());
    for (size_t i = 0; i < there.inputs.size(); ++i) {
      check_same_file(there.inputs[i], asked.inputs[i], "");
    }
  } catch (const std::invalid_argument&) {
    return false;
  }
  fs::remove(output_ / kLockName);  // what a kill may have left
  return true;
}

std::string PackWork::unit_name(size_t unit) { return fmt::format("{:06}", unit); }

std::string PackWork::shard_name(const PlannedShard& shard) {
  return fmt::format("{}-{:05}", shard.part(), shard.number);
}

fs::path PackWork::unit_folder(size_t unit) const { return folder_ / "units" / unit_name(unit); }

fs::path PackWork::part_folder(const PlannedShard& shard) const { return folder_ / shard.part(); }

bool PackWork::shard_is_done(const PlannedShard& shard) const {
  return fs::exists(folder_ / "shards" / (shard_name(shard) + ".json"));
}

// By listing, since a network file system may remember for a while that a name was not there.
int64_t PackWork::units_done() const { return count_finished(folder_ / "units"); }

int64_t PackWork::shards_left() const {
  // Held meanwhile: another member may be about to finish the job, which takes the folder away.
  const std::optional<FileLock> held =
      unless_gone([&] { return FileLock::share(folder_ / kLockName); });
  if (!held || !held->is_current() || plan().packed) return 0;
  const auto planned = static_cast<int64_t>(shard_plan().value().shards.size());
  return planned - count_finished(folder_ / "shards");
}

std::optional<ShardPlan> PackWork::shard_plan() const {
  const fs::path path = folder_ / kShardPlanName;
  if (!fs::exists(path)) return std::nullopt;
  return parse_shard_plan(read_text(path, kMaxPlanBytes), path.string());
}

std::vector<UnitRecord> PackWork::unit_records(size_t num_units) const {
  std::vector<UnitRecord> records;
  for (size_t i = 0; i < num_units; ++i) records.push_back(load_unit_record(unit_folder(i)));
  return records;
}

std::vector<RunFile> PackWork::open_runs(const std::vector<UnitRecord>& units) const {
  std::vector<RunFile> runs;
  const int64_t most_open = descriptors_for_runs();
  for (size_t i = 0; i < units.size(); ++i) {
    for (const RunRecord& run : units[i].runs) {
      const bool keep_open = static_cast<int64_t>(runs.size()) < most_open;
      runs.emplace_back(unit_folder(i) / run.name, run.bytes, keep_open);
    }
  }
  return runs;
}

ShardEntry PackWork::shard_entry(const PlannedShard& shard, TokenType type) const {
  const fs::path path = folder_ / "shards" / (shard_name(shard) + ".json");
  return parse_shard_entry(read_text(path, kMaxEntryBytes), path.string(), type);
}

void PackWork::commit_shard_plan(const ShardPlan& shards) const {
  commit_file(folder_ / kShardPlanName, shard_plan_json(shards));
}

void PackWork::commit_shard(const PlannedShard& shard, const ShardEntry& entry) const {
  commit_file(folder_ / "shards" / (shard_name(shard) + ".json"), shard_entry_json(entry));
}

void PackWork::commit_plan(const PackPlan& pack) const {
  commit_file(folder_ / kPackPlanName, pack_plan_json(pack));
}

void PackWork::commit_packed(PackPlan plan) const {
  for (size_t i = 0; i < plan.units.size(); ++i) take_packed_files(plan, i);
  plan.packed = true;
  commit_plan(plan);
}

PackPlan PackWork::plan() const {
  const fs::path path = folder_ / kPackPlanName;
  return parse_pack_plan(read_text(path, kMaxPlanBytes), path.string());
}

std::optional<FileLock> PackWork::try_lock(const std::string& name) const {
  return FileLock::try_exclude(folder_ / "locks" / name);
}

FileLock PackWork::lock(const std::string& name) const {
  return FileLock::exclude(folder_ / "locks" / name);
}

std::optional<FileLock> PackWork::lock_all() const {
  std::optional<FileLock> lock =
      unless_gone([&] { return FileLock::exclude(folder_ / kLockName); });
  if (lock && !lock->is_current()) lock.reset();
  return lock;
}

void PackWork::finish() {
  for (const char* name : {"units", "locks", "shards", kShardPlanName}) {
    std::error_code error;
    fs::remove_all(folder_ / name, error);
    if (error) throw std::system_error(error, "remove " + (folder_ / name).string());
  }
  commit_staging_folder(output_);
  fs::remove(output_ / kLockName);
}

}  // namespace phalanx
