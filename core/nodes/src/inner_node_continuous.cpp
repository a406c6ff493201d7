// SPDX-License-Identifier: Apache-2.0
// An aggregator whose children work all the time: between its parent's tasks, which it answers, and its own commits.
//
// Of its own model W, the parent's newest model A, what was sent and is not yet in A (U), and what was merged and is
// not yet sent (P), W = A + U + P holds up to the rounding of W to floats. Only W and P are kept: a new A settles U, as
// a parent hands out the next task only once it has counted the answer to the one before, or will not count it.
#include <algorithm>
#include <iterator>
#include <utility>

#include "tributary/nodes/inner_node.hpp"

namespace tributary {
namespace {

// An aggregator without a task goes on for so many answers' worth of commits, and then pauses: its parent may be gone.
constexpr std::uint32_t kMostDetached = 64;
// Changes of the parent's model that are remembered. Staler updates count as based on the oldest of them.
constexpr std::size_t kMostAnchors = 4096;
constexpr std::uint64_t kMostAges = std::uint64_t{1} << 32U;

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
  if (settings_.own_model) {
    auto model = std::make_shared<std::vector<float>>(*parent_model_);
    progress_.resize(model->size(), 0.0);
    for (std::size_t i = 0; i < model->size(); ++i) {
      if (progress_[i] == 0.0) { continue; }
      (*model)[i] = static_cast<float>(static_cast<double>((*model)[i]) + progress_[i]);
    }
    own_model_ = std::move(model);
    parent_model_.reset();
  }
  context.cancel_timer(TimerId::kHardDeadline);
  if (remaining_.count() > 0) { context.set_timer(TimerId::kHardDeadline, time_for_children()); }
  if (open_) {
    model_ = settings_.own_model ? ModelValues(own_model_) : parent_model_;
  } else {
    open_round(context);
  }
  answer_if_due(context);
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
    Update update = settings_.rule->forward();
    update.bases = std::exchange(contents_, {});
    context.cancel_timer(TimerId::kHardDeadline);
    link_->report(context, std::move(update));
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

// What the model has gained since the last answer, as floats; what they cannot hold stays for the next one.
void InnerNode::send_progress(NodeContext& context) {
  auto sent = std::make_shared<std::vector<float>>(progress_.size());
  for (std::size_t i = 0; i < progress_.size(); ++i) {
    (*sent)[i] = static_cast<float>(progress_[i]);
    progress_[i] -= static_cast<double>((*sent)[i]);
  }
  Update update;
  update.fingerprint = settings_.spec->fingerprint();
  update.bases = std::exchange(contents_, {});
  update.segments.push_back({std::string(kDeltaSegment), Payload::floats(std::move(sent))});
  fill_from_local_rounds(update);
  context.cancel_timer(TimerId::kHardDeadline);
  link_->report(context, std::move(update));
}

// From the next version on, the parent's model in the node's own is this. One that is older than before comes from a
// parent that has lost its newest versions: what was based on them counts as based on the model that it went on from.
void InnerNode::remember_anchor(Version version) {
  for (auto& [from, anchor] : anchors_) { anchor = std::min(anchor, version); }
  contents_.least = std::min(contents_.least, version.value);
  contents_.most = std::min(contents_.most, version.value);
  contents_.sum = std::min(contents_.sum, contents_.updates * version.value);
  anchors_[version_.value] = version;
  if (anchors_.size() > kMostAnchors) { anchors_.erase(anchors_.begin()); }
}

Version InnerNode::anchor_of(std::uint64_t version) const {
  const auto after = anchors_.upper_bound(version);
  return after != anchors_.begin() ? std::prev(after)->second : anchors_.begin()->second;
}

// `bases`: of an update that was counted, by this node's versions.
void InnerNode::remember_contents(const VersionSpread& bases) {
  // A parent takes no more. Updates beyond that count, and only their ages are left out.
  if (contents_.updates + bases.updates > kMostAges) { return; }
  VersionSpread anchors = VersionSpread::of(anchor_of(static_cast<std::uint64_t>(bases.mean())).value, bases.updates);
  anchors.least = std::min(anchors.least, anchor_of(bases.least).value);
  anchors.most = std::max(anchors.most, anchor_of(bases.most).value);
  contents_.add(anchors);
}

}  // namespace tributary
