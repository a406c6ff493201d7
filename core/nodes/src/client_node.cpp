// SPDX-License-Identifier: Apache-2.0
#include "tributary/nodes/client_node.hpp"

#include <algorithm>
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
  epoch_ = task.epoch;
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
  if (state_.epoch() > epoch_) {
    fail(context, unavailable("the task is of an earlier beginning of the run"));
    return;
  }
  if (state_.epoch() < epoch_) { state_.begin(epoch_); }
  // Also where there is nothing to ask about: a state that was lost, or is that of another checkpoint, is found so.
  settled_ = state_.last_settled();
  undecided_.clear();
  for (const ClientState::Undecided& part : state_.undecided()) { undecided_.push_back(part.sequence); }
  unanswered_ = undecided_;
  pause_ = liveness_.first_probe;
  questions_ = 0;
  ask(context);
}

void ClientNode::ask(NodeContext& context) {
  context.send(
      link_.parent(),
      InquiryMessage{
          .client = self_, .epoch = epoch_, .settled = settled_, .undecided = undecided_, .sequences = unanswered_});
  context.set_timer(TimerId::kProbe, pause_);
}

void ClientNode::stop(NodeContext& context) {
  if (std::exchange(task_, std::nullopt)) {
    context.cancel_timer(TimerId::kProbe);
  } else {
    context.cancel_training();
  }
}

void ClientNode::on_timer(NodeContext& context, TimerId timer) {
  if (timer == TimerId::kResend) { link_.on_resend(context); }
  if (timer != TimerId::kProbe || !task_) { return; }
  if (++questions_ > liveness_.silent_probes) {
    fail(context, unavailable("nobody has told what became of the increments of this client's state"));
    return;
  }
  pause_ = std::min(pause_ * 2, liveness_.largest_probe);
  ask(context);
}

void ClientNode::on_decision(NodeContext& context, const DecisionMessage& decision) {
  if (!task_ || decision.client != self_ || decision.epoch != epoch_) { return; }
  using Agreement = DecisionMessage::Agreement;
  // An answer to an earlier question tells of increments, and nothing of the state as it is now.
  const std::uint64_t newest = undecided_.empty() ? settled_ : undecided_.back();
  const bool of_this = decision.settled == settled_ && decision.newest == newest;
  if (of_this && decision.agreement == Agreement::kDiffers) {
    fail(context, bad_data("the state of this client is not the one that the root has counted: its file in the run's "
                           "directory clients/ is lost or an old one, or the run goes on from an older checkpoint"));
    return;
  }
  const std::size_t before = unanswered_.size();
  std::erase_if(unanswered_, [&decision](std::uint64_t sequence) {
    return std::ranges::count(decision.fates, sequence, &SequenceFate::sequence) > 0;
  });
  const bool was_nothing = undecided_.empty() && of_this && decision.agreement == Agreement::kAgrees;
  if (unanswered_.size() == before && !was_nothing) { return; }
  // Kept with the next increment: until then it can be asked for again.
  state_.settle(decision.fates);
  if (!unanswered_.empty()) { return; }
  context.cancel_timer(TimerId::kProbe);
  train(context);
}

void ClientNode::fail(NodeContext& context, const Status& why) {
  if (std::exchange(task_, std::nullopt)) { context.cancel_timer(TimerId::kProbe); }
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
