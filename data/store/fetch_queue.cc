#include "data/store/fetch_queue.h"

#include <fmt/format.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <set>
#include <stdexcept>
#include <utility>

namespace phalanx {
namespace {

constexpr double kLookAgain = 0.03;  // for a file that another process fetches, or for room
constexpr double kAheadLookAgain = 0.3;
constexpr double kFirstContact = 20;  // of patience, when a run starts
constexpr double kStall = 30;
// Of its patience, for a process that has waited for another one to fetch the file: a store that
// brought nothing to the first shall not keep all ranks of a host waiting in turn.
constexpr double kLeftOfPatience = 0.1;

double now_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

std::filesystem::path cache_folder(const StoreSettings& settings,
                                   const StoreEnvironment& environment) {
  if (!settings.cache.empty()) return std::filesystem::absolute(settings.cache);
  return std::filesystem::path(environment.temporary_folder) /
         fmt::format("phalanx-cache-{}", ::geteuid());
}

FetchQueue::FetchQueue(const StoreSettings& settings, const StoreEnvironment& environment,
                       std::function<void()> let_go)
    : settings_(settings),
      requests_(settings, environment),
      cache_(cache_folder(settings, environment), settings.cache_bytes),
      let_go_(std::move(let_go)) {
  limits_.ca_file = environment.ca_file;
  limits_.stall_seconds = std::clamp(settings.patience_seconds / 4, 1.0, kStall);
  limits_.connect_seconds = std::min(limits_.connect_seconds, limits_.stall_seconds);
  // Signals are for the program's own threads.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  for (int64_t i = 0; i < settings_.connections; ++i) threads_.emplace_back([this] { work(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

FetchQueue::~FetchQueue() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  work_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

uint64_t FetchQueue::new_user() {
  const std::lock_guard lock(mutex_);
  return num_users_++;
}

FetchCounts FetchQueue::counts() const {
  const std::lock_guard lock(mutex_);
  return counts_;
}

Fetcher FetchQueue::make_fetcher(const Patience& patience, std::function<bool()> unwanted) const {
  HttpLimits limits = limits_;
  limits.stall_seconds = std::clamp(patience.seconds / 4, 1.0, limits.stall_seconds);
  limits.connect_seconds = std::min(limits.connect_seconds, limits.stall_seconds);
  return Fetcher(
      requests_, limits, patience, [this] { return stop_.load(); }, std::move(unwanted));
}

/// For what a run asks for before it does anything else, where nobody wants to wait long.
Fetcher FetchQueue::make_first_fetcher() const {
  const Patience patience = settings_.patience_seconds <= kFirstContact
                                ? Patience(settings_.patience_seconds)
                                : Patience(kFirstContact, "at a start; later data.store.patience");
  return make_fetcher(patience, [] { return false; });
}

FetchedText FetchQueue::text(const Places& places, const std::string& name, int64_t max_bytes) {
  return make_first_fetcher().text(places, name, max_bytes);
}

void FetchQueue::check(const StoredFile& file) {
  make_first_fetcher().check(*file.places, file.file);
}

HeldFile FetchQueue::hold(uint64_t user, const StoredFile& file) {
  std::unique_lock lock(mutex_);
  const CacheKey key = file.key();
  const int64_t cancels = cancels_[user];
  Job& job = jobs_[key];
  ++job.waiting;
  job.file = file;
  job.error = nullptr;
  job.not_before = 0;
  work_.notify_all();
  done_.wait(lock, [&] { return job.held || job.error || cancels_[user] != cancels; });
  --job.waiting;
  std::shared_ptr<const CachedFile> held = job.held;
  const std::exception_ptr error = held ? nullptr : job.error;
  sweep();
  if (error) std::rethrow_exception(error);
  if (!held) throw FetchStopped();
  return {held->lock.file().path(), held};
}

void FetchQueue::expect(uint64_t user, const std::vector<StoredFile>& files) {
  const std::lock_guard lock(mutex_);
  std::vector<CacheKey>& expected = expected_[user];
  expected.clear();
  for (const StoredFile& file : files) {
    expected.push_back(file.key());
    jobs_[file.key()].file = file;
  }
  sweep();
  work_.notify_all();
}

void FetchQueue::stop_waiting(uint64_t user) {
  const std::lock_guard lock(mutex_);
  ++cancels_[user];
  done_.notify_all();
}

/// Forgets what nobody waits for or expects.
void FetchQueue::sweep() {
  std::set<CacheKey> expected;
  for (const auto& [user, keys] : expected_) expected.insert(keys.begin(), keys.end());
  for (auto job = jobs_.begin(); job != jobs_.end();) {
    const bool wanted = job->second.waiting > 0 || expected.contains(job->first);
    if (!wanted) job->second.held = nullptr;
    if (job->second.busy) job->second.unwanted->store(!wanted);
    job = wanted || job->second.busy ? std::next(job) : jobs_.erase(job);
  }
}

bool FetchQueue::is_ready(const Job& job, double now, double& wake_at) const {
  if (job.busy || job.held || job.error) return false;
  if (job.not_before <= now) return true;
  wake_at = std::min(wake_at, job.not_before);
  return false;
}

/// What to do next: what is waited for, then what is expected soonest, of all users in turn.
FetchQueue::Job* FetchQueue::pick(double now, double& wake_at) {
  bool lacks_room = false;
  for (auto& [key, job] : jobs_) {
    if (job.waiting == 0) continue;
    if (is_ready(job, now, wake_at)) return &job;
    lacks_room |= job.without_room_since > 0;
  }
  if (lacks_room) return nullptr;
  size_t longest = 0;
  for (const auto& [user, keys] : expected_) longest = std::max(longest, keys.size());
  for (size_t place = 0; place < longest; ++place) {
    for (const auto& [user, keys] : expected_) {
      if (place >= keys.size()) continue;
      Job& job = jobs_.at(keys[place]);
      if (is_ready(job, now, wake_at)) return &job;
    }
  }
  return nullptr;
}

void FetchQueue::work() {
  const auto unwanted = std::make_shared<std::atomic<bool>>(false);
  Fetcher fetcher =
      make_fetcher(settings_.patience_seconds, [unwanted] { return unwanted->load(); });
  std::unique_lock lock(mutex_);
  while (!stop_) {
    const double now = now_seconds();
    double wake_at = now + 3600;
    if (Job* job = pick(now, wake_at)) {
      unwanted->store(false);
      job->unwanted = unwanted;
      run(lock, *job, fetcher);
    } else {
      work_.wait_for(lock, std::chrono::duration<double>(wake_at - now));
    }
  }
}

/// The job stays where it is while it is busy.
void FetchQueue::run(std::unique_lock<std::mutex>& lock, Job& job, Fetcher& fetcher) {
  job.busy = true;
  const StoredFile file = job.file;
  const double waited = job.elsewhere_since == 0
                            ? 0
                            : std::min(now_seconds() - job.elsewhere_since,
                                       (1 - kLeftOfPatience) * settings_.patience_seconds);
  lock.unlock();
  std::shared_ptr<const CachedFile> held;
  std::optional<ShardCache::Refusal> refusal;
  std::exception_ptr error;
  try {
    refusal = get(file, fetcher, waited, held);
  } catch (const FetchStopped&) {
    refusal = ShardCache::Refusal::kThere;  // somebody may want it again by now
  } catch (...) {
    error = std::current_exception();
  }
  lock.lock();
  job.busy = false;
  job.held = held;
  job.error = error;
  if (refusal) {
    postpone(job, *refusal);
  } else {
    job.without_room_since = job.elsewhere_since = 0;
  }
  sweep();
  work_.notify_all();
  done_.notify_all();
}

/// The file, or why it cannot be had now.
std::optional<ShardCache::Refusal> FetchQueue::get(const StoredFile& file, Fetcher& fetcher,
                                                   double waited,
                                                   std::shared_ptr<const CachedFile>& held) {
  held = cache_.find(file.key());
  if (held) return std::nullopt;
  auto begun = cache_.begin(file.key());
  if (const auto* refusal = std::get_if<ShardCache::Refusal>(&begun)) return *refusal;
  const auto& writer = std::get<std::unique_ptr<CacheWriter>>(begun);
  const int failures = fetcher.fetch(*file.places, file.file, *writer, waited);
  writer->commit();
  held = cache_.find(file.key());
  const std::lock_guard lock(mutex_);
  counts_.files += 1;
  counts_.bytes += file.file.bytes;
  counts_.failures += failures;
  return held ? std::nullopt : std::optional(ShardCache::Refusal::kThere);
}

void FetchQueue::postpone(Job& job, ShardCache::Refusal refusal) {
  const double now = now_seconds();
  job.not_before = now;
  if (refusal == ShardCache::Refusal::kThere) return;
  const bool elsewhere = refusal == ShardCache::Refusal::kElsewhere;
  job.elsewhere_since = !elsewhere ? 0 : job.elsewhere_since == 0 ? now : job.elsewhere_since;
  job.not_before += job.waiting > 0 ? kLookAgain : kAheadLookAgain;
  if (elsewhere || job.waiting == 0) return;
  if (job.without_room_since == 0) job.without_room_since = now;
  let_go_of_the_last();
  if (now - job.without_room_since < settings_.patience_seconds) return;
  job.error = std::make_exception_ptr(std::invalid_argument(fmt::format(
      "data.store.cache_bytes: {} of {} bytes: expected room for {} of {} bytes, found all of it "
      "in "
      "use by this run and others of the host for {:.0f} s: allow more, or name another folder "
      "(data.store.cache)",
      cache_.folder().string(), cache_.max_bytes(), job.file.file.name, job.file.file.bytes,
      now - job.without_room_since)));
}

/// Of the files that are held ahead the one that is read last of all, and open files that are idle.
void FetchQueue::let_go_of_the_last() {
  Job* last = nullptr;
  size_t last_place = 0;
  for (const auto& [user, keys] : expected_) {
    for (size_t place = keys.size(); place-- > 0;) {
      Job& job = jobs_.at(keys[place]);
      if (!job.held || job.waiting > 0) continue;
      if (!last || place >= last_place) last = &job;
      last_place = std::max(last_place, place);
      break;
    }
  }
  if (last) last->held = nullptr;
  let_go_();
}

}  // namespace phalanx
