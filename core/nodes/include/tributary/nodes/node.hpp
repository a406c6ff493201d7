// SPDX-License-Identifier: Apache-2.0
// A node of the federation: a deterministic state machine, event in, actions out. It owns no thread, socket, clock,
// file or tensor library; a driver calls it and carries out what it asks for through NodeContext.
//
// Threads:   one call at a time per node; actions are taken before the call returns and never call back into the node.
// Time:      only durations. A timer fires at most once per set_timer(); setting it again replaces it.
// Liveness:  every wait of a node is bounded by a timer it has set.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tributary/nodes/message.hpp"
#include "tributary/nodes/snapshot.hpp"
#include "tributary/nodes/tier_policy.hpp"

namespace tributary {

enum class TimerId : std::uint8_t { kProbe = 0, kDeadline = 1, kHardDeadline = 2, kResend = 3 };
inline constexpr std::size_t kTimers = 4;

// Something worth a line in the records.
struct NodeEvent {
  enum class Kind : std::uint8_t {
    kTaskFailed,
    kRefused,
    kLost,
    kReturned,
    kLate,
    kAbandoned,
    kDuplicate,
    kKilled,
    kCutOff,  // had not answered when its parent's round closed at the deadline
    kInput,   // no trouble: something that decides what the node commits; `detail` is a NodeInput
    kAnew     // the states of all children of `node` begin anew
  };
  static constexpr Kind kLastKind = Kind::kAnew;
  Kind kind;
  NodeId node;  // whom it is about
  // Of the node that it happened at: the parent of `node`, or with kAbandoned, kInput and kAnew `node`; 0 if of none.
  Round round;
  std::string detail;
};

[[nodiscard]] std::string_view to_string(NodeEvent::Kind kind) noexcept;

// What clients have measured of one model, on samples that they hold out.
struct EvaluationReport {
  RoundState state;                // of the children that were asked
  std::uint32_t contributors = 0;  // clients
  Weight samples;
  std::map<std::string, ScalarSum> scalars;  // by samples
};

// How one round of one inner node ended.
struct RoundReport {
  Round round;
  Version version;            // after the round
  std::uint64_t tasks = 0;    // that a continuous node has given so far
  std::uint32_t commits = 1;  // more: rounds that ended while the one before was being published
  bool committed = false;
  bool given_up = false;  // the root's run ends with it, as a failure
  RoundState state;
  std::uint32_t late = 0;     // were asked, and not needed any more
  std::uint32_t refused = 0;  // of state.failed: updates that did not pass the checks
  std::uint32_t contributors = 0;
  Weight weight;
  Weight weight_bound;      // that the grid of its sums was made for
  double resolution = 0.0;  // to which the sums resolve the change of a term of average weight
  std::map<std::string, ScalarSum> scalars;
  VersionSpread staleness;  // of a continuous node: commits since the models were made that updates came from
  StalenessCounts staleness_counts;
  std::optional<EvaluationReport> evaluation;  // of the root's model after the round, where clients were asked
  std::shared_ptr<const Snapshot> snapshot;    // of the root: what goes with its model; null if nothing does
  // All else that a driver with a virtual clock goes on from, if RunObserver::keeps_world() says that it is wanted:
  // nodes, messages on their way, tasks that are worked on.
  std::shared_ptr<const std::vector<std::byte>> world;
};

struct TrainRequest {
  TaskKey key;
  Attempt attempt;
  Round global_round;
  ModelValues base;
  bool evaluate_first = false;
  Broadcast broadcast;
  std::shared_ptr<const ClientState> state;  // null: the method keeps none
};

class NodeContext {
 public:
  virtual ~NodeContext() = default;

  virtual void send(NodeId to, Message message) = 0;
  virtual void set_timer(TimerId timer, std::chrono::nanoseconds after) = 0;
  virtual void cancel_timer(TimerId timer) = 0;
  // Until a timer fires; 0 if it is not set.
  [[nodiscard]] virtual std::chrono::nanoseconds time_left(TimerId timer) const = 0;

  // A node keeps the models that it has given out until their tasks are settled. On a virtual clock it must: there
  // nothing may depend on when a thread lets go of a model. Elsewhere that would take a model for each task.
  [[nodiscard]] virtual bool keeps_models() const noexcept { return false; }

  // Whether inner nodes note their inputs (NodeInput): where the order in which they come decides the result, and
  // depends on more than the seed.
  [[nodiscard]] virtual bool notes_inputs() const noexcept { return false; }

  // Clients: train, or measure, by the kind of the key, then call ClientNode::on_trained() with the same key. A later
  // request replaces an earlier one.
  virtual void train(TrainRequest request) = 0;
  virtual void cancel_training() = 0;
  // Clients: what they remember between tasks. save_state(): durable when it returns.
  virtual Result<std::shared_ptr<const ClientState>> load_state() {
    return unsupported("nothing here keeps the states of clients");
  }
  // NOLINTNEXTLINE(performance-unnecessary-value-param): those that can keep it take it over
  virtual Status save_state(std::shared_ptr<const ClientState> /*state*/) {
    return unsupported("nothing here keeps the states of clients");
  }

  // The root has a new model (or had an abandoned round): evaluate, save and record it, then call
  // InnerNode::on_published(). The model is not changed while others hold it.
  virtual void publish(const RoundReport& report, ModelValues model) = 0;
  // The root is done: with all its rounds (OK), or because it cannot go on.
  virtual void finished(Status status) = 0;

  virtual void note(NodeEvent note) = 0;
};

class Node {
 public:
  virtual ~Node() = default;

  virtual void on_start(NodeContext& context) = 0;
  virtual void on_message(NodeContext& context, NodeId from, Message message) = 0;
  virtual void on_timer(NodeContext& context, TimerId timer) = 0;
  // The driver knows that nothing reaches `peer` at present, though it may come back; `why` names the cause.
  virtual void on_unreachable(NodeContext& /*context*/, NodeId /*peer*/, const std::string& /*why*/) {}
};

// How patient nodes are; the same for a whole federation.
struct LivenessSettings {
  std::chrono::nanoseconds first_probe{
      std::chrono::seconds(1)};  // silence before the first question; doubles each time
  std::chrono::nanoseconds largest_probe{std::chrono::seconds(30)};
  std::uint32_t silent_probes = 8;  // questions without any answer before a child counts as lost

  // The same for one whose answers take `way`, there and back: nothing is repeated before its acknowledgement can be
  // there.
  [[nodiscard]] LivenessSettings over(std::chrono::nanoseconds way) const {
    LivenessSettings patient = *this;
    patient.first_probe += way;
    patient.largest_probe = std::max(largest_probe, patient.first_probe);
    return patient;
  }
};

}  // namespace tributary
