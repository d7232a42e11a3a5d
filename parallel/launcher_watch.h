#pragma once
// Is the launcher still there? A rank whose mpirun was killed, or whose host was cut off, must not
// go on alone.
//
// Local: what /proc says of this process's ancestors. Constructed while the launcher lives. A
// process that no known launcher has started is nobody's: it may outlive the shell it came from.
#include <cstdint>
#include <string>
#include <vector>

namespace phalanx {

class LauncherWatch {
 public:
  /// Finds the ancestors up to the nearest launcher. The kernel's own signal at a parent's death
  /// (PR_SET_PDEATHSIG) will not do: it comes when the thread ends that made this process, and a
  /// launcher may start its ranks from threads that it then ends.
  LauncherWatch();

  bool has_launcher() const { return !chain_.empty(); }
  /// A launcher was there, and it, or a process between it and this one, has ended.
  bool is_lost() const;
  /// For a rank that ends because of a hang: where Open MPI started it, leaves a process that kills
  /// what did (mpirun, or its daemon on another host, orted) once that has had so many seconds to
  /// end by itself. A daemon that was cut off from mpirun would stay for a quarter of an hour, and
  /// mpirun waits without end for the answer of a daemon that it was cut off from.
  void end_launcher_after(int daemon_seconds, int mpirun_seconds) const;

 private:
  struct Ancestor {
    int pid = 0;
    uint64_t started = 0;  // a number of its own in the life of the system
  };
  std::vector<Ancestor> chain_;  // from the parent to the launcher; empty: none
  std::string launcher_;         // its name, if it is one of Open MPI's; else empty
};

}  // namespace phalanx
