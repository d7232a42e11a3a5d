#pragma once
// The part of a batch script for Slurm that runs one command and hands signals on to it. Pure,
// local.
#include <string>

namespace phalanx {

/// Runs `command` behind traps that are set before it starts, waits for it to end, and puts `job`
/// (words of the shell, as "$SLURM_JOB_ID") into the queue again where it was stopped to go on
/// later (exit code 75). Else its exit code is the script's.
std::string batch_body(const std::string& command, const std::string& job);

}  // namespace phalanx
