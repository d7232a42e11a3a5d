#pragma once
// What is said when memory runs out where no exception may leave, as in a destructor that takes
// some (nlohmann::json's does): the message and exit code of a std::bad_alloc that is caught,
// instead of an abort without words. Everything else that ends in std::terminate() aborts as ever.
//
// Local; any thread. Other ranks are ended by the launcher, which sees the exit code; the run's
// end.json is not written. Supervision does not try again after this code.
namespace phalanx {

/// For the whole process, until the next std::set_terminate().
void speak_when_memory_runs_out();

}  // namespace phalanx
