#pragma once
// The unfinished folder of a packing job, OUTPUT.tmp: what lies where, and what is done already.
// Every process of the job looks at the same folder, so its files are all they need to agree on.
//
//   pack.json               the plan (pack_plan.h); pack.lock: held by every process at work
//   units/000000/           sorted runs of a unit and unit.json; there when the unit is done
//   shards.json             how shards are cut (shard_plan.h); there when it is decided
//   shards/train-00000.json the manifest's entry of a shard; there when the shard is done
//   train/, validation/     what will stay
//   locks/                  of single units and shards, so that no two processes do one at once
//
// Local; const methods look at the disk. Errors: std::system_error, std::invalid_argument.
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "data/file_lock.h"
#include "data/shards/dataset_manifest.h"
#include "data/shards/pack_plan.h"
#include "data/shards/run_merge.h"
#include "data/shards/shard_plan.h"
#include "data/shards/unit_record.h"

namespace phalanx {

class PackWork {
 public:
  explicit PackWork(const std::filesystem::path& output);

  /// Makes the folder for `asked`, or goes on with the same job that was begun there. Returns the
  /// plan, or nothing when the output folder is there and was made by the same job. Holds the
  /// folder until release(), so that nobody finishes it meanwhile.
  [[nodiscard]] std::optional<PackPlan> open(const PackPlan& asked);
  void release() { in_use_.reset(); }
  /// False when processes that do the same at once are not kept apart here. Once it is open.
  bool has_locks() const { return has_locks_; }

  const std::filesystem::path& folder() const { return folder_; }
  std::filesystem::path unit_folder(size_t unit) const;
  std::filesystem::path part_folder(const PlannedShard& shard) const;

  bool unit_is_done(size_t unit) const { return std::filesystem::exists(unit_folder(unit)); }
  bool shard_is_done(const PlannedShard& shard) const;
  int64_t units_done() const;
  /// 0 too when another process has finished the job.
  int64_t shards_left() const;
  std::optional<ShardPlan> shard_plan() const;
  std::vector<UnitRecord> unit_records(size_t num_units) const;
  std::vector<RunFile> open_runs(const std::vector<UnitRecord>& units) const;
  ShardEntry shard_entry(const PlannedShard& shard, TokenType type) const;

  void commit_shard_plan(const ShardPlan& plan) const;
  void commit_shard(const PlannedShard& shard, const ShardEntry& entry) const;
  void commit_plan(const PackPlan& plan) const;
  /// The plan as it stays: packed, with the input files as the units read them.
  void commit_packed(PackPlan plan) const;
  PackPlan plan() const;

  /// Nothing when another process has it in hand.
  std::optional<FileLock> try_lock(const std::string& name) const;
  FileLock lock(const std::string& name) const;
  /// Waits until no other process works in the folder. Nothing when it was finished meanwhile.
  std::optional<FileLock> lock_all() const;
  static std::string unit_name(size_t unit);
  static std::string shard_name(const PlannedShard& shard);

  /// Removes all but what stays, and gives the folder its final name.
  void finish();

 private:
  bool is_complete(const PackPlan& asked) const;
  bool begin(const PackPlan& asked) const;
  /// Another job that was begun there gives way, if none of its units is done and no process is at
  /// work on it: a first attempt with a wrong option blocks nothing.
  bool replace(const PackPlan& asked);
  /// Gives `there` the files of finished units as they were packed, which must not have changed
  /// since, and the others as they are now.
  void take_inputs(PackPlan& there, const PackPlan& asked) const;
  void take_packed_files(PackPlan& plan, size_t unit) const;

  std::filesystem::path output_, folder_;
  std::optional<FileLock> in_use_;
  bool has_locks_ = true;
};

}  // namespace phalanx
