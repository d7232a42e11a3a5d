#include "launch/speak_once.h"

#include <cstdio>
#include <exception>

namespace phalanx {

ExitCode speak_once(Session& session, const std::function<ExitCode()>& work) {
  try {
    return work();
  } catch (const ExitError& error) {  // known to all ranks: one speaks, all leave together
    if (session.rank() == 0) std::fprintf(stderr, "phalanx: error: %s\n", error.what());
    session.control().barrier();
    return error.code();
  } catch (const std::exception& error) {  // this rank alone: the others wait for it
    std::fprintf(stderr, "phalanx: error on rank %d: %s\n", session.rank(), error.what());
    session.abort(exit_code_of(error));
  }
}

}  // namespace phalanx
