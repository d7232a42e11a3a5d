#include "parallel/mpi_flavour.h"

#include <mpi.h>

#include "parallel/mpi_runtime.h"

namespace phalanx {

std::string mpi_library() {
  char text[MPI_MAX_LIBRARY_VERSION_STRING] = "";
  int length = 0;
  mpi_check(MPI_Get_library_version(text, &length), "MPI_Get_library_version");
  const std::string whole(text, static_cast<size_t>(length));
  const std::string line = whole.substr(0, whole.find('\n'));
  return line.substr(0, line.find_last_not_of(std::string(" \t\0", 3)) + 1);
}

std::string mpi_thread_level() {
  int started = 0, level = MPI_THREAD_SINGLE;
  mpi_check(MPI_Initialized(&started), "MPI_Initialized");
  if (started == 0) return "";
  mpi_check(MPI_Query_thread(&level), "MPI_Query_thread");
  if (level == MPI_THREAD_MULTIPLE) return "MPI_THREAD_MULTIPLE";
  if (level == MPI_THREAD_SERIALIZED) return "MPI_THREAD_SERIALIZED";
  return level == MPI_THREAD_FUNNELED ? "MPI_THREAD_FUNNELED" : "MPI_THREAD_SINGLE";
}

MpiFlavour mpi_flavour(const std::string& version_text) {
  const auto says = [&](const char* word) { return version_text.find(word) != std::string::npos; };
  if (says("Open MPI") || says("OpenRTE")) return MpiFlavour::kOpenMpi;
  if (says("MPICH") || says("HYDRA") || says("Intel(R) MPI") || says("MVAPICH")) {
    return MpiFlavour::kMpich;
  }
  return MpiFlavour::kOther;
}

std::string flavour_name(MpiFlavour flavour) {
  switch (flavour) {
    case MpiFlavour::kOpenMpi:
      return "Open MPI";
    case MpiFlavour::kMpich:
      return "MPICH";
    default:
      return "an unknown MPI";
  }
}

}  // namespace phalanx
