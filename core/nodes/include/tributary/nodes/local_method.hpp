// SPDX-License-Identifier: Apache-2.0
// What a federated method changes about averaging. Its client half says what a client adds to its gradients and what it
// sends for its work; its server half (MethodServer) is the state of the node that commits the model.
//
// Drift:       every method here is of the form g(x) + c + mu (x - base), c constant during a task, so any trainer that
//              honours a Drift can serve any method.
// Increments:  vectors that travel beside the model's change, each a segment of its own with a denominator that the
//              plan fixes. They are summed as they are, whatever discounts the change.
// State:       a client's state is the sum of its increments that were counted. A method gives an increment as it is
//              sent, on the grid of the sums, so that both halves of the state add the same numbers. The other half is
//              the root's, or that of each node for its children (parents_own_states()).
// Threads:     const calls may run together: training threads use one method for all clients. A MethodServer belongs to
//              one node.
// Determinism: functions of their arguments alone.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tributary/base/status.hpp"
#include "tributary/nodes/aggregation_rule.hpp"
#include "tributary/nodes/client_state.hpp"
#include "tributary/nodes/client_update.hpp"
#include "tributary/nodes/message.hpp"
#include "tributary/nodes/parameter_spec.hpp"
#include "tributary/nodes/snapshot.hpp"
#include "tributary/nodes/trainer.hpp"

namespace tributary {

// What a method is made from. Which of it a method obeys is the method's affair.
struct LocalMethodSettings {
  double momentum = 0.0;  // of the clients' optimizer
  bool nesterov = false;
  double mu = 0.01;           // FedProx
  double alpha = 0.01;        // FedDyn
  double q = 1.0;             // q-FedAvg
  std::uint64_t clients = 1;  // of the whole tree
  int grid_bits = 30;         // increments lie on steps of 2^-grid_bits
};

// What the client's half may look at.
struct MethodTask {
  const ParameterSpec& spec;
  std::span<const Segment> broadcast;  // what came beside the model
  std::span<const double> state;       // ClientState::current(); empty: nothing yet
};

// What a method is given with a task, beside what the trainer is.
struct MethodInput {
  Broadcast broadcast;
  std::shared_ptr<const ClientState> state;  // null: the method keeps none
};

// What the trainer did.
struct TrainingFacts {
  std::uint64_t steps = 0;
  double learning_rate = 0.0;  // as TrainOutcome says it
};

// What an aggregator's rounds have done together.
struct EdgeWork {
  std::span<const float> change;  // of its model, as it is sent to its parent
  double done = 0.0;              // LocalMethod::work(), summed over its rounds
};

// The committing node's half.
//
// Life cycle: restore() once, if a run is resumed; then commit() with each commit, after the optimizer has moved the
//             model; broadcast() and save() between commits.
class MethodServer {
 public:
  virtual ~MethodServer() = default;

  // Takes over the increments in `rule`, and may move `model`. Requires a weight in `rule`.
  virtual void commit(const ParameterSpec& spec, const AggregationRule& rule, std::span<float> model) = 0;
  // What clients are given beside the model; each of spec's size, of floats.
  [[nodiscard]] virtual std::vector<Segment> broadcast(const ParameterSpec& spec) const = 0;
  [[nodiscard]] virtual Snapshot save() const = 0;
  // After at least one commit. kBadData: not what save() gave for such a model.
  virtual Status restore(const Snapshot& snapshot, std::size_t parameters) = 0;
};

class LocalMethod {
 public:
  virtual ~LocalMethod() = default;

  // What the client adds to its gradients. kProtocol: the broadcast lacks what the method needs.
  virtual Result<Drift> drift(const MethodTask& /*task*/) const { return Drift{}; }
  // Makes what is sent out of the change that training made. An error fails the task.
  virtual Status prepare(const MethodTask& /*task*/, const TrainingFacts& /*facts*/, ClientUpdate& /*update*/) const {
    return {};
  }
  // Names of the increments that every update carries.
  [[nodiscard]] virtual std::vector<std::string> increments() const { return {}; }
  // Clients must measure the model as it came: metric "base_loss".
  [[nodiscard]] virtual bool needs_base_loss() const { return false; }
  // Clients have a state.
  [[nodiscard]] virtual bool keeps_state() const { return false; }

  // What the mean change of trainable tensors is multiplied by where a model is committed. Requires a weight in `rule`.
  [[nodiscard]] virtual double scale(const AggregationRule& /*rule*/) const { return 1.0; }
  // Null: the method has no state there. `registered`: what all clients below the node weigh together.
  [[nodiscard]] virtual std::unique_ptr<MethodServer> make_server(Weight /*registered*/) const { return nullptr; }

  // Whose the other halves of the states are. False: the root's, for all clients of the tree. True: each node's, for
  // its children; an aggregator then has a MethodServer, and a state of its own towards its parent. What follows is
  // asked of such a method alone.
  [[nodiscard]] virtual bool parents_own_states() const { return false; }
  // What an aggregator gives its children beside the model. `above`: what its parent gave it, and its own state.
  virtual Result<std::vector<Segment>> relay(const MethodTask& /*above*/, const MethodServer& /*own*/) const {
    return std::vector<Segment>();
  }
  // What EdgeWork sums: of one round, and the metric by which clients and aggregators tell it.
  [[nodiscard]] virtual double work(const AggregationRule& /*rule*/) const { return 0.0; }
  [[nodiscard]] virtual std::string_view work_metric() const { return {}; }
  // What an aggregator's own state grows by, on the grid of the sums.
  virtual Result<ClientState::Increment> increment(const MethodTask& /*above*/, const EdgeWork& /*work*/) const {
    return ClientState::Increment();
  }
};

}  // namespace tributary
