#pragma once
// The command that goes on with a run: by the launcher that started it, in its own words. Pure, but
// for a look at the files of `phalanx launch`. Local.
#include <filesystem>
#include <string>
#include <vector>

#include "parallel/launcher.h"
#include "parallel/mpi_flavour.h"

namespace phalanx {

/// How a run was started, as its first rank knows.
struct RunStarter {
  LaunchInfo launch;
  MpiFlavour flavour = MpiFlavour::kOpenMpi;
  std::vector<std::string> hosts;       // of all ranks, in their order
  std::filesystem::path launch_folder;  // RUN/launch, where `phalanx launch` puts its files
  std::string run_name;
  bool is_root = false;
  bool in_slurm_job = false;
  int threads = 1;  // a rank's
};

/// `command` is what each rank runs: phalanx train run.yaml ... --resume auto.
[[nodiscard]] std::string resume_line(const RunStarter& starter,
                                      const std::vector<std::string>& command);

}  // namespace phalanx
