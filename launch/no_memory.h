#pragma once
// What is said when memory runs out where no exception may leave, as in a destructor that takes
// some (nlohmann::json's does): the message and exit code of any other such error, instead of an
// abort without words. Everything else that ends in std::terminate() aborts as before, with a core.
//
// Local; any thread. Other ranks are ended by the launcher, which sees the exit code.
namespace phalanx {

/// For the whole process, until the next std::set_terminate().
void speak_when_memory_runs_out();

}  // namespace phalanx
