// SPDX-License-Identifier: Apache-2.0
// The child's half of the protocol between a node and its parent, the same for a client and for an inner node: takes
// each task once, and repeats the answer until the parent has acknowledged it.
//
// Threads:  as its node. Ownership: holds the answer (and its payload) until it is acknowledged or not wanted any more.
// Liveness: an answer is repeated after growing pauses, LivenessSettings::silent_probes times; then it is dropped, and
//           the parent's next Probe brings the task back.
#pragma once

#include <optional>

#include "tributary/nodes/node.hpp"

namespace tributary {

class ParentLink {
 public:
  ParentLink(NodeId self, NodeId parent, LivenessSettings liveness)
      : self_(self), parent_(parent), liveness_(liveness) {}

  enum class Reaction : std::uint8_t {
    kNone,   // dealt with
    kStart,  // the given task is new: begin it, forgetting any other
    kStop,   // the current task is not wanted any more
  };

  void start(NodeContext& context) const { context.send(parent_, HelloMessage{}); }
  // For messages from the parent.
  Reaction on_message(NodeContext& context, const Message& message);
  // For TimerId::kResend.
  void on_resend(NodeContext& context);

  // Ends the current task with an update, whose identity is filled in here, or with a failure.
  void report(NodeContext& context, Update update);
  void fail(NodeContext& context, const Status& why);

  // A task is being worked on.
  [[nodiscard]] bool working() const noexcept { return working_; }
  // Nothing to do and nothing to say.
  [[nodiscard]] bool idle() const noexcept { return !working_ && !answer_; }
  // The update that is sent and not acknowledged; null if there is none.
  [[nodiscard]] const Update* unacknowledged() const noexcept;
  [[nodiscard]] NodeId parent() const noexcept { return parent_; }
  [[nodiscard]] const TaskKey& key() const noexcept { return key_; }
  [[nodiscard]] Attempt attempt() const noexcept { return attempt_; }

  // As it stands: nodes/persist.hpp.
  template <typename Archive>
  void persist(Archive& archive);

 private:
  void answer(NodeContext& context, Message message);
  void clear(NodeContext& context);

  NodeId self_;
  NodeId parent_;
  LivenessSettings liveness_;
  TaskKey key_;
  Attempt attempt_;
  Version base_;
  bool working_ = false;
  std::optional<Message> answer_;
  std::chrono::nanoseconds pause_{0};
  std::uint32_t repeats_ = 0;
};

}  // namespace tributary
