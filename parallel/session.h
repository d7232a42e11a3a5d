#pragma once
// This process's place among the ranks of a run: found from the launcher's variables, held for the
// life of the program.
//
// Collective over all ranks: constructor (joins MPI or the store), make_groups(), and, under MPI,
// the destructor (MPI_Finalize), which is skipped while an exception unwinds. A world of one talks
// to nobody and never calls MPI_Init. Ownership: owns MPI and the control communicator; must
// outlive every communicator made from it. Threads: one thread, the one that made it. Errors: a
// launch that cannot work (ranks that MPI does not see, launchers that contradict each other, CPU
// ranks under torchrun or srun without PMIx) is a LaunchError.
#include <chrono>
#include <memory>
#include <string>

#include "parallel/communicator.h"
#include "parallel/exit_codes.h"
#include "parallel/launcher.h"
#include "parallel/mesh.h"

namespace phalanx {

class FlightRecorder;
class MpiRuntime;

/// The GPU of a rank: its own, or, where NCCL was told that ranks may share one, one of those
/// there. Where a rank sees a single GPU it is that one, since launchers may show each rank its own
/// only. A number that no GPU has, where there are too few.
int gpu_of_rank(int local_rank, int num_gpus, bool shared);
/// How many of the `local_size` ranks of a host use the GPU of rank `local_rank`, itself included.
int ranks_of_gpu(int local_rank, int local_size, int num_gpus, bool shared);

enum class Device { kCpu, kCuda };

struct SessionOptions {
  Device device = Device::kCpu;
  // How long a rank waits for a silent peer when a store carries the control messages (torchrun, or
  // srun without PMIx).
  std::chrono::seconds store_timeout{3600};
  // Notes every collective of the session's communicators, which it must outlive; null: none.
  FlightRecorder* recorder = nullptr;
  LauncherChoice launcher = LauncherChoice::kAuto;  // whose variables count
};

/// The groups of a mesh, for tensors on the session's device.
struct MeshGroups {
  std::unique_ptr<Communicator> world, tp, dp;
};

class Session {
 public:
  Session(const EnvironmentLookup& environment, const SessionOptions& options);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  int rank() const { return control_->rank(); }
  int size() const { return control_->size(); }
  /// Place among the ranks of this host, and the number of the GPU that a rank uses.
  int local_rank() const { return local_rank_; }
  int device_index() const;
  /// NCCL was told that ranks may.
  bool shares_gpus() const { return shares_gpus_; }
  /// Ranks that use the GPU of this one; 1 unless NCCL was told that they may share.
  int ranks_of_device() const;
  int local_size() const { return local_size_; }
  /// Who started the ranks, as this one has seen it.
  const LaunchInfo& launch() const { return launch_; }

  /// A host communicator over all ranks.
  Communicator& control() { return *control_; }
  MeshGroups make_groups(const Mesh& mesh);

  /// Ends all ranks of the job, at once and without unwinding. Local: one rank is enough.
  [[noreturn]] void abort(ExitCode code) const;

 private:
  void join(const SessionOptions& options);
  void join_mpi();
  void join_store(const SessionOptions& options);

  FlightRecorder* recorder_;
  LaunchInfo launch_;
  Device device_;
  bool shares_gpus_;
  int local_rank_;
  int local_size_;
  std::unique_ptr<MpiRuntime> mpi_;
  std::unique_ptr<Communicator> control_;
};

}  // namespace phalanx
