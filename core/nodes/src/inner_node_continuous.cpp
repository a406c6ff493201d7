// SPDX-License-Identifier: Apache-2.0
// An aggregator whose children work all the time: between its parent's tasks, which it answers, and its own commits.
//
// Of its own model W, the parent's newest model A, what was sent and is not yet in A (U), and what was merged and is
// not yet sent (P), W = A + U + P holds up to the rounding of W to floats. A new task settles U: it says whether the
// parent has decided on it. If not, it never will, for that task is over; then U is sent again, as the answer to the
// new one. A parent that has started anew does not know, and what it may have counted is not sent to it twice.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "tributary/nodes/inner_node.hpp"

namespace tributary {
namespace {

// An aggregator without a task goes on for so many answers' worth of commits, and then pauses: its parent may be gone.
constexpr std::uint32_t kMostDetached = 64;

}  // namespace

// A task of the parent: its model is taken up, and the children who work are not disturbed. Their changes are against
// the models that they were given, and stay valid.
void InnerNode::adopt(NodeContext& context, TaskMessage task) {
  parent_key_ = task.key;
  global_round_ = task.global_round;
  evaluate_first_ = task.evaluate_first;
  remaining_ = task.remaining;
  ++version_.value;
  remember_anchor(task.version);
  parent_model_ = std::move(task.model);
  parent_coded_ = std::move(task.coded);
  broadcast_ = std::move(task.broadcast);
  if (std::exchange(epoch_, task.epoch) != task.epoch) { begin_anew(context); }
  if (undecided_) {
    const bool known = undecided_->key.incarnation / kGenerationsPerIncarnation ==
                       parent_key_.incarnation / kGenerationsPerIncarnation;
    if (!known) {
      context.note({NodeEvent::Kind::kLate, settings_.self, round_,
                    "the parent has started anew: what it had not yet counted of this node's work is lost"});
    }
    if (!known || task.decided >= undecided_->key) { undecided_.reset(); }
  }
  if (settings_.own_model && settings_.adoption == Adoption::kReplace) { discard_unsent(context); }
  if (settings_.own_model) {
    auto model = std::make_shared<std::vector<float>>(*parent_model_);
    progress_.resize(model->size(), 0.0);
    if (undecided_) {
      const std::span<const float> sent = undecided_->update.segments.front().payload.values();
      for (std::size_t i = 0; i < model->size(); ++i) { (*model)[i] += sent[i]; }
    }
    for (std::size_t i = 0; i < model->size(); ++i) {
      if (progress_[i] == 0.0) { continue; }
      (*model)[i] = static_cast<float>(static_cast<double>((*model)[i]) + progress_[i]);
    }
    own_model_ = std::move(model);
    parent_model_.reset();
    parent_coded_ = {};
  }
  context.cancel_timer(TimerId::kHardDeadline);
  if (remaining_.count() > 0) { context.set_timer(TimerId::kHardDeadline, time_for_children()); }
  if (open_) {
    settings_.own_model ? give_own_model() : give_parent_model();
    if (settings_.adoption == Adoption::kAbortChildren) { ask_all_anew(context); }
  } else {
    open_round(context);
  }
  if (undecided_ && link_->working()) {
    send_up(context, undecided_->update);
    return;
  }
  answer_if_due(context);
}

// What was merged since the last answer. What children work on is not: it is yet to be merged.
void InnerNode::discard_unsent(NodeContext& context) {
  std::uint64_t clients = 0;
  for (const auto& [child, most] : local_contributors_) { clients += most; }
  if (clients > 0) {
    context.note({NodeEvent::Kind::kLate, settings_.self, round_,
                  fmt::format("the parent's model has moved: what {} client{} had done since the last answer is "
                              "discarded, as tiers.*.adoption says",
                              clients, clients == 1 ? "" : "s")});
  }
  progress_.clear();
  contents_ = {};
  local_commits_ = 0;
  weight_units_ = 0;
  local_scalars_.clear();
  local_contributors_.clear();
}

// Those that work begin again, from the present model.
void InnerNode::ask_all_anew(NodeContext& context) {
  for (auto& [position, task] : tasks_) {
    if (task.state != TaskState::kAsked) { continue; }
    give_present_model(context, task);
    task.working = false;
    task.unanswered = 0;
    watch(context, task);
    send_task(context, child_at(position), task);
  }
}

// The states of clients begin anew, and so does all that was made with them.
void InnerNode::begin_anew(NodeContext& context) {
  cancel_round(context);
  tasks_.clear();
  ledger_ = {};
  members_.clear();
  local_members_.clear();
  local_increments_.clear();
  local_commits_ = 0;
  weight_units_ = 0;
  local_scalars_.clear();
  local_contributors_.clear();
  contents_ = {};
  progress_.clear();
  undecided_.reset();
}

void InnerNode::send_up(NodeContext& context, Update update) {
  context.cancel_timer(TimerId::kHardDeadline);
  undecided_ = {parent_key_, update};
  link_->report(context, std::move(update));
}

void InnerNode::answer_if_due(NodeContext& context) {
  if (!link_->working()) { return; }
  if (settings_.own_model) {
    const bool enough = local_commits_ >= settings_.local_rounds || (due_ && local_commits_ > 0);
    if (enough) { send_progress(context); }
    return;
  }
  const bool has_sums = open_ && !settings_.rule->weight().zero();
  if (due_ && (has_sums || state_.expected() == 0)) { act(context, Decision::kCommit); }
}

void InnerNode::finish_continuous_round(NodeContext& context, const RoundReport& report) {
  if (!report.committed) {
    // Nobody is left who could work. The parent hears of it, and asks again.
    ++abandoned_in_a_row_;
    if (!link_->working()) { return; }
    if (local_commits_ > 0) {
      send_progress(context);
    } else {
      context.cancel_timer(TimerId::kHardDeadline);
      link_->fail(context, shortfall());
    }
    return;
  }
  abandoned_in_a_row_ = 0;
  if (settings_.own_model) {
    merge_progress(report);
    answer_if_due(context);
    const std::uint64_t most = std::uint64_t{kMostDetached} * settings_.local_rounds;
    if (!link_->working() && local_commits_ >= most) { return; }
  } else {
    Update update = forward();
    update.bases = std::exchange(contents_, {});
    send_up(context, std::move(update));
  }
  open_round(context);
}

// Moves the node's model by the mean of the round. Children may hold the one that it was.
void InnerNode::merge_progress(const RoundReport& report) {
  const std::shared_ptr<std::vector<float>> before = own_model_;
  own_model_ = std::make_shared<std::vector<float>>(*before);
  move_model();
  for (std::size_t i = 0; i < progress_.size(); ++i) {
    progress_[i] += static_cast<double>((*own_model_)[i]) - static_cast<double>((*before)[i]);
  }
  ++version_.value;
  keep_for_answer(report);
}

// What the model has gained since the last answer, as it travels; what that cannot hold stays for the next one.
void InnerNode::send_progress(NodeContext& context) {
  std::vector<float> gained(progress_.size());
  std::ranges::transform(progress_, gained.begin(), [](double value) { return static_cast<float>(value); });
  Payload sent = travelling(std::move(gained));
  for (std::size_t i = 0; i < progress_.size(); ++i) { progress_[i] -= static_cast<double>(sent.values()[i]); }
  Update update;
  update.fingerprint = settings_.spec->fingerprint();
  update.bases = std::exchange(contents_, {});
  update.segments.push_back({std::string(kDeltaSegment), std::move(sent), {}});
  fill_from_local_rounds(update);
  send_up(context, std::move(update));
}

}  // namespace tributary
