// SPDX-License-Identifier: Apache-2.0
// A method that settles the states on each edge of the tree by itself (LocalMethod::parents_own_states()): every inner
// node owns the other halves of its children's states, and an aggregator has a state of its own, which its parent owns.
//
// An aggregator's state and its children's other halves live as long as the aggregator; the root's are published with
// its model. An owner finds that a child has lost its state, as it finds it of a client, and then the states of all its
// children begin anew under another epoch, both halves together. So they do below a node that is started again: its
// epochs follow from its parent's and from its incarnation, and are greater than those before.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "tributary/nodes/client_update.hpp"
#include "tributary/nodes/inner_node.hpp"

namespace tributary {
namespace {

// Epochs of a node between two incarnations.
constexpr unsigned kResetBits = 16;
// Rounds in a row in which a child that was asked is silent, until it is thought to be gone.
constexpr std::uint32_t kMostLostRounds = 3;

}  // namespace

std::uint64_t InnerNode::epoch_from(std::uint64_t base) const {
  return base + (std::uint64_t{settings_.incarnation} << kResetBits) + resets_;
}

// Of this node's children, its own half.
void InnerNode::forget_states() {
  ledger_ = {};
  members_.clear();
  lost_rounds_.clear();
  if (!settings_.method) { return; }
  server_ =
      settings_.method->make_server(settings_.registered ? settings_.registered->at(settings_.self.value) : Weight());
}

void InnerNode::make_new_epoch(NodeContext& context, const std::string& why) {
  const std::uint64_t before = epoch_;
  epoch_ = std::max(epoch_, latest_epoch_) + 1;
  resets_ += epoch_ - before;
  forget_states();
  ledger_.set_epoch(epoch_);
  context.note({NodeEvent::Kind::kAnew, settings_.self, round_, why + ": the states of all its children begin anew"});
  // It has come about before, with the same task.
  [[maybe_unused]] const Status renewed = renew_broadcast();
}

// A child has lost its state: what was counted of it cannot be taken out of the sum. What the others have sent in this
// round belongs to the old states, and they are asked anew.
void InnerNode::begin_states_anew(NodeContext& context) {
  make_new_epoch(context, "a child's state is not the one that was counted here");
  cancel_round(context);
  ++task_generation_;
  if (is_root()) { --round_.value; }
  open_round(context);
}

// Before a round: what was counted of a child that is gone would draw the others for ever to where it stood last, which
// nothing of what it would do now can balance.
void InnerNode::leave_the_lost_behind(NodeContext& context) {
  bool gone = false;
  for (const auto& [position, task] : tasks_) {
    if (task.key.kind != TaskKind::kTrain) { continue; }
    if (task.state == TaskState::kReported) { lost_rounds_.erase(position); }
    if (task.state != TaskState::kLost) { continue; }
    gone = gone || (++lost_rounds_[position] == kMostLostRounds && ledger_.knows(child_at(position)));
  }
  if (gone) {
    make_new_epoch(context,
                   fmt::format("a child has been silent for {} rounds in which it was asked", kMostLostRounds));
  }
}

// Before its children are asked, an aggregator hears what its parent has counted of its own state.
void InnerNode::settle_with_parent(NodeContext& context, std::uint64_t epoch) {
  if (variate_.epoch() < epoch) { variate_.begin(epoch); }
  if (std::exchange(epoch_, epoch_from(epoch)) != epoch_from(epoch)) { forget_states(); }
  // Waiting for the answer is a part of the time that the parent gives.
  if (remaining_.count() > 0) { context.set_timer(TimerId::kHardDeadline, remaining_); }
  inquiry_.begin(context, variate_);
}

void InnerNode::stop_asking(NodeContext& context) {
  if (!inquiry_.waits()) { return; }
  inquiry_.stop(context);
  context.cancel_timer(TimerId::kHardDeadline);
}

void InnerNode::go_on(NodeContext& context, StateInquiry::Result result) {
  if (result != StateInquiry::Result::kWaits && remaining_.count() > 0) {
    remaining_ = std::max(context.time_left(TimerId::kHardDeadline), std::chrono::nanoseconds{1});
    context.cancel_timer(TimerId::kHardDeadline);
  }
  switch (result) {
    case StateInquiry::Result::kWaits:
      return;
    case StateInquiry::Result::kSettled:
      if (const Status made = renew_broadcast(); !made.ok()) {
        link_->fail(context, made);
        return;
      }
      open_round(context);
      return;
    case StateInquiry::Result::kDiffers:
      link_->fail(context, bad_data("this aggregator has lost the state that its parent has counted"));
      return;
    case StateInquiry::Result::kSilent:
      link_->fail(context, unavailable("the parent has not told what became of the increments of this node's state"));
      return;
  }
}

MethodTask InnerNode::above(const std::vector<double>& state) const {
  static const std::vector<Segment> kNothing;
  return {.spec = *settings_.spec, .broadcast = parent_broadcast_ ? *parent_broadcast_ : kNothing, .state = state};
}

// What children are given beside the model: after a commit, and of an aggregator with each task too.
Status InnerNode::renew_broadcast() {
  if (!server_) { return {}; }
  if (is_root()) {
    broadcast_ = std::make_shared<const std::vector<Segment>>(server_->broadcast(*settings_.spec));
    return {};
  }
  const std::vector<double> state = variate_.current();
  TRIBUTARY_ASSIGN_OR_RETURN(std::vector<Segment> relayed, settings_.method->relay(above(state), *server_));
  broadcast_ = std::make_shared<const std::vector<Segment>>(std::move(relayed));
  return {};
}

// The answer carries what this node's state grows by: `change` is that of its model, as it is sent.
Status InnerNode::add_own_increment(Update& update, std::span<const float> change) {
  const LocalMethod& method = *settings_.method;
  const std::vector<double> state = variate_.current();
  TRIBUTARY_ASSIGN_OR_RETURN(const ClientState::Increment increment,
                             method.increment(above(state), {.change = change, .done = local_work_}));
  ScalarSum work;
  work.add(local_work_, update.weight);
  update.scalars.insert_or_assign(std::string(method.work_metric()), work);
  update.members = {{settings_.self, variate_.next()}};
  update.epoch = variate_.epoch();
  update.segments.push_back(
      {settings_.increments.names.front(), Payload::floats(increment), settings_.registered->at(settings_.self.value)});
  variate_.add(increment);
  return {};
}

// Of sums that are passed on as they are: what they hold of the children's states ends here.
Status InnerNode::settle_round(Update& sums) {
  server_->commit(*settings_.spec, *settings_.rule, {});
  count_members();
  local_work_ = settings_.method->work(*settings_.rule);
  std::vector<float> change(settings_.spec->parameters());
  settings_.rule->mean([&change](std::size_t offset, std::span<const double> means) {
    for (std::size_t i = 0; i < means.size(); ++i) { change[offset + i] = static_cast<float>(means[i]); }
  });
  sums.segments.resize(1);
  return add_own_increment(sums, change);
}

// A child speaks for its own state alone, and with what all its clients weigh.
Status InnerNode::check_member_of_child(NodeId from, const Update& update) const {
  if (update.members.size() != 1 || update.members.front().client != from) {
    return invalid_argument("with this method an update holds an increment of its sender's state alone");
  }
  if (settings_.tree == nullptr || settings_.tree->is_client(from)) { return {}; }
  for (const std::string& name : settings_.increments.names) {
    const Segment* const segment = update.find(name);
    if (segment != nullptr && segment->weight == settings_.registered->at(from.value)) { continue; }
    return invalid_argument("the increment of an aggregator's state must weigh what all its clients do together");
  }
  return {};
}

}  // namespace tributary
