#include "launch/run_folder.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <optional>
#include <stdexcept>
#include <thread>

#include "data/file.h"
#include "trainer/attempt_start.h"
#include "trainer/checkpoint/checkpoint_folder.h"
#include "trainer/metrics/attempts.h"

namespace phalanx {
namespace {

namespace fs = std::filesystem;

// `phalanx runs` and the supervisor hold the lock for a moment to see whether someone has it.
constexpr int kTries = 10;
constexpr std::chrono::milliseconds kBetweenTries{20};

std::optional<FileLock> take_lock(const fs::path& path) {
  for (int tries = 1;; ++tries) {
    std::optional<FileLock> lock = FileLock::try_exclude(path);
    if (lock || tries == kTries) return lock;
    std::this_thread::sleep_for(kBetweenTries);
  }
}

}  // namespace

FileLock take_run_folder(const fs::path& run_folder, const std::string& config_yaml,
                         TrainState& state) {
  make_folders(run_folder / "checkpoints");
  std::optional<FileLock> lock = take_lock(run_folder / "lock");
  if (!lock) {
    throw std::invalid_argument(fmt::format(
        "run.name: expected {} to be free, found another phalanx train at work in it: wait for it "
        "to end, or choose another run.name",
        run_folder.string()));
  }
  if (!lock->keeps_others_out()) {
    std::fprintf(stderr,
                 "warning: the file system of %s has no locks: see to it that no second "
                 "phalanx train works there\n",
                 run_folder.c_str());
  }
  clean_checkpoints(run_folder / "checkpoints");
  fs::remove(run_folder / "stop");  // of an earlier stop: it has been obeyed
  state.attempt = next_attempt(run_folder / "metrics.jsonl");
  commit_file(run_folder / "config.yaml", config_yaml);
  save_attempt_start(run_folder, {config_yaml, state});
  return std::move(*lock);
}

}  // namespace phalanx
