#pragma once
// Steps that all ranks take or none: opening files, checking a config, building a model. Without
// this, a rank that fails leaves the others waiting in their next collective.
//
// Collective over `control`, a host communicator: every rank calls together(), same order.
// `step` itself must be local: a collective inside it would wait for a rank that has failed.
// Errors: when any rank's step throws, every rank throws the same AgreedError, whose text names
// each distinct message once and, unless all ranks say the same, the ranks and hosts it comes from.
// The code is that of the lowest failing rank. One rank prints; all end with the same code.
#include <functional>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include "parallel/communicator.h"
#include "parallel/exit_codes.h"

namespace phalanx {

class AgreedError final : public ExitError {
 public:
  using ExitError::ExitError;
};

void run_together(Communicator& control, const std::function<void()>& step);

/// Runs step() and returns its value, if it succeeded on every rank.
template <typename Step>
auto together(Communicator& control, Step&& step) {
  using Result = std::invoke_result_t<Step&>;
  if constexpr (std::is_void_v<Result>) {
    run_together(control, [&] { step(); });
  } else {
    std::optional<Result> value;
    run_together(control, [&] { value.emplace(step()); });
    return Result(std::move(*value));
  }
}

}  // namespace phalanx
