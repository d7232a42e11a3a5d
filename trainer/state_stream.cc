#include "trainer/state_stream.h"

#include <ATen/ops/empty.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <algorithm>

namespace phalanx {
namespace {

AdamWRun cut(const AdamWRun& run, const StreamPiece& piece) {
  const auto part = [&](const at::Tensor& t) { return t.narrow(0, piece.begin, piece.numel); };
  AdamWRun result{part(run.grad),   part(run.master), part(run.exp_avg), part(run.exp_avg_sq),
                  part(run.weight), run.places,       run.rounding_key};
  result.places.first += piece.begin;
  return result;
}

/// What passes through the buffers; undefined: stays where it is.
std::array<at::Tensor, 3> streamed(const AdamWRun& piece) {
  const bool own_master = !piece.master.is_alias_of(piece.weight);
  return {own_master ? piece.master : at::Tensor(), piece.exp_avg, piece.exp_avg_sq};
}

at::Tensor in_buffer(const std::array<at::Tensor, 3>& buffers, size_t i, const at::Tensor& host) {
  return buffers[i].narrow(0, 0, host.numel());
}

c10::Stream current_stream(at::Device device) {
  return c10::impl::VirtualGuardImpl(device.type()).getStream(device);
}

void record(std::optional<c10::Event>& event, const c10::Stream& stream) {
  if (!event) event.emplace(stream.device_type());
  event->record(stream);
}

}  // namespace

std::vector<StreamPiece> stream_pieces(const std::vector<AdamWRun>& runs, int64_t max_elements) {
  std::vector<StreamPiece> pieces;
  for (size_t r = 0; r < runs.size(); ++r) {
    const int64_t numel = runs[r].grad.numel();
    for (int64_t begin = 0; begin < numel; begin += max_elements) {
      pieces.push_back({r, begin, std::min(max_elements, numel - begin)});
    }
  }
  return pieces;
}

StateStream::StateStream(at::Device device, int64_t piece_elements)
    : device_(device), piece_elements_(piece_elements) {
  if (device.is_cpu()) return;
  const c10::impl::VirtualGuardImpl streams(device.type());
  in_ = streams.getStreamFromGlobalPool(device, /*isHighPriority=*/true);
  out_ = streams.getStreamFromGlobalPool(device, /*isHighPriority=*/true);
}

void StateStream::load(Slot& slot, const AdamWRun& piece) {
  const c10::OptionalStreamGuard guard(in_);
  if (slot.stored) slot.stored->block(*in_);
  const auto host = streamed(piece);
  for (size_t i = 0; i < host.size(); ++i) {
    if (!host[i].defined()) continue;
    if (!slot.buffers[i].defined()) {
      slot.buffers[i] =
          at::empty({piece_elements_}, at::TensorOptions(device_).dtype(host[i].dtype()));
    }
    in_buffer(slot.buffers, i, host[i]).copy_(host[i], /*non_blocking=*/true);
  }
  if (in_) record(slot.loaded, *in_);
}

void StateStream::store(Slot& slot, const AdamWRun& piece) {
  const c10::OptionalStreamGuard guard(out_);
  if (slot.updated) slot.updated->block(*out_);
  const auto host = streamed(piece);
  for (size_t i = 0; i < host.size(); ++i) {
    if (host[i].defined()) host[i].copy_(in_buffer(slot.buffers, i, host[i]), true);
  }
  if (out_) record(slot.stored, *out_);
}

void StateStream::pass(const std::vector<AdamWRun>& runs,
                       const std::function<void(size_t, const AdamWRun&)>& update) {
  const std::vector<StreamPiece> pieces = stream_pieces(runs, piece_elements_);
  if (!pieces.empty()) load(slots_[0], cut(runs[pieces[0].run], pieces[0]));
  for (size_t k = 0; k < pieces.size(); ++k) {
    if (k + 1 < pieces.size()) {
      load(slots_[(k + 1) % 2], cut(runs[pieces[k + 1].run], pieces[k + 1]));
    }
    Slot& slot = slots_[k % 2];
    const AdamWRun host = cut(runs[pieces[k].run], pieces[k]);
    AdamWRun piece = host;
    if (streamed(host)[0].defined()) piece.master = in_buffer(slot.buffers, 0, host.master);
    piece.exp_avg = in_buffer(slot.buffers, 1, host.exp_avg);
    piece.exp_avg_sq = in_buffer(slot.buffers, 2, host.exp_avg_sq);
    if (slot.loaded) slot.loaded->block(current_stream(device_));
    update(pieces[k].run, piece);
    if (in_) record(slot.updated, current_stream(device_));
    store(slot, host);
  }
  for (Slot& slot : slots_) {
    if (slot.stored) slot.stored->synchronize();
  }
}

}  // namespace phalanx
