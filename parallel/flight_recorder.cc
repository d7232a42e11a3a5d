#include "parallel/flight_recorder.h"

#include <c10/util/Exception.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>

namespace phalanx {
namespace {

constexpr int kRing = 64;
constexpr int kGroups = 32;
constexpr int64_t kMagic = 0x31304c4650484c58;  // of this layout
constexpr const char* kPrefix = "phalanx-flight-";

using Field = std::atomic<int64_t>;
constexpr auto kRelaxed = std::memory_order_relaxed;

/// Members are first, first + stride, ...; a stride of -1 says that they are not so.
struct Group {
  Field name[2];  // 15 characters at most
  Field first, stride, size;
};

struct Slot {
  Field what;  // group * 256 + operation
  Field number, bytes, begun_ns, ended_ns;
};

[[noreturn]] void fail(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

std::string path_of(const std::string& file) { return fmt::format("{}/{}", kFlightFolder, file); }

/// A lock of the open file, gone with the last process that has it. False: another's is in the way.
bool lock(int descriptor, short kind) {
  struct flock whole {};
  whole.l_type = kind;
  return fcntl(descriptor, F_OFD_SETLK, &whole) == 0;
}

/// What processes that were killed have left: nobody holds its lock.
void remove_abandoned() {
  std::error_code unknown;
  for (const auto& entry : std::filesystem::directory_iterator(kFlightFolder, unknown)) {
    if (!entry.path().filename().string().starts_with(kPrefix)) continue;
    const int descriptor = open(entry.path().c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (descriptor < 0) continue;  // another user's
    if (lock(descriptor, F_RDLCK)) unlink(entry.path().c_str());
    close(descriptor);
  }
}

}  // namespace

/// The shared file. Numbers only, each stored by itself, so that a reader needs no lock.
struct FlightPage {
  Field magic, phase, step, steps_done, slowest_step_ns, progress_ns, overdue, spoke;
  Field num_groups;
  Field num_collectives;  // of all groups; the last one is in slot (num_collectives - 1) % kRing
  Field last_numbers[kGroups];
  Group groups[kGroups];
  Slot ring[kRing];
};

namespace {

FlightGroup group_of(const Group& stored) {
  const int64_t words[2] = {stored.name[0].load(kRelaxed), stored.name[1].load(kRelaxed)};
  char name[sizeof words] = "";
  std::memcpy(name, words, sizeof name - 1);
  FlightGroup group{name, {}};
  const int64_t first = stored.first.load(kRelaxed), stride = stored.stride.load(kRelaxed);
  for (int64_t i = 0; stride >= 0 && i < stored.size.load(kRelaxed); ++i) {
    group.members.push_back(static_cast<int>(first + i * stride));
  }
  return group;
}

int64_t stride_of(const std::vector<int>& members) {
  if (members.size() < 2) return 0;
  const int stride = members[1] - members[0];
  for (size_t i = 2; i < members.size(); ++i) {
    if (members[i] - members[i - 1] != stride) return -1;
  }
  return stride < 0 ? -1 : stride;
}

FlightSnapshot snapshot_of(const FlightPage& page) {
  FlightSnapshot found;
  found.phase = static_cast<RunPhase>(page.phase.load(kRelaxed));
  found.step = page.step.load(kRelaxed);
  found.steps_done = page.steps_done.load(kRelaxed);
  found.slowest_step_ns = page.slowest_step_ns.load(kRelaxed);
  found.progress_ns = page.progress_ns.load(std::memory_order_acquire);
  found.overdue = page.overdue.load(kRelaxed) != 0;
  found.spoke = page.spoke.load(kRelaxed) != 0;
  for (int64_t group = 0; group < page.num_groups.load(std::memory_order_acquire); ++group) {
    found.groups.push_back(group_of(page.groups[group]));
    found.last_numbers.push_back(page.last_numbers[group].load(kRelaxed));
  }
  const int64_t count = page.num_collectives.load(kRelaxed);
  for (int64_t i = std::max<int64_t>(0, count - kRing); i < count; ++i) {
    const Slot& slot = page.ring[i % kRing];
    const int64_t what = slot.what.load(kRelaxed);
    found.recent.push_back({static_cast<FlightOperation>(what % 256), static_cast<int>(what / 256),
                            slot.number.load(kRelaxed), slot.bytes.load(kRelaxed),
                            slot.begun_ns.load(kRelaxed), slot.ended_ns.load(kRelaxed)});
  }
  return found;
}

}  // namespace

const char* operation_name(FlightOperation operation) {
  constexpr const char* kNames[] = {"split",      "all_reduce", "reduce_scatter", "all_gather",
                                    "all_to_all", "broadcast",  "barrier"};
  return kNames[static_cast<size_t>(operation)];
}

const char* phase_text(RunPhase phase) {
  constexpr const char* kTexts[] = {"starting", "training", "evaluating", "saving", "ending"};
  return kTexts[static_cast<size_t>(phase)];
}

int64_t flight_now_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

FlightRecorder::FlightRecorder() {
  remove_abandoned();
  // Locked before it has a name, so that nobody takes it for an abandoned one.
  descriptor_ = open(kFlightFolder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (descriptor_ < 0) fail(fmt::format("make a file in {}", kFlightFolder));
  file_ = fmt::format("{}{}-{}", kPrefix, getpid(), flight_now_ns());
  const std::string path = path_of(file_);
  if (!lock(descriptor_, F_WRLCK) || ftruncate(descriptor_, sizeof(FlightPage)) != 0) {
    fail(path);
  }
  void* memory =
      mmap(nullptr, sizeof(FlightPage), PROT_READ | PROT_WRITE, MAP_SHARED, descriptor_, 0);
  if (memory == MAP_FAILED) fail("map " + path);
  page_ = new (memory) FlightPage{};
  page_->progress_ns = flight_now_ns();
  page_->magic = kMagic;
  const std::string nameless = fmt::format("/proc/self/fd/{}", descriptor_);
  if (linkat(AT_FDCWD, nameless.c_str(), AT_FDCWD, path.c_str(), AT_SYMLINK_FOLLOW) != 0) {
    fail("link " + path);
  }
}

FlightRecorder::~FlightRecorder() {
  unlink(path_of(file_).c_str());
  munmap(page_, sizeof(FlightPage));
  close(descriptor_);
}

int FlightRecorder::add_group(const std::string& name, const std::vector<int>& members) {
  const int64_t index = page_->num_groups.load(kRelaxed);
  TORCH_CHECK(index < kGroups, "flight recorder: more than ", kGroups, " groups");
  Group& group = page_->groups[index];
  int64_t words[2] = {0, 0};
  std::memcpy(words, name.data(), std::min(name.size(), sizeof words - 1));
  for (int i = 0; i < 2; ++i) group.name[i].store(words[i], kRelaxed);
  group.first.store(members.front(), kRelaxed);
  group.stride.store(stride_of(members), kRelaxed);
  group.size.store(static_cast<int64_t>(members.size()), kRelaxed);
  page_->num_groups.store(index + 1, std::memory_order_release);
  return static_cast<int>(index);
}

void FlightRecorder::begin(int group, FlightOperation operation, int64_t bytes) {
  Slot& slot = page_->ring[next_ % kRing];
  Field& last = page_->last_numbers[group];
  begun_ns_ = flight_now_ns();
  slot.what.store(int64_t{group} * 256 + static_cast<int64_t>(operation), kRelaxed);
  slot.number.store(last.load(kRelaxed) + 1, kRelaxed);
  slot.bytes.store(bytes, kRelaxed);
  slot.begun_ns.store(begun_ns_, kRelaxed);
  slot.ended_ns.store(0, kRelaxed);
  last.store(last.load(kRelaxed) + 1, kRelaxed);
  page_->num_collectives.store(++next_, kRelaxed);
  note_progress(begun_ns_);
}

void FlightRecorder::end() {
  const int64_t now = flight_now_ns();
  page_->ring[(next_ - 1) % kRing].ended_ns.store(now, kRelaxed);
  note_progress(now);
  collective_ns_ += now - begun_ns_;
}

/// Ranks that wait for a save ask each other again and again whether it is done; that alone is no
/// progress of it.
void FlightRecorder::note_progress(int64_t now) {
  if (phase() != RunPhase::kSave) page_->progress_ns.store(now, std::memory_order_release);
}

void FlightRecorder::enter(RunPhase phase) {
  page_->phase.store(static_cast<int64_t>(phase), kRelaxed);
  page_->progress_ns.store(flight_now_ns(), std::memory_order_release);
}

RunPhase FlightRecorder::phase() const {
  return static_cast<RunPhase>(page_->phase.load(kRelaxed));
}

void FlightRecorder::begin_step(int64_t step) {
  step_begun_ns_ = flight_now_ns();
  page_->step.store(step, kRelaxed);
  page_->progress_ns.store(step_begun_ns_, std::memory_order_release);
}

void FlightRecorder::end_step() {
  const int64_t now = flight_now_ns();
  // The first step fills caches and pools: it says nothing about the others.
  if (page_->steps_done.load(kRelaxed) > 0) {
    page_->slowest_step_ns.store(
        std::max(page_->slowest_step_ns.load(kRelaxed), now - step_begun_ns_), kRelaxed);
  }
  page_->steps_done.store(page_->steps_done.load(kRelaxed) + 1, kRelaxed);
  page_->progress_ns.store(now, std::memory_order_release);
}

void FlightRecorder::note_overdue() { page_->overdue.store(1, kRelaxed); }

void FlightRecorder::note_spoke() { page_->spoke.store(1, kRelaxed); }

FlightSnapshot FlightRecorder::snapshot() const { return snapshot_of(*page_); }

FlightReader::FlightReader(const std::string& file) {
  const std::string path = path_of(file);
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (descriptor < 0) fail("open " + path);
  void* memory = mmap(nullptr, sizeof(FlightPage), PROT_READ, MAP_SHARED, descriptor, 0);
  close(descriptor);
  if (memory == MAP_FAILED) fail("map " + path);
  page_ = static_cast<const FlightPage*>(memory);
  TORCH_CHECK(page_->magic.load() == kMagic, path, ": not the page of a flight recorder");
}

FlightReader::~FlightReader() {
  munmap(const_cast<void*>(static_cast<const void*>(page_)), sizeof(FlightPage));
}

FlightSnapshot FlightReader::snapshot() const { return snapshot_of(*page_); }

FlightPhase::FlightPhase(FlightRecorder* recorder, RunPhase phase)
    : recorder_(recorder), before_(recorder ? recorder->phase() : phase) {
  if (recorder_) recorder_->enter(phase);
}

FlightPhase::~FlightPhase() {
  if (recorder_) recorder_->enter(before_);
}

}  // namespace phalanx
