// SPDX-License-Identifier: Apache-2.0
// What a federated method changes about averaging, in two halves: what a client sends for its work, and how far the
// mean of that moves the model of the node that commits it.
//
// Threads:     const calls may run together: training threads use one method for all clients.
// Determinism: functions of their arguments alone.
#pragma once

#include <cstdint>

#include "tributary/base/status.hpp"
#include "tributary/nodes/aggregation_rule.hpp"
#include "tributary/nodes/client_update.hpp"
#include "tributary/nodes/parameter_spec.hpp"

namespace tributary {

// What a method is made from. Which of it a method obeys is the method's affair.
struct LocalMethodSettings {
  double momentum = 0.0;  // of the clients' optimizer
  bool nesterov = false;
};

class LocalMethod {
 public:
  virtual ~LocalMethod() = default;

  // The client's half: makes what is sent out of the change that `steps` optimizer steps made. An error fails the task.
  virtual Status prepare(const ParameterSpec& spec, std::uint64_t steps, ClientUpdate& update) const = 0;
  // The committing node's half: what the mean change of trainable tensors is multiplied by. Requires a weight in
  // `rule`.
  [[nodiscard]] virtual double scale(const AggregationRule& rule) const = 0;
};

}  // namespace tributary
