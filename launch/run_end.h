#pragma once
// RUN/end.json: how the newest start of a run ended. It is removed when a start takes the folder
// and written when that start ends by itself, so a run without one is at work or was killed.
//
// Local. Any rank may write: of an error that all ranks know the first one does, else the rank that
// met it. Reading: an unreadable file counts as none, since a listing of many runs must not end at
// one of them. Writing does not throw: it happens where another error is already on its way, and
// says on stderr what it could not do. Nor does it wait for the disk, which may be just what does
// not answer: a note that a power cut takes says no more than that the run was killed.
#include <exception>
#include <filesystem>
#include <optional>
#include <string>

#include "parallel/exit_codes.h"

namespace phalanx {

struct RunEnd {
  int exit_code = 0;
  std::string reason;  // of a stop or a failure, for people; empty: it is done
  double unix_seconds = 0.0;
};

[[nodiscard]] std::optional<RunEnd> read_run_end(const std::filesystem::path& run_folder);

class RunEndNote {
 public:
  /// From now on the folder is this start's: the first rank takes the end of an earlier one away.
  void open(const std::filesystem::path& run_folder, int rank);
  /// Before open() nothing is written: the start never was the run's.
  void write(ExitCode code, const std::string& reason) const noexcept;
  /// An ExitError all ranks know of, so the first one writes; any other is this rank's.
  void write_failure(const std::exception& error) const noexcept;

 private:
  std::filesystem::path folder_;
  int rank_ = 0;
};

}  // namespace phalanx
