// SPDX-License-Identifier: Apache-2.0
// A client: trains, or measures a model, when its parent asks, and answers until it is heard.
//
// Where the method gives clients a state, it asks before it trains what has become of the increments that are still
// undecided, so that it trains with a state that the owner shares.
//
// Life cycle: made when a message for it arrives, may be dropped whenever idle(): what it remembers between tasks is in
//             the store behind NodeContext::load_state().
// Threads:    as Node.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "tributary/nodes/client_update.hpp"
#include "tributary/nodes/parent_link.hpp"
#include "tributary/nodes/state_inquiry.hpp"

namespace tributary {

class ClientNode final : public Node {
 public:
  // `spec` must outlive the node.
  ClientNode(NodeId self, NodeId parent, const ParameterSpec& spec, LivenessSettings liveness);

  // Says Hello: only for a node that was away.
  void on_start(NodeContext& context) override;
  void on_message(NodeContext& context, NodeId from, Message message) override;
  void on_timer(NodeContext& context, TimerId timer) override;
  // The answer to NodeContext::train(). Answers to requests that were replaced or cancelled are ignored.
  void on_trained(NodeContext& context, const TaskKey& key, Result<ClientUpdate> result);

  [[nodiscard]] bool idle() const noexcept { return link_.idle(); }

  // As it stands: nodes/persist.hpp.
  template <typename Archive>
  void persist(Archive& archive);

 private:
  // What a task needs of a method that keeps a state.
  struct Stateful {
    StateInquiry inquiry;
    std::optional<TaskMessage> task;  // that waits for answers
    ClientState state;                // as it was loaded, and settled since
    std::uint64_t epoch = 0;
    template <typename Archive>
    void persist(Archive& archive);
  };

  void begin(NodeContext& context, TaskMessage task);
  void stop(NodeContext& context);
  void go_on(NodeContext& context, StateInquiry::Result result);
  void on_decision(NodeContext& context, const DecisionMessage& decision);
  void train(NodeContext& context, TaskMessage task);
  void fail(NodeContext& context, const Status& why);
  // Adds the update's increment to the state, and names it in `update`.
  Status keep(NodeContext& context, const ClientState::Increment& increment, Update& update);

  NodeId self_;
  ParentLink link_;
  const ParameterSpec& spec_;
  LivenessSettings liveness_;
  // Of the task; null where it has nothing to do with a state: a large federation makes a node for each of its tasks.
  std::unique_ptr<Stateful> stateful_;
};

}  // namespace tributary
