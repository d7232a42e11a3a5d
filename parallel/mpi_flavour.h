#pragma once
// Which MPI the program is linked with, and which one a launcher belongs to: two that must be the
// same, or each process becomes a world of its own. Local; mpi_library() may be called before MPI
// is initialised, the rest is pure.
#include <string>

namespace phalanx {

enum class MpiFlavour { kOpenMpi, kMpich, kOther };

/// What the library says of itself, its first line: "Open MPI v4.1.4, package: ...".
std::string mpi_library();

/// "MPI_THREAD_FUNNELED" and so on, as MPI_Init_thread granted it; empty while MPI is not in use.
std::string mpi_thread_level();

/// Of the library's text, or of what `mpirun --version` prints. MPICH, and those made from it
/// (Intel, Cray, MVAPICH), start their ranks with Hydra.
MpiFlavour mpi_flavour(const std::string& version_text);

/// "Open MPI", "MPICH", "an unknown MPI".
std::string flavour_name(MpiFlavour flavour);

}  // namespace phalanx
