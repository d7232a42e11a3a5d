#include "parallel/session.h"

#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <cstdlib>
#include <numeric>
#include <stdexcept>
#include <vector>

#include "parallel/mpi_communicator.h"
#include "parallel/mpi_flavour.h"
#include "parallel/mpi_runtime.h"
#include "parallel/nccl_communicator.h"
#include "parallel/recorded_communicator.h"
#include "parallel/store_communicator.h"
#include "parallel/thread_communicator.h"

namespace phalanx {
namespace {

void check_mpi_world(const LaunchInfo& launch, int rank, int world_size) {
  // Where the launcher does not say how many there are, it says at least which one this is.
  const bool agrees = launch.size ? *launch.size == world_size : launch.rank == rank;
  if (agrees) return;
  throw std::invalid_argument(fmt::format(
      "number of ranks: {} started {}, but MPI sees a world of {}: the launcher does not "
      "serve the MPI library that this program is linked with, {} (use the mpirun of that library, "
      "or srun --mpi=pmix)",
      launch.described,
      launch.size ? fmt::format("{} ranks", *launch.size) : fmt::format("rank {}", launch.rank),
      world_size, mpi_library()));
}

/// NCCL takes several ranks on a GPU when each calls itself a host of its own (NCCL_HOSTID), or,
/// from 2.30 on, when it is asked to.
bool may_share_gpus(const EnvironmentLookup& environment) {
  return environment("NCCL_HOSTID").has_value() ||
         environment("NCCL_MULTI_RANK_GPU_ENABLE").value_or("0") == "1";
}

/// Records a communicator over all ranks of the run.
std::unique_ptr<Communicator> record_world(std::unique_ptr<Communicator> world,
                                           FlightRecorder& recorder, at::Device device) {
  std::vector<int> members(static_cast<size_t>(world->size()));
  std::iota(members.begin(), members.end(), 0);
  return record(std::move(world), recorder, std::move(members), device);
}

}  // namespace

int gpu_of_rank(int local_rank, int num_gpus, bool shared) {
  if (num_gpus == 1) return 0;
  return shared && num_gpus > 0 ? local_rank % num_gpus : local_rank;
}

int ranks_of_gpu(int local_rank, int local_size, int num_gpus, bool shared) {
  if (!shared) return 1;
  const int gpu = gpu_of_rank(local_rank, num_gpus, shared);
  int ranks = 0;
  for (int other = 0; other < local_size; ++other) {
    ranks += gpu_of_rank(other, num_gpus, shared) == gpu ? 1 : 0;
  }
  return ranks;
}

Session::Session(const EnvironmentLookup& environment, const SessionOptions& options)
    : recorder_(options.recorder),
      launch_(detect_launch(environment, options.launcher)),
      device_(options.device),
      shares_gpus_(may_share_gpus(environment)),
      local_rank_(launch_.local_rank),
      local_size_(launch_.local_size) {
  if (launch_.size && *launch_.size == 1) {
    local_rank_ = 0;
    local_size_ = 1;
    control_ = ThreadGroup(1, "control").communicator(0);
  } else {
    join(options);
  }
  if (recorder_) control_ = record_world(std::move(control_), *recorder_, at::kCPU);
}

Session::~Session() = default;

int Session::device_index() const {
  return gpu_of_rank(local_rank_, num_cuda_devices(), shares_gpus_);
}

int Session::ranks_of_device() const {
  return ranks_of_gpu(local_rank_, local_size_, num_cuda_devices(), shares_gpus_);
}

void Session::join(const SessionOptions& options) {
  // srun with PMIx, or PMI, shows the variables of an MPI launcher; without, MPI cannot start.
  const bool without_mpi =
      launch_.launcher == Launcher::kTorchrun || launch_.launcher == Launcher::kSlurm;
  try {
    if (without_mpi) {
      join_store(options);
    } else {
      join_mpi();
    }
  } catch (const std::invalid_argument& error) {
    throw LaunchError(launch_.rank, meeting_place(launch_), error.what());
  }
}

void Session::join_mpi() {
  mpi_ = std::make_unique<MpiRuntime>();
  int world_size = 0, world_rank = 0;
  mpi_check(MPI_Comm_size(MPI_COMM_WORLD, &world_size), "MPI_Comm_size");
  mpi_check(MPI_Comm_rank(MPI_COMM_WORLD, &world_rank), "MPI_Comm_rank");
  check_mpi_world(launch_, world_rank, world_size);
  MPI_Comm host = MPI_COMM_NULL;
  mpi_check(MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &host),
            "MPI_Comm_split_type");
  mpi_->keep_comm(host);
  mpi_check(MPI_Comm_rank(host, &local_rank_), "MPI_Comm_rank");
  mpi_check(MPI_Comm_size(host, &local_size_), "MPI_Comm_size");
  control_ = make_mpi_communicator(*mpi_, MPI_COMM_WORLD, "control");
}

void Session::join_store(const SessionOptions& options) {
  if (options.device == Device::kCpu) {
    const bool slurm = launch_.launcher == Launcher::kSlurm;
    throw std::invalid_argument(fmt::format(
        "device: expected cuda, found cpu: {} ranks on CPU need MPI to move their tensors; start "
        "them with {}\"mpirun -n {}\" instead of {}",
        *launch_.size, slurm ? "\"srun --mpi=pmix\" or " : "", *launch_.size,
        slurm ? "srun without PMIx" : "torchrun"));
  }
  control_ = make_store_world(launch_, options.store_timeout);
}

MeshGroups Session::make_groups(const Mesh& mesh) {
  TORCH_CHECK(mesh.world_size() == size() && mesh.rank() == rank(), "make_groups: a mesh of ",
              mesh.world_size(), " ranks seen from rank ", mesh.rank(), " in a world of ", size(),
              " seen from rank ", rank());
  MeshGroups groups;
  if (device_ == Device::kCuda) {
    groups.world = make_nccl_communicator(*control_, device_index(), "world");
    const at::Device device(at::kCUDA, static_cast<c10::DeviceIndex>(device_index()));
    if (recorder_) groups.world = record_world(std::move(groups.world), *recorder_, device);
  } else {
    groups.world = control_->split(0, rank(), "world");
  }
  groups.tp = groups.world->split(mesh.dp_rank, mesh.tp_rank, "tp");
  groups.dp = groups.world->split(mesh.tp_rank, mesh.dp_rank, "dp");
  return groups;
}

void Session::abort(ExitCode code) const {
  if (mpi_) abort_job(static_cast<int>(code));
  std::_Exit(static_cast<int>(code));
}

}  // namespace phalanx
