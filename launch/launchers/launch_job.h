#pragma once
// What a launcher is to start, and what comes of it: files to write and a command to run. Plain
// values; each launcher's own file makes one from the other. Pure, local.
#include <cstdint>
#include <string>
#include <vector>

#include "parallel/mpi_flavour.h"

namespace phalanx {

/// A host of a hostfile, and how many ranks it takes.
struct HostSlots {
  std::string name;
  int64_t slots = 1;
};

struct LaunchJob {
  std::string name;                // of the run
  std::string program;             // path of phalanx on the hosts
  std::vector<std::string> train;  // its arguments: train run.yaml key=value --resume auto
  std::string folder;              // where the files go: RUN/launch
  std::string work_folder;         // paths of the configuration are relative to it
  int64_t nodes = 1;
  int64_t ranks_per_node = 1;
  int64_t cores_per_rank = 1;
  bool cores_are_guessed = false;  // from this machine, for others
  bool binds = true;               // each rank to cores of its own; false: more ranks than cores
  bool gpus = false;               // one a rank
  std::vector<HostSlots> hosts;    // mpirun only; none: this one

  MpiFlavour flavour = MpiFlavour::kOpenMpi;  // of the MPI that the program is linked with
  std::string mpirun = "mpirun";
  std::string rsh_agent;  // in the place of ssh; empty: ssh
  std::string interface;  // of the network, by name or CIDR; empty: the launcher's choice
  std::vector<std::string> exported;  // environment variables that the ranks get besides
  bool as_root = false;

  std::string time_limit;                  // Slurm: HH:MM:SS; empty: the partition's
  int64_t signal_seconds = 300;            // Slurm: USR1 so long before it
  std::vector<std::string> slurm_options;  // without their --
  std::string image;                       // Kubernetes: what the pods run
  std::vector<std::string> volumes;        // Kubernetes: CLAIM:PATH
  int64_t port = 29500;                    // torchrun: of the rendezvous

  int64_t num_ranks() const { return nodes * ranks_per_node; }
};

struct LaunchFile {
  std::string path;
  std::string text;
  bool executable = false;
};

struct LaunchText {
  std::vector<LaunchFile> files;
  std::vector<std::string> command;
};

/// Words as a shell takes them: quoted where they must be.
std::string shell_line(const std::vector<std::string>& words);

/// Files and command as `--print` shows them.
std::string launch_text(const LaunchText& launch);

}  // namespace phalanx
