#pragma once
// The update of moments and masters that live in the host's memory: they pass through the device in
// pieces, by way of two sets of buffers, so that the copy in of one piece, the update of another
// and the copy out of a third go on at the same time. Local. Streams: copies on two of its own, the
// update on the current one; pass() returns when the host's memory holds the results. On a device
// without streams (CPU) all happens in order. Ownership: owns the buffers, which are made by the
// first pass; host tensors should be pinned.
#include <c10/core/Event.h>
#include <c10/core/Stream.h>

#include <array>
#include <functional>
#include <optional>
#include <vector>

#include "trainer/adamw_kernel.h"

namespace phalanx {

/// Elements [begin, begin + numel) of run number `run`.
struct StreamPiece {
  size_t run = 0;
  int64_t begin = 0;
  int64_t numel = 0;
};

/// Each run in order, in pieces of at most `max_elements`; none of them empty.
[[nodiscard]] std::vector<StreamPiece> stream_pieces(const std::vector<AdamWRun>& runs,
                                                     int64_t max_elements);

/// Elements of a piece: large enough for the bus, small beside a model.
inline constexpr int64_t kStreamPieceElements = int64_t{1} << 24;

class StateStream {
 public:
  explicit StateStream(at::Device device, int64_t piece_elements = kStreamPieceElements);

  /// Calls update(run number, piece) for each piece of the runs, with moments and master on the
  /// device, and brings these back. A master that is the weight is on the device anyway.
  void pass(const std::vector<AdamWRun>& runs,
            const std::function<void(size_t, const AdamWRun&)>& update);

 private:
  struct Slot {  // one of the two sets of buffers
    std::array<at::Tensor, 3> buffers;
    std::optional<c10::Event> loaded, updated, stored;
  };
  void load(Slot& slot, const AdamWRun& piece);
  void store(Slot& slot, const AdamWRun& piece);

  at::Device device_;
  int64_t piece_elements_;
  std::optional<c10::Stream> in_, out_;
  std::array<Slot, 2> slots_;
};

}  // namespace phalanx
