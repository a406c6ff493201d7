// SPDX-License-Identifier: Apache-2.0
// The part of the torch trainer that needs libtorch: a library of its own (src/libtorch/), loaded when a model or a
// device asks for it. Loading it takes longer than many runs train: logistic regression does without.
//
// Threads: functions for any thread.
#pragma once

#include <string>

#include "network.hpp"
#include "tributary/base/status.hpp"

namespace tributary::internal {

// What that library offers; its symbol tributary_libtorch_part() returns it.
struct LibtorchPart {
  Result<NetworkPlan> (*plan_network)(const NetworkRequest& request);
  bool (*cuda_available)();
  // The process once, and the calling thread.
  void (*use_one_thread)();
  std::string (*info)(bool measure);
};

inline constexpr const char* kLibtorchPartSymbol = "tributary_libtorch_part";

// Loads it, the first time; libtorch then uses one thread. kUnsupported: it cannot be loaded, with the reason and the
// remedy.
Result<const LibtorchPart*> libtorch_part();

}  // namespace tributary::internal
