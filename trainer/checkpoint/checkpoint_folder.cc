#include "trainer/checkpoint/checkpoint_folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <exception>
#include <new>
#include <sstream>
#include <stdexcept>
#include <string_view>
#include <system_error>
#include <tuple>

#include "data/file.h"
#include "data/folder_contents.h"
#include "parallel/agreement.h"
#include "trainer/checkpoint/checkpoint_reader.h"

namespace phalanx {
namespace {

constexpr std::string_view kPrefix = "step-";
constexpr const char* kTrash = ".trash";
constexpr const char* kReplaced = ".old";

std::optional<int64_t> step_of(const std::string& name) {
  if (!name.starts_with(kPrefix)) return std::nullopt;
  const char* begin = name.data() + kPrefix.size();
  const char* end = name.data() + name.size();
  int64_t step = 0;
  const auto [stop, error] = std::from_chars(begin, end, step);
  const bool whole = error == std::errc() && stop == end && step >= 0;
  return whole ? std::optional(step) : std::nullopt;
}

// In one step: a deletion that is cut short leaves no half of a checkpoint under its name.
void remove_checkpoint(const std::filesystem::path& path) {
  const std::filesystem::path trash = path.parent_path() / kTrash;
  make_folders(trash);
  const std::filesystem::path moved = trash / path.filename();
  remove_path(moved);
  rename_path(path, moved);
  sync_folder(path.parent_path());
  remove_path(moved);
}

// step-N for step-N.tmp with the suffix .tmp; nothing for all other names.
std::optional<std::filesystem::path> without_suffix(const std::filesystem::path& path,
                                                    std::string_view suffix) {
  if (path.extension() != suffix || !step_of(path.stem().string())) return std::nullopt;
  return path.parent_path() / path.stem();
}

// Where exchange_paths() cannot: for a moment nothing has the name `path`, and take_back_replaced()
// helps after a power cut.
void swap_by_renames(const std::filesystem::path& path, const std::filesystem::path& staging) {
  const std::filesystem::path old = path.string() + kReplaced;
  rename_path(path, old);
  try {
    sync_folder(path.parent_path());
    rename_path(staging, path);
  } catch (...) {
    rename_path(old, path);
    throw;
  }
  sync_folder(path.parent_path());
  rename_path(old, staging);
}

void take_back_replaced(const std::filesystem::path& folder) {
  if (!std::filesystem::exists(folder)) return;
  for (const std::filesystem::path& path : paths_in(folder)) {
    const auto checkpoint = without_suffix(path, kReplaced);
    if (!checkpoint || std::filesystem::exists(*checkpoint)) continue;
    rename_path(path, *checkpoint);
    sync_folder(folder);
  }
}

std::filesystem::path free_abandoned_path(const CheckpointEntry& entry) {
  const std::string name =
      (entry.path.parent_path() / fmt::format("abandoned-{:06}", entry.step)).string();
  std::filesystem::path path = name;
  for (int copy = 2; std::filesystem::exists(path); ++copy) path = fmt::format("{}.{}", name, copy);
  return path;
}

bool is_complete(const std::filesystem::path& path) {
  try {
    const CheckpointReader reader(path);
    return true;
  } catch (const std::bad_alloc&) {  // says nothing of the checkpoint
    throw;
  } catch (const std::exception&) {
    return false;
  }
}

// Empty when this rank's part of the blocks is whole.
std::string part_error(const std::filesystem::path& path, int part, int num_parts) {
  try {
    CheckpointReader(path).verify(part, num_parts);
    return "";
  } catch (const std::bad_alloc&) {  // the checkpoint may well be whole
    throw;
  } catch (const std::exception& error) {
    return error.what();
  }
}

int64_t position_of(const CheckpointEntry& entry, Duration::Unit unit) {
  const CheckpointReader reader(entry.path);
  return unit == Duration::Unit::kSteps ? entry.step : reader.manifest().tokens;
}

/// Is each entry (oldest first) the first whole one at or past a multiple of `every`? One that
/// could not be read just now may be.
std::vector<bool> permanent_ones(const std::vector<CheckpointEntry>& entries,
                                 const Duration& every) {
  std::vector<bool> permanent(entries.size(), false);
  if (every.count == 0) return permanent;
  int64_t multiples_before = 0;
  for (size_t i = 0; i < entries.size(); ++i) {
    try {
      const int64_t multiples = position_of(entries[i], every.unit) / every.count;
      permanent[i] = multiples > multiples_before;
      multiples_before = multiples;
    } catch (const std::invalid_argument&) {  // damaged
    } catch (const std::system_error& error) {
      permanent[i] = error.code() != std::errc::no_such_file_or_directory;
    }
  }
  return permanent;
}

}  // namespace

std::filesystem::path checkpoint_path(const std::filesystem::path& folder, int64_t step) {
  return folder / fmt::format("{}{:06}", kPrefix, step);
}

std::vector<CheckpointEntry> list_checkpoints(const std::filesystem::path& folder) {
  std::vector<CheckpointEntry> entries;
  if (!std::filesystem::exists(folder)) return entries;
  for (const std::filesystem::path& path : paths_in(folder)) {
    const std::optional<int64_t> step = step_of(path.filename().string());
    if (step && std::filesystem::is_directory(path)) entries.push_back({path, *step});
  }
  std::sort(entries.begin(), entries.end(), [](const CheckpointEntry& a, const CheckpointEntry& b) {
    return std::tie(a.step, a.path) < std::tie(b.step, b.path);
  });
  return entries;
}

std::string verify_checkpoint(const std::filesystem::path& path, Communicator& control) {
  const std::string mine = part_error(path, control.rank(), control.size());
  for (const std::string& error : all_gather_strings(control, mine)) {
    if (!error.empty()) return error;
  }
  return "";
}

FoundCheckpoint find_checkpoint(const std::filesystem::path& folder, Communicator& control) {
  // One rank's listing counts: another's may be older on a network file system.
  std::string names;
  run_together(control, [&] {
    if (control.rank() != 0) return;
    take_back_replaced(folder);
    for (const CheckpointEntry& entry : list_checkpoints(folder)) {
      names = entry.path.filename().string() + "\n" + names;
    }
  });
  std::istringstream newest_first(all_gather_strings(control, names).front());
  FoundCheckpoint found;
  for (std::string name; std::getline(newest_first, name);) {
    const std::string error = verify_checkpoint(folder / name, control);
    if (error.empty()) {
      found.path = folder / name;
      return found;
    }
    found.notes.push_back(error);
  }
  return found;
}

void clean_checkpoints(const std::filesystem::path& folder) {
  if (!std::filesystem::exists(folder)) return;
  take_back_replaced(folder);
  for (const std::filesystem::path& path : paths_in(folder)) {
    const bool leftover = without_suffix(path, ".tmp") || without_suffix(path, kReplaced);
    if (leftover || path.filename() == kTrash) remove_path(path);
  }
}

void prune_checkpoints(const std::filesystem::path& folder, int64_t newest,
                       const Retention& retention) {
  if (retention.keep_last <= 0) return;
  std::vector<CheckpointEntry> entries = list_checkpoints(folder);
  std::erase_if(entries, [&](const CheckpointEntry& entry) { return entry.step > newest; });
  const std::vector<bool> permanent = permanent_ones(entries, retention.keep_every);
  int64_t kept = 1;  // the newest
  for (size_t i = entries.size(); i-- > 0;) {
    if (entries[i].step == newest) continue;
    std::error_code ignored;
    const bool resumed =
        !retention.resumed_from.empty() &&
        std::filesystem::equivalent(entries[i].path, retention.resumed_from, ignored);
    if (kept < retention.keep_last) {
      kept += is_complete(entries[i].path);
    } else if (!resumed && !permanent[i]) {
      remove_checkpoint(entries[i].path);
    }
  }
}

// Oldest first: what an interruption leaves to choose is the newest of either branch.
void set_aside_others(const std::filesystem::path& folder, int64_t step, int64_t branch_step) {
  for (const CheckpointEntry& entry : list_checkpoints(folder)) {
    if (entry.step <= branch_step || entry.step == step) continue;
    rename_path(entry.path, free_abandoned_path(entry));
    sync_folder(folder);
  }
}

void swap_with_staging(const std::filesystem::path& path) {
  const std::filesystem::path staging = staging_folder(path);
  sync_folder(staging);
  if (!exchange_paths(staging, path)) swap_by_renames(path, staging);
  sync_folder(path.parent_path());
}

}  // namespace phalanx
