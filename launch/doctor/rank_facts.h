#pragma once
// What one rank sees of its machine, gathered for all ranks and judged in findings.h. Plain values;
// they travel as JSON. look_around() is local and reads /proc, /sys and the environment's
// variables; it measures nothing.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "launch/host_network.h"
#include "parallel/session.h"
#include "trainer/run_config.h"

namespace phalanx {

struct RankFacts {
  int rank = 0, local_rank = 0, local_size = 1;
  std::string host;
  std::string launcher;     // "mpirun (OMPI_COMM_WORLD_SIZE=4)"
  std::string program;      // XXH3 of the executable's file; of the first rank of a host
  int cores = 1;            // this process may run on
  int launcher_cores = 1;   // what started it may: what a rank could have, were it not bound
  int threads = 0;          // asked for by the configuration or OMP_NUM_THREADS; 0: no wish
  std::string mpi;          // the library
  std::string mpi_threads;  // the level that was granted; empty: MPI is not in use
  std::string nvidia_driver, cuda_driver, cuda_build, nccl;
  std::vector<std::string> gpus;  // what each is called
  std::string gpu_bus_id;         // of this rank's; empty: none
  bool shares_gpus = false;       // NCCL was told that ranks may
  std::vector<NetworkInterface> interfaces;
  std::vector<std::string> infiniband;
  int64_t shm_bytes = -1, shm_free_bytes = -1;  // of /dev/shm; -1: not there
  int64_t open_files = 0, locked_bytes = 0;     // soft limits; -1: none
  std::vector<std::string> variables;           // NAME=value of NCCL, UCX and Open MPI, sorted
  double write_bytes_per_second = 0;            // of the run's folder; 0: not measured by this rank
  std::string write_error, data_error;
};

/// `config` may be null. Collectives: none.
RankFacts look_around(const Session& session, const RunConfig* config);

std::string facts_text(const RankFacts& facts);
RankFacts facts_from_text(const std::string& text);

}  // namespace phalanx
