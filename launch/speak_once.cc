#include "launch/speak_once.h"

#include <CLI/Error.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "parallel/launch_complaint.h"

namespace phalanx {
namespace {

// For the first rank to speak and leave, and for the launcher to see it; and for ranks that come
// later than the first to ask it.
constexpr std::chrono::seconds kLaterRanks{5}, kFirstRank{10};

void say(const std::exception& error) {
  std::fprintf(stderr, "phalanx: %s: %s\n", message_kind(exit_code_of(error)),
               error_text(error).c_str());
}

}  // namespace

const char* message_kind(ExitCode code) {
  if (code == ExitCode::kBug) return "internal error";
  return code == ExitCode::kStopped ? "stopped" : "error";
}

Session open_session(const EnvironmentLookup& environment, const SessionOptions& options) {
  try {
    return Session(environment, options);
  } catch (const LaunchError& error) {
    const bool is_first = error.rank() == 0;
    if (is_first || !first_rank_said(error.place(), error.what(), kLaterRanks)) say(error);
    if (is_first) offer_complaint(error.place(), error.what(), kFirstRank);
    throw CLI::RuntimeError(static_cast<int>(exit_code_of(error)));
  }
}

ExitCode speak_once(Session& session, const std::function<ExitCode()>& work) {
  try {
    return work();
  } catch (const ExitError& error) {  // known to all ranks: one speaks, all leave together
    if (session.rank() == 0) {
      std::fprintf(stderr, "phalanx: %s: %s\n", message_kind(error.code()), error.what());
    }
    session.control().barrier();
    return error.code();
  } catch (const std::exception& error) {
    speak_and_abort(session, error);
  }
}

ExitCode speak_of_all(Session& session, const std::exception& error) {
  const std::string mine = error_text(error);
  const std::vector<std::string> all = all_gather_strings(session.control(), mine);
  if (!std::all_of(all.begin(), all.end(), [&](const std::string& one) { return one == mine; })) {
    speak_and_abort(session, error);
  }
  const ExitCode code = exit_code_of(error);
  return speak_once(session, [&]() -> ExitCode { throw ExitError(code, mine); });
}

void speak_and_abort(Session& session, const std::exception& error) {
  const ExitCode code = exit_code_of(error);
  std::fprintf(stderr, "phalanx: %s on rank %d: %s\n", message_kind(code), session.rank(),
               error_text(error).c_str());
  session.abort(code);
}

}  // namespace phalanx
