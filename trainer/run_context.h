#pragma once
// Where this process stands in a run: its mesh place and the groups it talks through. References;
// the session that made them outlives it. Fields beside `control` carry tensors on `device`.
#include <c10/core/Device.h>

#include "parallel/communicator.h"
#include "parallel/mesh.h"

namespace phalanx {

class FlightRecorder;

struct RunContext {
  Mesh mesh;
  Communicator& control;  // host, the world
  Communicator& tp;
  Communicator& dp;
  at::Device device;
  FlightRecorder* flight = nullptr;  // phases and steps are noted there; null: nowhere
};

}  // namespace phalanx
