// SPDX-License-Identifier: Apache-2.0
#include "tributary/nodes/client_node.hpp"

namespace tributary {
namespace {

constexpr std::size_t kLongestReason = 4096;

}  // namespace

ClientNode::ClientNode(NodeId self, NodeId parent, const ParameterSpec& spec, LivenessSettings liveness)
    : link_(self, parent, liveness), spec_(spec) {}

void ClientNode::on_start(NodeContext& context) {
  link_.start(context);
}

void ClientNode::on_message(NodeContext& context, NodeId from, Message message) {
  if (from != link_.parent()) { return; }
  const bool was_working = link_.working();
  switch (link_.on_message(context, message)) {
    case ParentLink::Reaction::kNone:
      break;
    case ParentLink::Reaction::kStop:
      context.cancel_training();
      break;
    case ParentLink::Reaction::kStart: {
      if (was_working) { context.cancel_training(); }
      auto& task = std::get<TaskMessage>(message);
      context.train({.key = task.key,
                     .attempt = task.attempt,
                     .global_round = task.global_round,
                     .base = std::move(task.model),
                     .evaluate_first = task.evaluate_first});
      break;
    }
  }
}

void ClientNode::on_timer(NodeContext& context, TimerId timer) {
  if (timer == TimerId::kResend) { link_.on_resend(context); }
}

void ClientNode::on_trained(NodeContext& context, const TaskKey& key, Result<ClientUpdate> result) {
  if (!link_.working() || key != link_.key()) { return; }
  if (!result.ok()) {
    // It travels, and is recorded: a trainer's text may be as long as it likes.
    link_.fail(context, Status(result.status().code(), result.status().message().substr(0, kLongestReason)));
    return;
  }
  link_.report(context, make_update(spec_, std::move(result).value()));
}

}  // namespace tributary
