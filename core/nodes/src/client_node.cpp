// SPDX-License-Identifier: Apache-2.0
#include "tributary/nodes/client_node.hpp"

#include <utility>

namespace tributary {
namespace {

constexpr std::size_t kLongestReason = 4096;

}  // namespace

ClientNode::ClientNode(NodeId self, NodeId parent, const ParameterSpec& spec, LivenessSettings liveness)
    : self_(self), link_(self, parent, liveness), spec_(spec), liveness_(liveness) {}

void ClientNode::on_start(NodeContext& context) {
  link_.start(context);
}

void ClientNode::on_message(NodeContext& context, NodeId from, Message message) {
  if (from != link_.parent()) { return; }
  if (const auto* decision = std::get_if<DecisionMessage>(&message)) {
    on_decision(context, *decision);
    return;
  }
  const bool was_working = link_.working();
  switch (link_.on_message(context, message)) {
    case ParentLink::Reaction::kNone:
      break;
    case ParentLink::Reaction::kStop:
      stop(context);
      break;
    case ParentLink::Reaction::kStart:
      if (was_working) { stop(context); }
      begin(context, std::move(std::get<TaskMessage>(message)));
      break;
  }
}

void ClientNode::begin(NodeContext& context, TaskMessage task) {
  stateful_.reset();
  if (task.epoch == 0 || task.key.kind == TaskKind::kEvaluate) {
    train(context, std::move(task));
    return;
  }
  const std::uint64_t epoch = task.epoch;
  stateful_ = std::make_unique<Stateful>(
      Stateful{.inquiry = StateInquiry(self_, link_.parent(), liveness_), .task = std::move(task), .epoch = epoch});
  Result<std::shared_ptr<const ClientState>> known = context.load_state();
  if (!known.ok()) {
    fail(context, known.status());
    return;
  }
  ClientState& state = stateful_->state = **known;
  // One of a later beginning than the task's is told of, too: whoever owns the states has to know.
  if (state.epoch() < epoch) { state.begin(epoch); }
  stateful_->inquiry.begin(context, state);
}

void ClientNode::stop(NodeContext& context) {
  if (stateful_ && std::exchange(stateful_->task, std::nullopt)) {
    stateful_->inquiry.stop(context);
  } else {
    context.cancel_training();
  }
}

void ClientNode::on_timer(NodeContext& context, TimerId timer) {
  if (timer == TimerId::kResend) { link_.on_resend(context); }
  if (timer == TimerId::kProbe && stateful_ && stateful_->inquiry.waits()) {
    go_on(context, stateful_->inquiry.on_timer(context));
  }
}

void ClientNode::on_decision(NodeContext& context, const DecisionMessage& decision) {
  if (!stateful_) { return; }
  // What is settled now is kept with the next increment: until then it can be asked for again.
  go_on(context, stateful_->inquiry.on_decision(context, decision, stateful_->state));
}

void ClientNode::go_on(NodeContext& context, StateInquiry::Result result) {
  switch (result) {
    case StateInquiry::Result::kWaits:
      return;
    case StateInquiry::Result::kSettled:
      train(context, *std::exchange(stateful_->task, std::nullopt));
      return;
    case StateInquiry::Result::kDiffers:
      fail(context, bad_data("the state of this client is not the one that has been counted: its "
                             "file in the run's directory clients/ is lost or an old one, or the run goes on from an "
                             "older checkpoint"));
      return;
    case StateInquiry::Result::kSilent:
      fail(context, unavailable("nobody has told what became of the increments of this client's state"));
      return;
  }
}

void ClientNode::fail(NodeContext& context, const Status& why) {
  if (stateful_ && std::exchange(stateful_->task, std::nullopt)) { stateful_->inquiry.stop(context); }
  // It travels, and is recorded: a trainer's text may be as long as it likes.
  link_.fail(context, Status(why.code(), why.message().substr(0, kLongestReason)));
}

void ClientNode::train(NodeContext& context, TaskMessage task) {
  TrainRequest request{.key = task.key,
                       .attempt = task.attempt,
                       .global_round = task.global_round,
                       .base = std::move(task.model),
                       .evaluate_first = task.evaluate_first,
                       .broadcast = std::move(task.broadcast),
                       .state = nullptr};
  if (stateful_) { request.state = std::make_shared<const ClientState>(stateful_->state); }
  context.train(std::move(request));
}

Status ClientNode::keep(NodeContext& context, const ClientState::Increment& increment, Update& update) {
  if (increment == nullptr) { return internal_error("the method made no increment of the client's state"); }
  ClientState& state = stateful_->state;
  update.members = {{self_, state.next()}};
  update.epoch = stateful_->epoch;
  state.add(increment);
  return context.save_state(std::make_shared<const ClientState>(std::exchange(state, ClientState())));
}

void ClientNode::on_trained(NodeContext& context, const TaskKey& key, Result<ClientUpdate> result) {
  if (!link_.working() || key != link_.key()) { return; }
  if (!result.ok()) {
    fail(context, result.status());
    return;
  }
  const ClientState::Increment increment = result->state;
  Update update = make_update(spec_, std::move(result).value());
  if (stateful_) {
    // Before it is sent: a client that is killed in between must know what it has sent.
    if (const Status kept = keep(context, increment, update); !kept.ok()) {
      fail(context, kept);
      return;
    }
  }
  link_.report(context, std::move(update));
}

}  // namespace tributary
