#include "parallel/mpi_runtime.h"

#include <fmt/format.h>

#include <cstdlib>
#include <exception>
#include <stdexcept>
#include <string>

namespace phalanx {

void mpi_check(int result, const char* call, std::source_location where) {
  if (result == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING] = "";
  int length = 0;
  MPI_Error_string(result, text, &length);
  throw std::runtime_error(fmt::format("{} failed in {} ({}:{}): {}", call, where.function_name(),
                                       where.file_name(), where.line(),
                                       std::string(text, static_cast<size_t>(length))));
}

MpiRuntime::MpiRuntime() {
  int provided = MPI_THREAD_SINGLE;
  mpi_check(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided), "MPI_Init_thread");
  if (provided < MPI_THREAD_FUNNELED) {
    throw std::runtime_error(
        "MPI_Init_thread: expected thread support MPI_THREAD_FUNNELED, found "
        "MPI_THREAD_SINGLE: this MPI library was built without threads");
  }
  mpi_check(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
}

MpiRuntime::~MpiRuntime() {
  if (std::uncaught_exceptions() > 0) return;
  for (Kept& kept : kept_) {
    if (kept.window != MPI_WIN_NULL) {
      MPI_Win_unlock_all(kept.window);
      MPI_Win_free(&kept.window);
    }
    if (kept.comm != MPI_COMM_NULL) MPI_Comm_free(&kept.comm);
  }
  MPI_Finalize();
}

void MpiRuntime::keep_comm(MPI_Comm comm) { kept_.push_back({comm, MPI_WIN_NULL}); }

void MpiRuntime::keep_window(MPI_Win window) { kept_.push_back({MPI_COMM_NULL, window}); }

void abort_job(int exit_code) {
  MPI_Abort(MPI_COMM_WORLD, exit_code);
  std::_Exit(exit_code);
}

}  // namespace phalanx
