#include "launch/run_folder.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <system_error>
#include <thread>

#include "data/file.h"
#include "launch/commands/terminal_text.h"
#include "launch/environment.h"
#include "parallel/host_name.h"
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

// The lock holds one line, for those whom it keeps out. It stays when its writer ends, and locks
// of earlier versions are empty.
constexpr std::string_view kHolder = "process ";
constexpr int64_t kMaxLockBytes = 1024;

std::string own_line() {
  const std::string job = environment("SLURM_JOB_ID").value_or("");
  return fmt::format("{}{} on {} since {:%Y-%m-%d %H:%M:%S} UTC{}\n", kHolder, getpid(),
                     host_name(), fmt::gmtime(std::time(nullptr)),
                     job.empty() ? "" : ", Slurm job " + job);
}

void write_holder(const FileLock& lock) {
  const std::string line = own_line();
  // The descriptor of the lock itself: on some file systems a second one would end it when closed.
  const int descriptor = lock.file().descriptor();
  const bool written = ::ftruncate(descriptor, 0) == 0 &&
                       ::write(descriptor, line.data(), line.size()) == ssize_t(line.size()) &&
                       ::fdatasync(descriptor) == 0;  // for other hosts to read
  if (written) return;
  std::fprintf(stderr, "warning: %s: who holds it is not noted\n", lock.file().path().c_str());
}

/// What the holder has written, in brackets; empty where there is nothing to be read.
std::string holder_in(const fs::path& path) {
  std::string line;
  try {
    line = read_text(path, kMaxLockBytes);
  } catch (const std::system_error&) {  // the refusal is what matters
  } catch (const std::invalid_argument&) {
  }
  if (!line.starts_with(kHolder)) return "";
  line.resize(std::min(line.find('\n'), line.size()));
  return fmt::format(" (by its lock file, held by {})", terminal_text(line, LineEnds::kEscape));
}

}  // namespace

FileLock take_run_folder(const fs::path& run_folder, const std::string& config_yaml,
                         TrainState& state) {
  make_folders(run_folder / "checkpoints");
  std::optional<FileLock> lock = take_lock(run_folder / "lock");
  if (!lock) {
    throw std::invalid_argument(fmt::format(
        "run.name: expected {} to be free, found another phalanx train at work in it{}: wait for "
        "it to end, or choose another run.name",
        run_folder.string(), holder_in(run_folder / "lock")));
  }
  if (!lock->keeps_others_out()) {
    std::fprintf(stderr,
                 "warning: the file system of %s has no locks: see to it that no second "
                 "phalanx train works there\n",
                 run_folder.c_str());
  }
  write_holder(*lock);
  clean_checkpoints(run_folder / "checkpoints");
  fs::remove(run_folder / "stop");  // of an earlier stop: it has been obeyed
  state.attempt = next_attempt(run_folder / "metrics.jsonl");
  commit_file(run_folder / "config.yaml", config_yaml);
  save_attempt_start(run_folder, {config_yaml, state});
  return std::move(*lock);
}

}  // namespace phalanx
