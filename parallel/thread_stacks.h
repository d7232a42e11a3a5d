#pragma once
// Where every thread of this process stands, for the last words of a rank that hangs.
//
// Local; called from one thread, whose own stack is left out. Each other thread is interrupted by a
// real-time signal and notes its frames; one that does not answer (it waits in the kernel) is
// listed with what /proc tells. The process is not to go on afterwards: system calls that the
// signal interrupted may have failed.
#include <string>

namespace phalanx {

/// Loads what a stack needs, so that nothing has to be loaded in the middle of a hang.
void prepare_thread_stacks();

std::string thread_stacks();

}  // namespace phalanx
