#include "parallel/mpi_communicator.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "parallel/host_communicator.h"
#include "parallel/host_sums.h"
#include "parallel/mpi_window.h"

namespace phalanx {
namespace {

// MPI counts in int.
constexpr size_t kLargestMessage = size_t{1} << 30;
constexpr int kTag = 7;

struct CommShape {
  int rank = 0;
  int size = 1;
};

CommShape shape_of(MPI_Comm comm) {
  CommShape shape;
  mpi_check(MPI_Comm_rank(comm, &shape.rank), "MPI_Comm_rank");
  mpi_check(MPI_Comm_size(comm, &shape.size), "MPI_Comm_size");
  return shape;
}

// --- Ranks of several hosts: messages -----------------------------------------------------------

class MpiCommunicator : public HostCommunicator {
 public:
  MpiCommunicator(MpiRuntime& runtime, MPI_Comm comm, CommShape shape, const std::string& name,
                  const MpiOptions& options)
      : HostCommunicator(shape.rank, shape.size, name),
        runtime_(runtime),
        comm_(comm),
        options_(options) {}

 protected:
  std::unique_ptr<Communicator> make_group(const GroupPlan& plan) override {
    MPI_Comm group = MPI_COMM_NULL;
    mpi_check(MPI_Comm_split(comm_, plan.index, plan.rank, &group), "MPI_Comm_split");
    runtime_.keep_comm(group);
    return make_mpi_communicator(runtime_, group, plan.name, options_);
  }

  void exchange(std::span<const ConstBytes> sends, std::span<const Bytes> receives) override {
    requests_.clear();
    for (int peer = 0; peer < size(); ++peer) {
      for (size_t at = 0; at < receives[peer].size(); at += kLargestMessage) {
        const size_t bytes = std::min(kLargestMessage, receives[peer].size() - at);
        mpi_check(MPI_Irecv(receives[peer].data() + at, static_cast<int>(bytes), MPI_BYTE, peer,
                            kTag, comm_, &requests_.emplace_back()),
                  "MPI_Irecv");
      }
    }
    // Starting with the next rank spreads the first messages over all receivers.
    for (int step = 1; step <= size(); ++step) {
      const int peer = (rank() + step) % size();
      for (size_t at = 0; at < sends[peer].size(); at += kLargestMessage) {
        const size_t bytes = std::min(kLargestMessage, sends[peer].size() - at);
        mpi_check(MPI_Isend(sends[peer].data() + at, static_cast<int>(bytes), MPI_BYTE, peer, kTag,
                            comm_, &requests_.emplace_back()),
                  "MPI_Isend");
      }
    }
    mpi_check(
        MPI_Waitall(static_cast<int>(requests_.size()), requests_.data(), MPI_STATUSES_IGNORE),
        "MPI_Waitall");
  }

  void broadcast_bytes(std::byte* data, int64_t bytes, int root) override {
    for (size_t at = 0; at < static_cast<size_t>(bytes); at += kLargestMessage) {
      const size_t part = std::min(kLargestMessage, static_cast<size_t>(bytes) - at);
      mpi_check(MPI_Bcast(data + at, static_cast<int>(part), MPI_BYTE, root, comm_), "MPI_Bcast");
    }
  }

  void meet() override { mpi_check(MPI_Barrier(comm_), "MPI_Barrier"); }

 private:
  MpiRuntime& runtime_;
  MPI_Comm comm_;
  MpiOptions options_;
  std::vector<MPI_Request> requests_;
};

// --- Ranks of one host: a shared window ---------------------------------------------------------

class MpiWindowCommunicator final : public MpiCommunicator {
 public:
  MpiWindowCommunicator(MpiRuntime& runtime, MPI_Comm comm, CommShape shape,
                        const std::string& name, const MpiOptions& options)
      : MpiCommunicator(runtime, comm, shape, name, options),
        // A chunk must hold at least one element for each rank.
        window_(runtime, comm, std::max<int64_t>(options.slot_bytes, 64 * shape.size)),
        terms_(shape.size) {}

 protected:
  void all_reduce_elements(std::byte* data, int64_t count, at::ScalarType dtype,
                           ReduceOp op) override {
    const int64_t width = static_cast<int64_t>(c10::elementSize(dtype));
    const int64_t bytes = count * width;
    if (bytes * size() <= kSmallBytes && bytes <= window_.slot_bytes()) {
      return all_reduce_small(data, count, dtype, op);
    }
    const int64_t step = window_.slot_bytes() / width;
    for (int64_t begin = 0; begin < count; begin += step) {
      all_reduce_chunk(data + begin * width, std::min(step, count - begin), dtype, op);
    }
  }

  void reduce_scatter_elements(std::byte* output, const std::byte* input, int64_t piece,
                               at::ScalarType dtype, SumOrder order) override {
    const int64_t width = static_cast<int64_t>(c10::elementSize(dtype));
    const int64_t step = window_.slot_bytes() / size() / width;
    for (int64_t begin = 0; begin < piece; begin += step) {
      const int64_t count = std::min(step, piece - begin);
      for (int peer = 0; peer < size(); ++peer) {
        const std::byte* part = input + (peer * piece + begin) * width;
        terms_[peer] = peer == rank() ? part : window_.slot(peer) + rank() * count * width;
        if (peer == rank()) continue;
        copy(window_.slot(rank()) + peer * count * width, part, count * width);
      }
      window_.meet();
      sum_in(order, output + begin * width, terms_, count, dtype);
      window_.next_slot();
    }
  }

  void all_gather_bytes(std::byte* output, const std::byte* input, int64_t bytes) override {
    for (int64_t begin = 0; begin < bytes; begin += window_.slot_bytes()) {
      const int64_t part = std::min(window_.slot_bytes(), bytes - begin);
      copy(window_.slot(rank()), input + begin, part);
      window_.meet();
      for (int peer = 0; peer < size(); ++peer) {
        if (peer != rank()) copy(output + peer * bytes + begin, window_.slot(peer), part);
      }
      window_.next_slot();
    }
  }

  void all_to_all_bytes(std::byte* output, const std::byte* input, int64_t bytes) override {
    const int64_t step = window_.slot_bytes() / size();
    for (int64_t begin = 0; begin < bytes; begin += step) {
      const int64_t part = std::min(step, bytes - begin);
      for (int peer = 0; peer < size(); ++peer) {
        if (peer == rank()) continue;
        copy(window_.slot(rank()) + peer * part, input + peer * bytes + begin, part);
      }
      window_.meet();
      for (int peer = 0; peer < size(); ++peer) {
        if (peer == rank()) continue;
        copy(output + peer * bytes + begin, window_.slot(peer) + rank() * part, part);
      }
      window_.next_slot();
    }
  }

  void broadcast_bytes(std::byte* data, int64_t bytes, int root) override {
    for (int64_t begin = 0; begin < bytes; begin += window_.slot_bytes()) {
      const int64_t part = std::min(window_.slot_bytes(), bytes - begin);
      if (rank() == root) copy(window_.slot(root), data + begin, part);
      window_.meet();
      if (rank() != root) copy(data + begin, window_.slot(root), part);
      window_.next_slot();
    }
  }

  void meet() override { window_.meet(); }

 private:
  static void copy(std::byte* to, const std::byte* from, int64_t bytes) {
    std::memcpy(to, from, static_cast<size_t>(bytes));
  }

  // Everybody adds up everything: one meeting.
  void all_reduce_small(std::byte* data, int64_t count, at::ScalarType dtype, ReduceOp op) {
    copy(window_.slot(rank()), data, count * static_cast<int64_t>(c10::elementSize(dtype)));
    window_.meet();
    for (int peer = 0; peer < size(); ++peer) {
      terms_[peer] = peer == rank() ? data : window_.slot(peer);
    }
    reduce_in_order(data, terms_, count, dtype, op);
    window_.next_slot();
  }

  // Each rank adds up its slice and leaves the result in its own slot: two meetings.
  void all_reduce_chunk(std::byte* data, int64_t count, at::ScalarType dtype, ReduceOp op) {
    const int64_t width = static_cast<int64_t>(c10::elementSize(dtype));
    const auto begin_of = [&](int peer) { return slice_begin(count, size(), peer) * width; };
    const int64_t mine = begin_of(rank());
    const int64_t mine_bytes = begin_of(rank() + 1) - mine;
    for (int peer = 0; peer < size(); ++peer) {
      terms_[peer] = (peer == rank() ? data : window_.slot(peer)) + mine;
      if (peer == rank()) continue;
      copy(window_.slot(rank()) + begin_of(peer), data + begin_of(peer),
           begin_of(peer + 1) - begin_of(peer));
    }
    window_.meet();
    std::byte* total = window_.slot(rank()) + mine;
    reduce_in_order(total, terms_, mine_bytes / width, dtype, op);
    copy(data + mine, total, mine_bytes);
    window_.meet();
    for (int peer = 0; peer < size(); ++peer) {
      if (peer == rank()) continue;
      copy(data + begin_of(peer), window_.slot(peer) + begin_of(peer),
           begin_of(peer + 1) - begin_of(peer));
    }
    window_.next_slot();
  }

  MpiWindow window_;
  std::vector<const std::byte*> terms_;
};

bool all_on_one_host(MPI_Comm comm, int size) {
  MPI_Comm host = MPI_COMM_NULL;
  mpi_check(MPI_Comm_split_type(comm, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &host),
            "MPI_Comm_split_type");
  const int local_size = shape_of(host).size;
  mpi_check(MPI_Comm_free(&host), "MPI_Comm_free");
  int smallest = 0;
  mpi_check(MPI_Allreduce(&local_size, &smallest, 1, MPI_INT, MPI_MIN, comm), "MPI_Allreduce");
  return smallest == size;
}

}  // namespace

std::unique_ptr<Communicator> make_mpi_communicator(MpiRuntime& runtime, MPI_Comm comm,
                                                    const std::string& name,
                                                    const MpiOptions& options) {
  const CommShape shape = shape_of(comm);
  mpi_check(MPI_Comm_set_errhandler(comm, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
  if (options.path == MpiOptions::Path::kMessages || shape.size == 1 ||
      !all_on_one_host(comm, shape.size)) {
    return std::make_unique<MpiCommunicator>(runtime, comm, shape, name, options);
  }
  return std::make_unique<MpiWindowCommunicator>(runtime, comm, shape, name, options);
}

}  // namespace phalanx
