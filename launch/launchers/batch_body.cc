#include "launch/launchers/batch_body.h"

#include <fmt/format.h>

namespace phalanx {
namespace {

// A signal ends the wait, not the command. Slurm holds a job back for up to two minutes after a
// requeue, and ends this script by TERM where it is cancelled.
constexpr const char* kTraps = R"(set -uo pipefail

running=
trap '[[ -z $running ]] || kill -USR1 "$running"' USR1
trap '[[ -z $running ]] || kill -TERM "$running"' TERM
)";
// The last wait tells the code of a command that ended while a signal was being handed on.
constexpr const char* kWait = R"(running=$!
while kill -0 "$running" 2>/dev/null; do
  wait "$running"
done
wait "$running"
code=$?

if ((code == 75)); then
)";

}  // namespace

std::string batch_body(const std::string& command, const std::string& job) {
  return fmt::format("{}{} &\n{}  scontrol requeue {}\nfi\nexit \"$code\"\n", kTraps, command,
                     kWait, job);
}

}  // namespace phalanx
