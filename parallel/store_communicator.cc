#include "parallel/store_communicator.h"

#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <stdexcept>
#include <thread>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#include <vector>

#include "parallel/host_communicator.h"
#include "parallel/host_name.h"
#include "parallel/store_address.h"

namespace phalanx {
namespace {

constexpr std::chrono::seconds kFarewell{10};
constexpr std::chrono::milliseconds kFarewellPoll{5};
// For a host to answer at all, and for its rank to come and serve the store.
constexpr std::chrono::seconds kAnswer{20}, kStart{300};

// The store, and the courtesy of its server to stay until its clients have read their last answers.
class Connection {
 public:
  explicit Connection(c10::intrusive_ptr<c10d::Store> store) : store_(std::move(store)) {}
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() {
    if (farewell_key_.empty() || std::uncaught_exceptions() > 0) return;
    try {
      int64_t gone = store_->add(farewell_key_, 1);
      const auto deadline = std::chrono::steady_clock::now() + kFarewell;
      while (serves_ && gone < size_ && std::chrono::steady_clock::now() < deadline) {
        std::this_thread::sleep_for(kFarewellPoll);
        gone = store_->add(farewell_key_, 0);
      }
    } catch (const std::exception&) {
      // The server is gone already: nobody is left to be waited for.
    }
  }

  void say_farewell(const std::string& key, int size, bool serves) {
    farewell_key_ = key;
    size_ = size;
    serves_ = serves;
  }
  c10d::Store& store() { return *store_; }

 private:
  c10::intrusive_ptr<c10d::Store> store_;
  std::string farewell_key_;
  int size_ = 1;
  bool serves_ = false;
};

class StoreCommunicator final : public HostCommunicator {
 public:
  StoreCommunicator(std::shared_ptr<Connection> connection, int rank, int size,
                    const std::string& name, std::string prefix)
      : HostCommunicator(rank, size, name),
        connection_(std::move(connection)),
        prefix_(std::move(prefix)) {}

 protected:
  std::unique_ptr<Communicator> make_group(const GroupPlan& plan) override {
    return std::make_unique<StoreCommunicator>(
        connection_, plan.rank, static_cast<int>(plan.members.size()), plan.name,
        fmt::format("{}/split{}.{}", prefix_, splits_++, plan.index));
  }

  void exchange(std::span<const ConstBytes> sends, std::span<const Bytes> receives) override {
    const int64_t round = round_++;
    for (int peer = 0; peer < size(); ++peer) {
      if (!sends[peer].empty()) send(key(round, rank(), peer), sends[peer]);
    }
    for (int peer = 0; peer < size(); ++peer) {
      if (!receives[peer].empty()) receive(key(round, peer, rank()), receives[peer]);
    }
  }

 private:
  std::string key(int64_t round, int from, int to) const {
    return fmt::format("{}/{}/{}-{}", prefix_, round, from, to);
  }

  void send(const std::string& name_of, ConstBytes bytes) {
    const auto* begin = reinterpret_cast<const uint8_t*>(bytes.data());
    try {
      connection_->store().set(name_of, std::vector<uint8_t>(begin, begin + bytes.size()));
    } catch (const std::exception& error) {
      throw std::runtime_error(
          fmt::format("{}: cannot write {} to the store: {}", name(), name_of, error.what()));
    }
  }

  void receive(const std::string& name_of, Bytes bytes) {
    std::vector<uint8_t> found;
    try {
      found = connection_->store().get(name_of);
      connection_->store().deleteKey(name_of);  // every message has one reader
    } catch (const std::exception& error) {
      throw std::runtime_error(
          fmt::format("{}: cannot read {} from the store: {}", name(), name_of, error.what()));
    }
    TORCH_CHECK(found.size() == bytes.size(), name(), ": ", name_of, ": expected ", bytes.size(),
                " bytes, found ", found.size(), ": the ranks issued different collectives");
    std::memcpy(bytes.data(), found.data(), found.size());
  }

  std::shared_ptr<Connection> connection_;
  std::string prefix_;
  int64_t round_ = 0;
  int64_t splits_ = 0;
};

void check_reachable(const LaunchInfo& launch) {
  const std::string why = why_unreachable(launch.store_host, launch.store_port, kAnswer);
  if (why.empty()) return;
  throw std::invalid_argument(fmt::format(
      "MASTER_ADDR: expected the host of rank 0, found {}, which cannot be reached from {}: {}",
      launch.store_host, host_name(), why));
}

std::string words_of(const std::vector<uint8_t>& bytes) { return {bytes.begin(), bytes.end()}; }

/// An agent's store may serve several jobs, each of which may start again.
std::string prefix_of(const LaunchInfo& launch) {
  return fmt::format("phalanx/{}/attempt{}", launch.agent_id, launch.restart);
}

/// Ranks of another run that were given the same address would take this one's messages. A store of
/// our own serves a single start.
void claim_place(c10d::Store& store, const LaunchInfo& launch) {
  const std::string place = launch.agent_serves_store ? prefix_of(launch) : "phalanx";
  const std::string run = fmt::format("{}, {}", launch.described, prefix_of(launch));
  const std::string found =
      words_of(store.compareSet(place + "/run", {}, std::vector<uint8_t>(run.begin(), run.end())));
  const int64_t claims =
      found == run ? store.add(fmt::format("{}/rank{}", place, launch.rank), 1) : 0;
  if (claims == 1) return;
  throw std::invalid_argument(fmt::format(
      "MASTER_PORT: expected a store for this run alone at {}:{}, found {}: another run meets "
      "there, or two processes were given one number; choose another port",
      launch.store_host, launch.store_port,
      found == run ? fmt::format("a second rank {} ({})", launch.rank, host_name())
                   : fmt::format("that of {}, where this is {}", found, run)));
}

[[noreturn]] void throw_cannot_join(const LaunchInfo& launch, const std::exception& error) {
  const std::string text = error.what();
  const std::string line = text.substr(0, text.find('\n'));
  if (text.find("EADDRINUSE") != std::string::npos) {
    throw std::invalid_argument(fmt::format(
        "MASTER_PORT: expected a port of {} that is free, found {} in use: by another program, or "
        "by a run that has not ended yet; choose another",
        host_name(), launch.store_port));
  }
  throw std::invalid_argument(fmt::format(
      "cannot join the store at {}:{} (MASTER_ADDR, MASTER_PORT) as rank {} of {}: {}; did all "
      "ranks start, rank 0 on that host?",
      launch.store_host, launch.store_port, launch.rank, launch.size.value_or(1), line));
}

}  // namespace

std::unique_ptr<Communicator> make_store_communicator(c10::intrusive_ptr<c10d::Store> store,
                                                      int rank, int size, const std::string& name,
                                                      const std::string& prefix) {
  return std::make_unique<StoreCommunicator>(std::make_shared<Connection>(std::move(store)), rank,
                                             size, name, prefix);
}

std::unique_ptr<Communicator> make_store_world(const LaunchInfo& launch,
                                               std::chrono::milliseconds timeout) {
  const int size = launch.size.value_or(1);
  c10d::TCPStoreOptions options;
  options.port = launch.store_port;
  options.isServer = launch.rank == 0 && !launch.agent_serves_store;
  options.timeout = std::min<std::chrono::milliseconds>(timeout, kStart);
  // The agent's store has clients of its own, so only a store of ours can count its workers.
  if (!launch.agent_serves_store) options.numWorkers = static_cast<size_t>(size);
  options.waitWorkers = !launch.agent_serves_store;
  check_reachable(launch);
  try {
    auto store = c10::make_intrusive<c10d::TCPStore>(launch.store_host, options);
    store->setTimeout(timeout);
    claim_place(*store, launch);
    auto connection = std::make_shared<Connection>(std::move(store));
    const std::string prefix = prefix_of(launch);
    connection->say_farewell(prefix + "/gone", size, options.isServer);
    return std::make_unique<StoreCommunicator>(connection, launch.rank, size, "control", prefix);
  } catch (const std::invalid_argument&) {
    throw;
  } catch (const std::exception& error) {
    throw_cannot_join(launch, error);
  }
}

}  // namespace phalanx
