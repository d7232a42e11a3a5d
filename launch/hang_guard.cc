#include "launch/hang_guard.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <fstream>
#include <optional>
#include <set>
#include <thread>

#include "launch/hang_files.h"
#include "parallel/exit_codes.h"
#include "parallel/hang_report.h"
#include "parallel/thread_stacks.h"

namespace phalanx {
namespace {

// For the others to notice as well, before the lowest of them is taken for the speaker.
constexpr std::chrono::milliseconds kGathering{500};
// For the speaker to have begun, and then to have ended: a launcher ends all when the first one
// leaves.
constexpr std::chrono::milliseconds kHearing{2000}, kSpeaking{1000}, kHearingPoll{20};
// For all of that, with room: what hangs may be the file system that the report goes to.
constexpr std::chrono::seconds kReporting{6};
// For the launcher's daemon, and for mpirun, to end once its ranks have. mpirun has longer than a
// supervisor gives it, which would ask it first and knows what its end means.
constexpr int kDaemonSeconds = 5, kMpirunSeconds = 7;

void print_hang(const std::string& text, const std::filesystem::path& folder) {
  std::string message = "phalanx: hang: " + text + "\n";
  if (!folder.empty()) message += fmt::format("  stacks: {}/rank-*.txt\n", folder.string());
  // stdio's lock may be held by a thread that hangs in a write.
  const char* begin = message.data();
  size_t left = message.size();
  while (left > 0) {
    const ssize_t written = write(STDERR_FILENO, begin, left);
    if (written <= 0) return;
    begin += written;
    left -= static_cast<size_t>(written);
  }
}

}  // namespace

HangGuard::HangGuard()
    : watchdog_(recorder_,
                {[this](double silent_seconds) { end_hang(silent_seconds); },
                 [this] { return launcher_.is_lost(); },
                 [] { _exit(static_cast<int>(ExitCode::kHang)); }},
                WatchdogLimits{}) {
  prepare_thread_stacks();
}

void HangGuard::meet(Session& session) {
  peers_ = meet_flight_peers(session.control(), recorder_);
  has_peers_.store(true, std::memory_order_release);
}

void HangGuard::set_folder(const std::filesystem::path& hangs) {
  folder_ = hangs;
  has_folder_.store(true, std::memory_order_release);
}

/// The ranks whose pages lie on this host; before they have met, this one.
std::vector<RankState> HangGuard::visible_states() const {
  std::vector<RankState> states;
  if (!has_peers_.load(std::memory_order_acquire)) {
    states.push_back({0, "this host", getpid(), recorder_.snapshot(), flight_now_ns(), ""});
    return states;
  }
  for (const FlightPeer& peer : peers_.ranks) states.push_back(peer.state());
  return states;
}

/// Has another rank said it already, of this host or by way of the folder?
bool HangGuard::another_spoke(int mine) const {
  if (!has_peers_.load(std::memory_order_acquire)) return false;
  for (const FlightPeer& peer : peers_.ranks) {
    if (peer.rank != mine && peer.page && peer.page->snapshot().spoke) return true;
  }
  if (!has_folder_.load(std::memory_order_acquire)) return false;
  std::ifstream file(folder_ / "report.txt");
  std::string job;
  return std::getline(file, job) && job == "job " + peers_.job;
}

int HangGuard::rank() const { return has_peers_.load(std::memory_order_acquire) ? peers_.rank : 0; }

/// Until another rank has said it, or none will.
void HangGuard::hear_speaker(int mine) const {
  const auto start = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() - start < kHearing) {
    if (another_spoke(mine)) return std::this_thread::sleep_for(kSpeaking);
    std::this_thread::sleep_for(kHearingPoll);
  }
}

void HangGuard::report(double silent_seconds) {
  const bool met = has_peers_.load(std::memory_order_acquire);
  const bool has_folder = met && has_folder_.load(std::memory_order_acquire);
  const int mine = rank();
  std::vector<RankState> states = visible_states();
  if (has_folder) {
    write_hang_note(folder_, {peers_.job, mine, silent_seconds, states}, thread_stacks());
  }
  std::this_thread::sleep_for(kGathering);
  states = visible_states();
  std::set<int> overdue{mine};
  for (const RankState& rank : states) {
    if (rank.last && rank.last->overdue && rank.process.empty()) overdue.insert(rank.rank);
  }
  if (has_folder) {
    const std::vector<HangNote> notes = read_hang_notes(folder_, peers_.job);
    for (const HangNote& note : notes) overdue.insert(note.rank);
    for (const RankState& heard : states_of(notes)) {
      const auto known = std::find_if(states.begin(), states.end(), [&](const RankState& one) {
        return one.rank == heard.rank && !one.last;
      });
      if (known != states.end()) *known = heard;
    }
  }
  if (*overdue.begin() != mine || another_spoke(mine)) return hear_speaker(mine);
  const std::string text = hang_report(mine, silent_seconds, states);
  recorder_.note_spoke();
  print_hang(text, has_folder ? folder_ : std::filesystem::path());
  if (has_folder) {
    std::ofstream(folder_ / "report.txt") << "job " << peers_.job << "\n" << text << "\n";
  }
}

void HangGuard::end_hang(double silent_seconds) {
  recorder_.note_overdue();
  std::atomic<bool> done{false};
  std::thread([&] {
    try {
      report(silent_seconds);
    } catch (const std::exception& error) {
      print_hang(
          fmt::format("process {} has made no progress for {:.1f} s, and cannot say more: {}",
                      getpid(), silent_seconds, error.what()),
          {});
      hear_speaker(rank());
    }
    done = true;
  }).detach();
  const auto start = std::chrono::steady_clock::now();
  while (!done && std::chrono::steady_clock::now() - start < kReporting) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  if (!done && !recorder_.snapshot().spoke) {
    print_hang(fmt::format("process {} has made no progress for {:.1f} s, and its report hangs too",
                           getpid(), silent_seconds),
               {});
  }
  launcher_.end_launcher_after(kDaemonSeconds, kMpirunSeconds);
  _exit(static_cast<int>(ExitCode::kHang));
}

}  // namespace phalanx
