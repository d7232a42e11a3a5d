#include "parallel/thread_communicator.h"

#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <condition_variable>
#include <cstring>
#include <map>
#include <mutex>
#include <stdexcept>
#include <vector>

#include "parallel/host_communicator.h"

namespace phalanx {

struct ThreadFamily {
  std::mutex mutex;
  std::condition_variable changed;
  std::string poison;      // guarded by mutex; empty while all is well
  std::vector<bool> left;  // guarded by mutex; by rank in the whole family
};

struct ThreadCircle {
  std::string name;
  std::vector<int> members;  // ranks in the whole family
  // Guarded by the family's mutex.
  int arrived = 0;
  int64_t round = 0;
  std::map<std::pair<int64_t, int>, std::shared_ptr<ThreadCircle>> children;
  // What each rank offers in the current exchange; stable between two meetings.
  std::vector<std::span<const std::span<const std::byte>>> offers;
};

namespace {

class ThreadCommunicator final : public HostCommunicator {
 public:
  ThreadCommunicator(std::shared_ptr<ThreadFamily> family, std::shared_ptr<ThreadCircle> circle,
                     int rank)
      : HostCommunicator(rank, static_cast<int>(circle->members.size()), circle->name),
        family_(std::move(family)),
        circle_(std::move(circle)) {}

 protected:
  std::unique_ptr<Communicator> make_group(const GroupPlan& plan) override {
    std::shared_ptr<ThreadCircle> child;
    {
      const std::lock_guard lock(family_->mutex);
      std::shared_ptr<ThreadCircle>& slot = circle_->children[{splits_++, plan.index}];
      if (!slot) {
        slot = std::make_shared<ThreadCircle>();
        slot->name = plan.name;
        for (const int member : plan.members) slot->members.push_back(circle_->members[member]);
        slot->offers.resize(plan.members.size());
      }
      child = slot;
    }
    return std::make_unique<ThreadCommunicator>(family_, child, plan.rank);
  }

  void exchange(std::span<const ConstBytes> sends, std::span<const Bytes> receives) override {
    circle_->offers[rank()] = sends;
    wait_for_all(Interruptible::kYes);
    int mismatched = -1;
    for (int peer = 0; peer < size(); ++peer) {
      const ConstBytes from = circle_->offers[peer][rank()];
      if (from.size() != receives[peer].size()) {
        mismatched = peer;
      } else if (!from.empty()) {
        std::memcpy(receives[peer].data(), from.data(), from.size());
      }
    }
    // Peers may still read this rank's memory, so nothing may unwind before they are done; they
    // only copy, so that this wait ends.
    wait_for_all(Interruptible::kNo);
    TORCH_CHECK(mismatched < 0, name(), ": rank ", rank(), " expected another size from rank ",
                mismatched, " than it sent: the ranks issued different collectives");
  }

  void meet() override { wait_for_all(Interruptible::kYes); }

 private:
  enum class Interruptible { kNo, kYes };

  void wait_for_all(Interruptible interruptible) {
    std::unique_lock lock(family_->mutex);
    if (interruptible == Interruptible::kYes) throw_if_broken();
    const int64_t round = circle_->round;
    if (++circle_->arrived == size()) {
      circle_->arrived = 0;
      ++circle_->round;
      family_->changed.notify_all();
      return;
    }
    while (circle_->round == round) {
      if (interruptible == Interruptible::kYes) throw_if_broken();
      family_->changed.wait(lock);
    }
  }

  void throw_if_broken() const {
    if (!family_->poison.empty()) {
      throw std::runtime_error(
          fmt::format("{}: rank {} stopped waiting: {}", name(), rank(), family_->poison));
    }
    for (int peer = 0; peer < size(); ++peer) {
      if (!family_->left[circle_->members[peer]]) continue;
      throw std::runtime_error(
          fmt::format("{}: rank {} waits for rank {}, which has left", name(), rank(), peer));
    }
  }

  std::shared_ptr<ThreadFamily> family_;
  std::shared_ptr<ThreadCircle> circle_;
  int64_t splits_ = 0;
};

}  // namespace

ThreadGroup::ThreadGroup(int size, std::string name)
    : family_(std::make_shared<ThreadFamily>()), world_(std::make_shared<ThreadCircle>()) {
  TORCH_CHECK(size > 0, "ThreadGroup: expected at least one rank, found ", size);
  family_->left.resize(size);
  world_->name = std::move(name);
  for (int rank = 0; rank < size; ++rank) world_->members.push_back(rank);
  world_->offers.resize(size);
}

ThreadGroup::~ThreadGroup() = default;

std::unique_ptr<Communicator> ThreadGroup::communicator(int rank) {
  TORCH_CHECK(rank >= 0 && rank < static_cast<int>(world_->members.size()), "ThreadGroup: no rank ",
              rank);
  return std::make_unique<ThreadCommunicator>(family_, world_, rank);
}

void ThreadGroup::poison(const std::string& reason) {
  const std::lock_guard lock(family_->mutex);
  if (family_->poison.empty()) family_->poison = reason;
  family_->changed.notify_all();
}

void ThreadGroup::leave(int rank) {
  const std::lock_guard lock(family_->mutex);
  family_->left.at(rank) = true;
  family_->changed.notify_all();
}

}  // namespace phalanx
