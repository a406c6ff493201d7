// SPDX-License-Identifier: Apache-2.0
#include "tributary/nodes/client_node.hpp"

#include <utility>

namespace tributary {
namespace {

constexpr std::size_t kLongestReason = 4096;

}  // namespace

ClientNode::ClientNode(NodeId self, NodeId parent, const ParameterSpec& spec, LivenessSettings liveness)
    : self_(self), link_(self, parent, liveness), spec_(spec), inquiry_(self, parent, liveness) {}

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
  epoch_ = task.key.kind == TaskKind::kTrain ? task.epoch : 0;
  task_ = std::move(task);
  if (epoch_ == 0) {
    train(context);
    return;
  }
  Result<std::shared_ptr<const ClientState>> known = context.load_state();
  if (!known.ok()) {
    fail(context, known.status());
    return;
  }
  state_ = **known;
  // One of a later beginning than the task's is told of, too: whoever owns the states has to know.
  if (state_.epoch() < epoch_) { state_.begin(epoch_); }
  inquiry_.begin(context, state_);
}

void ClientNode::stop(NodeContext& context) {
  if (std::exchange(task_, std::nullopt)) {
    inquiry_.stop(context);
  } else {
    context.cancel_training();
  }
}

void ClientNode::on_timer(NodeContext& context, TimerId timer) {
  if (timer == TimerId::kResend) { link_.on_resend(context); }
  if (timer == TimerId::kProbe && inquiry_.waits()) { go_on(context, inquiry_.on_timer(context)); }
}

void ClientNode::on_decision(NodeContext& context, const DecisionMessage& decision) {
  // What is settled now is kept with the next increment: until then it can be asked for again.
  go_on(context, inquiry_.on_decision(context, decision, state_));
}

void ClientNode::go_on(NodeContext& context, StateInquiry::Result result) {
  switch (result) {
    case StateInquiry::Result::kWaits:
      return;
    case StateInquiry::Result::kSettled:
      train(context);
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
  if (std::exchange(task_, std::nullopt)) { inquiry_.stop(context); }
  // It travels, and is recorded: a trainer's text may be as long as it likes.
  link_.fail(context, Status(why.code(), why.message().substr(0, kLongestReason)));
}

void ClientNode::train(NodeContext& context) {
  TaskMessage task = *std::exchange(task_, std::nullopt);
  TrainRequest request{.key = task.key,
                       .attempt = task.attempt,
                       .global_round = task.global_round,
                       .base = std::move(task.model),
                       .evaluate_first = task.evaluate_first,
                       .broadcast = std::move(task.broadcast),
                       .state = nullptr};
  if (epoch_ != 0) { request.state = std::make_shared<const ClientState>(state_); }
  context.train(std::move(request));
}

Status ClientNode::keep(NodeContext& context, const ClientState::Increment& increment, Update& update) {
  if (increment == nullptr) { return internal_error("the method made no increment of the client's state"); }
  update.members = {{self_, state_.next()}};
  update.epoch = epoch_;
  state_.add(increment);
  return context.save_state(std::make_shared<const ClientState>(std::exchange(state_, ClientState())));
}

void ClientNode::on_trained(NodeContext& context, const TaskKey& key, Result<ClientUpdate> result) {
  if (!link_.working() || key != link_.key()) { return; }
  if (!result.ok()) {
    fail(context, result.status());
    return;
  }
  const ClientState::Increment increment = result->state;
  Update update = make_update(spec_, std::move(result).value());
  if (epoch_ != 0) {
    // Before it is sent: a client that is killed in between must know what it has sent.
    if (const Status kept = keep(context, increment, update); !kept.ok()) {
      fail(context, kept);
      return;
    }
  }
  link_.report(context, std::move(update));
}

}  // namespace tributary
