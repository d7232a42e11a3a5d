#pragma once
// How a command that runs on all ranks of a session ends: what all ranks know of is said once, and
// all leave with the same code; what one rank alone met ends the job.
//
// Collective over the session's ranks. Prints to stderr.
#include <exception>
#include <functional>

#include "parallel/exit_codes.h"
#include "parallel/session.h"

namespace phalanx {

/// What the message of an error with this code is called: "error", "stopped", "internal error".
[[nodiscard]] const char* message_kind(ExitCode code);

/// The session of this process. Ranks that cannot meet each have the same to say: the first one
/// says it, and the others learn at the place where they would have met that it was said, or are
/// ended by a launcher because the first has left. What only a later rank has to say it says
/// itself, some seconds later. Throws CLI::RuntimeError once it is said.
Session open_session(const EnvironmentLookup& environment, const SessionOptions& options);

/// Runs work() and returns its code. An ExitError (AgreedError among them) is printed by rank 0 and
/// all ranks return its code after a barrier; any other error is printed here and aborts the job.
ExitCode speak_once(Session& session, const std::function<ExitCode()>& work);

/// Of an error that each rank has met by itself, such as a command line that cannot be read: if all
/// have met the same, rank 0 prints it and all return its code after a barrier; a rank that was
/// started otherwise than the others prints its own and aborts the job.
ExitCode speak_of_all(Session& session, const std::exception& error);

/// An error of this rank alone, which others may be waiting for: prints it and aborts the job.
[[noreturn]] void speak_and_abort(Session& session, const std::exception& error);

}  // namespace phalanx
