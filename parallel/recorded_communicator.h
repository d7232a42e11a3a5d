#pragma once
// A communicator that passes everything on to another and writes each collective down in a flight
// recorder: the one place through which all collectives of a session go, whatever carries them.
//
// FlightOperation: as communicator.h says; split() also gathers the new group's ranks. `device` is
// where the inner communicator's tensors live. Ownership: owns the inner communicator; the recorder
// must outlive it. Threads: one.
#include <c10/core/Device.h>

#include <memory>
#include <vector>

#include "parallel/communicator.h"
#include "parallel/flight_recorder.h"

namespace phalanx {

/// `members` are the ranks of the whole run, by their rank in the group.
std::unique_ptr<Communicator> record(std::unique_ptr<Communicator> inner, FlightRecorder& recorder,
                                     std::vector<int> members, c10::Device device);

}  // namespace phalanx
