#pragma once
// MPI for the life of a process, and the one place that checks what MPI calls return.
//
// Collective over all processes of the job: constructor (MPI_Init_thread, FUNNELED: only the thread
// that made it may call MPI) and destructor (frees what was kept, then MPI_Finalize).
// Ownership: communicators and windows live until the runtime ends, because freeing one is a
// collective and no other destructor may contain a collective.
// Errors: a failed MPI call is a std::runtime_error that names the call, the place and MPI's text.
// When an exception unwinds the runtime itself, MPI is not finalised, because peers may not come:
// the launcher then ends the job.
#include <mpi.h>

#include <source_location>
#include <vector>

namespace phalanx {

void mpi_check(int result, const char* call,
               std::source_location where = std::source_location::current());

class MpiRuntime {
 public:
  MpiRuntime();
  ~MpiRuntime();
  MpiRuntime(const MpiRuntime&) = delete;
  MpiRuntime& operator=(const MpiRuntime&) = delete;

  /// Frees the handle when the runtime ends. All ranks of a handle keep it in the same order
  /// relative to their other handles.
  void keep_comm(MPI_Comm comm);
  void keep_window(MPI_Win window);  // not an overload: both are int in MPICH

 private:
  struct Kept {
    MPI_Comm comm = MPI_COMM_NULL;
    MPI_Win window = MPI_WIN_NULL;
  };
  std::vector<Kept> kept_;
};

/// Ends every process of the job with `exit_code`, without unwinding. Local: one rank is enough.
[[noreturn]] void abort_job(int exit_code);

}  // namespace phalanx
