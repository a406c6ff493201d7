// SPDX-License-Identifier: Apache-2.0
// A node asks what has become of the increments of its state, before it goes on with a task: the child's half of what
// MemberLedger answers. A client has such a state, and an aggregator towards its parent where each edge of the tree is
// settled by itself (LocalMethod::parents_own_states()).
//
// Life cycle: begin() with each task; then on_timer() and on_decision() until one of them says that it is over, or
//             stop().
// Threads:    as its node, whose TimerId::kProbe it uses while it asks.
#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

#include "tributary/base/ids.hpp"
#include "tributary/nodes/client_state.hpp"
#include "tributary/nodes/message.hpp"
#include "tributary/nodes/node.hpp"

namespace tributary {

class StateInquiry {
 public:
  StateInquiry(NodeId self, NodeId parent, LivenessSettings liveness)
      : self_(self), parent_(parent), liveness_(liveness) {}

  // Asks about all of `state`, also where it holds nothing undecided: that it was lost, or is that of another
  // checkpoint, is found so.
  void begin(NodeContext& context, const ClientState& state);
  void stop(NodeContext& context);
  [[nodiscard]] bool waits() const noexcept { return waits_; }

  enum class Result : std::uint8_t {
    kWaits,
    kSettled,  // all that could be decided is: the node goes on
    kDiffers,  // the owner has counted something else than the state says
    kSilent,   // nobody has answered
  };
  // For TimerId::kProbe.
  Result on_timer(NodeContext& context);
  // Settles in `state`, the one that begin() was given, what the decision is about.
  Result on_decision(NodeContext& context, const DecisionMessage& decision, ClientState& state);

  // As it stands: nodes/persist.hpp.
  template <typename Archive>
  void persist(Archive& archive);

 private:
  void ask(NodeContext& context);

  NodeId self_;
  NodeId parent_;
  LivenessSettings liveness_;
  bool waits_ = false;
  std::uint64_t epoch_ = 0;
  std::uint64_t settled_ = 0;  // of the state, when it began to ask
  std::vector<std::uint64_t> undecided_;
  std::vector<std::uint64_t> unanswered_;
  std::chrono::nanoseconds pause_{0};
  std::uint32_t questions_ = 0;
};

}  // namespace tributary
