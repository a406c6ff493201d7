// SPDX-License-Identifier: Apache-2.0
#include "tributary/nodes/inner_node.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <numeric>
#include <span>
#include <utility>

#include "tributary/base/random.hpp"
#include "tributary/nodes/client_update.hpp"

namespace tributary {
namespace {

constexpr std::string_view kUntrained = "no round was committed, and the model is as it was";

// Whether the same task would end like this again: what it is made of is wrong, and no peer or machine.
bool is_lasting(Code code) {
  return code == Code::kInvalidArgument || code == Code::kBadData || code == Code::kConfiguration ||
         code == Code::kUnsupported;
}

double seconds_of(std::chrono::nanoseconds time) {
  return std::chrono::duration<double>(time).count();
}

Status failure_of(const TaskFailedMessage& message) {
  return Status(message.code == Code::kOk ? Code::kInternal : message.code, message.reason);
}

// Leaves room for repeated parent rounds between two incarnations.
constexpr std::uint32_t kGenerationsPerIncarnation = 1U << 16U;
// What an aggregator leaves of its parent's time for both ways where it does not know its link, and beside the ways'
// time where it does.
constexpr double kShareForUnknownWays = 0.1;
constexpr double kShareBesideKnownWays = 0.02;
// A child that forgets one task so often, because it keeps crashing on it, is given up for the round.
constexpr std::uint32_t kMostRestarts = 16;
// Children of one round that are named when its deadline cuts them off.
constexpr std::uint32_t kMostCutOffNotes = 100;

}  // namespace

InnerNode::InnerNode(InnerNodeSettings settings, std::optional<RootState> root)
    : settings_(std::move(settings)), task_generation_(settings_.incarnation * kGenerationsPerIncarnation) {
  if (root) {
    round_ = root->round;
    version_ = root->version;
    own_model_ = std::move(root->model);
    done_ = root->done;
    evaluate_first_ = settings_.evaluate_clients;
  } else {
    link_.emplace(settings_.self, settings_.parent, settings_.liveness.over(settings_.way));
  }
}

void InnerNode::on_start(NodeContext& context) {
  if (!is_root()) {
    if (settings_.incarnation > 0) { link_->start(context); }
    return;
  }
  if (done_ || round_.value >= settings_.rounds) {
    // A run that failed in its last round has no result either when it is resumed.
    const bool untrained = settings_.rounds > 0 && version_.value == 0;
    context.finished(untrained ? unavailable(std::string(kUntrained)) : ok_status());
    return;
  }
  open_round(context);
}

// For the heaviest children of the cohort that the round may count.
ExactScale InnerNode::choose_scale() const {
  if (settings_.scale_of_round == nullptr || !settings_.weight_bounds || cohort_.members.empty()) {
    return settings_.scale;
  }
  std::vector<std::uint64_t> units;
  for (const std::uint32_t member : cohort_.members) {
    units.push_back(settings_.weight_bounds->at(settings_.children[member].value).units());
  }
  const std::size_t counted = std::clamp<std::size_t>(cohort_.target, 1, units.size());
  std::ranges::nth_element(units, units.begin() + static_cast<std::ptrdiff_t>(counted - 1), std::greater<>());
  const auto end = units.begin() + static_cast<std::ptrdiff_t>(counted);
  return settings_.scale_of_round(Weight::from_units(std::accumulate(units.begin(), end, std::uint64_t{0})), counted);
}

void InnerNode::open_round(NodeContext& context) {
  if (is_root()) {
    ++round_.value;
    global_round_ = round_;
    model_ = own_model_;
  } else {
    round_ = Round{(parent_key_.round.value - 1) * settings_.local_rounds + local_round_ + 1};
    if (local_commits_ > 0) { model_ = own_model_; }
  }
  cohort_ = settings_.policy->choose(settings_.children.size(),
                                     stream_seed(settings_.seed, Purpose::kCohort, settings_.self.value, round_.value));
  members_.assign(cohort_.members.size(), Member{});
  lasting_failures_ = 0;
  last_trouble_ = {};
  state_ = {.asked = static_cast<std::uint32_t>(members_.size()), .target = cohort_.target, .quorum = cohort_.quorum};
  refused_ = 0;
  open_ = true;
  round_scale_ = choose_scale();
  settings_.rule->begin(*settings_.spec, round_scale_);

  std::chrono::nanoseconds deadline = cohort_.deadline;
  std::chrono::nanoseconds hard_deadline = cohort_.hard_deadline;
  if (remaining_.count() > 0) {
    // The parent will not wait longer.
    const std::chrono::nanoseconds share = time_for_children();
    hard_deadline = hard_deadline.count() > 0 ? std::min(hard_deadline, share) : share;
    deadline = deadline.count() > 0 ? std::min(deadline, hard_deadline) : hard_deadline;
  }
  cohort_.deadline = deadline;
  if (deadline.count() > 0) { context.set_timer(TimerId::kDeadline, deadline); }
  if (hard_deadline.count() > 0) { context.set_timer(TimerId::kHardDeadline, hard_deadline); }
  probe_pause_ = settings_.liveness.first_probe;
  context.set_timer(TimerId::kProbe, probe_pause_);
  for (const std::uint32_t i : order_of_asking()) { ask(context, settings_.children[cohort_.members[i]], members_[i]); }
  decide(context);
}

// For one local round, of what the parent leaves. At least 1 ns: 0 would mean that there is no deadline.
std::chrono::nanoseconds InnerNode::time_for_children() const {
  const double left = static_cast<double>(remaining_.count());
  const double ways = static_cast<double>(settings_.way.count());
  const double usable = ways > 0.0 ? left * (1.0 - kShareBesideKnownWays) - ways : left * (1.0 - kShareForUnknownWays);
  return std::chrono::nanoseconds(
      std::max<std::int64_t>(1, static_cast<std::int64_t>(usable / settings_.local_rounds)));
}

// Who is asked first often answers first. Where not all answers are counted, that must not be the same children in
// every round.
std::vector<std::uint32_t> InnerNode::order_of_asking() const {
  std::vector<std::uint32_t> order(members_.size());
  std::iota(order.begin(), order.end(), 0U);
  if (cohort_.quorum < members_.size()) {
    Rng rng(stream_seed(settings_.seed, Purpose::kTies, settings_.self.value, round_.value));
    rng.shuffle(std::span(order));
  }
  return order;
}

void InnerNode::ask(NodeContext& context, NodeId child, const Member& member) {
  std::chrono::nanoseconds remaining{0};
  if (cohort_.deadline.count() > 0) {
    // A round that waits on after its deadline, for its quorum, ends at its hard deadline.
    remaining = context.time_left(state_.deadline_passed ? TimerId::kHardDeadline : TimerId::kDeadline);
    remaining = std::max(remaining, std::chrono::nanoseconds{1});
  }
  context.send(child, TaskMessage{.key = key(),
                                  .attempt = member.attempt,
                                  .version = version_,
                                  .global_round = global_round_,
                                  .model = model_,
                                  .evaluate_first = evaluate_first_ && local_round_ == 0,
                                  .remaining = remaining});
}

void InnerNode::ask_again(NodeContext& context, NodeId child, Member& member) {
  ++member.attempt.value;
  ask(context, child, member);
}

// The child does not know a task that is open: it has started anew, or the task has not reached it.
void InnerNode::on_forgotten(NodeContext& context, NodeId child, Member& member) {
  if (member.state != MemberState::kAsked) { return; }
  if (member.restarts <= kMostRestarts) {
    ask_again(context, child, member);
    return;
  }
  mark(member, MemberState::kFailed);
  const std::string why = fmt::format("started again {} times during one task", member.restarts);
  context.note({NodeEvent::Kind::kTaskFailed, child, round_, why});
  last_trouble_ = unavailable(why);
  decide(context);
}

InnerNode::Member* InnerNode::find_member(NodeId child) {
  if (!settings_.children.contains(child)) { return nullptr; }
  const std::uint32_t position = settings_.children.index_of(child);
  const auto found = std::lower_bound(cohort_.members.begin(), cohort_.members.end(), position);
  if (found == cohort_.members.end() || *found != position) { return nullptr; }
  return &members_[static_cast<std::size_t>(found - cohort_.members.begin())];
}

void InnerNode::mark(Member& member, MemberState state) {
  const auto count = [this](MemberState of) -> std::uint32_t* {
    switch (of) {
      case MemberState::kReported:
        return &state_.reported;
      case MemberState::kFailed:
        return &state_.failed;
      case MemberState::kLost:
        return &state_.lost;
      case MemberState::kAsked:
        break;
    }
    return nullptr;
  };
  if (std::uint32_t* const before = count(member.state)) { --*before; }
  if (std::uint32_t* const after = count(state)) { ++*after; }
  member.state = state;
}

void InnerNode::heard_from(NodeContext& context, NodeId child, Member& member) {
  member.unanswered = 0;
  if (member.state == MemberState::kLost) {
    mark(member, MemberState::kAsked);
    context.note({NodeEvent::Kind::kReturned, child, round_, "answers again"});
  }
}

void InnerNode::on_message(NodeContext& context, NodeId from, Message message) {
  if (link_ && from == settings_.parent) {
    switch (link_->on_message(context, message)) {
      case ParentLink::Reaction::kNone:
        return;
      case ParentLink::Reaction::kStop:
        cancel_round(context);
        model_.reset();
        parent_model_.reset();
        own_model_.reset();
        return;
      case ParentLink::Reaction::kStart:
        break;
    }
    cancel_round(context);
    auto& task = std::get<TaskMessage>(message);
    if (task.key.round <= parent_key_.round) { ++task_generation_; }
    parent_key_ = task.key;
    parent_model_ = std::move(task.model);
    model_ = parent_model_;
    own_model_.reset();
    version_ = task.version;
    global_round_ = task.global_round;
    evaluate_first_ = task.evaluate_first;
    remaining_ = task.remaining;
    local_round_ = 0;
    local_commits_ = 0;
    weight_units_ = 0;
    local_scalars_.clear();
    local_contributors_.clear();
    open_round(context);
    return;
  }
  if (!settings_.children.contains(from)) { return; }
  if (const auto* update = std::get_if<UpdateMessage>(&message)) {
    on_update(context, from, *update);
  } else if (const auto* failed = std::get_if<TaskFailedMessage>(&message)) {
    on_failed(context, from, *failed);
  } else if (const auto* working = std::get_if<WorkingMessage>(&message)) {
    Member* const member = open_ && working->key == key() ? find_member(from) : nullptr;
    if (member == nullptr) { return; }
    heard_from(context, from, *member);
    // "Not known" from a child that never had the task is no crash: on a slow link questions overtake it.
    if (!working->known && std::exchange(member->working, false)) { ++member->restarts; }
    if (working->known) {
      member->working = true;
    } else {
      on_forgotten(context, from, *member);
    }
  } else if (std::holds_alternative<HelloMessage>(message)) {
    Member* const member = open_ ? find_member(from) : nullptr;
    if (member == nullptr) { return; }
    heard_from(context, from, *member);
    member->working = false;
    ++member->restarts;
    on_forgotten(context, from, *member);
  }
}

// What a rule cannot know: whom the update should come from, and how much that child may weigh.
Status InnerNode::check(NodeId from, const Update& update) const {
  const UpdateId& id = update.id;
  if (id.node != from || id.round != round_ || id.incarnation != task_generation_) {
    return invalid_argument("the update is not the one that was asked for");
  }
  if (!settings_.weight_bounds) { return {}; }
  const Weight bound = settings_.weight_bounds->at(from.value);
  if (update.weight <= bound) { return {}; }
  return invalid_argument(fmt::format("the update weighs {}, and {} was announced as the most of this child",
                                      update.weight.value(), bound.value()));
}

void InnerNode::on_update(NodeContext& context, NodeId from, const UpdateMessage& message) {
  Member* const member = message.key == key() ? find_member(from) : nullptr;
  if (member == nullptr || (!open_ && member->state != MemberState::kReported)) {
    context.note({NodeEvent::Kind::kLate, from, message.key.round, "the round had closed"});
    context.send(from, AcknowledgeMessage{.key = message.key, .accepted = false, .reason = "the round has closed"});
    return;
  }
  if (open_) { heard_from(context, from, *member); }
  if (member->state != MemberState::kAsked) {
    const bool counted = member->state == MemberState::kReported;
    context.note({NodeEvent::Kind::kDuplicate, from, round_, counted ? "already counted" : "already refused"});
    context.send(from, AcknowledgeMessage{.key = message.key, .accepted = counted, .reason = ""});
    return;
  }
  Status added = check(from, message.update);
  if (added.ok()) { added = settings_.rule->add(message.update); }
  if (!added.ok()) {
    ++refused_;
    mark(*member, MemberState::kFailed);
    context.note({NodeEvent::Kind::kRefused, from, round_, added.message()});
    remember_failure(added.with_context(fmt::format("the update of node {} in round {}", from.value, round_.value)));
  } else {
    mark(*member, MemberState::kReported);
    member->contributors = message.update.contributors;
    const bool is_one_term = message.update.segments.front().payload.encoding() == Encoding::kFloat32;
    member->terms = is_one_term ? 1 : message.update.contributors;
  }
  context.send(from, AcknowledgeMessage{.key = message.key, .accepted = added.ok(), .reason = added.message()});
  decide(context);
}

void InnerNode::on_failed(NodeContext& context, NodeId from, const TaskFailedMessage& message) {
  Member* const member = open_ && message.key == key() ? find_member(from) : nullptr;
  if (member != nullptr) {
    heard_from(context, from, *member);
    if (member->state == MemberState::kAsked && message.attempt == member->attempt) {
      context.note({NodeEvent::Kind::kTaskFailed, from, round_, message.reason});
      // The same task would fail in the same way again.
      const bool lasting = is_lasting(message.code);
      if (!lasting && member->failures++ < settings_.retries) {
        // The new task replaces the failure that the child keeps repeating.
        last_trouble_ = failure_of(message);
        ask_again(context, from, *member);
        return;
      }
      remember_failure(failure_of(message));
      mark(*member, MemberState::kFailed);
    } else if (member->state == MemberState::kAsked) {
      ask(context, from, *member);  // the task that replaces that failure has not arrived
      return;
    }
  }
  context.send(from, AcknowledgeMessage{.key = message.key, .accepted = false, .reason = ""});
  if (member != nullptr) { decide(context); }
}

void InnerNode::on_timer(NodeContext& context, TimerId timer) {
  switch (timer) {
    case TimerId::kResend:
      if (link_) { link_->on_resend(context); }
      return;
    case TimerId::kProbe:
      if (open_) { probe(context); }
      return;
    case TimerId::kDeadline:
      state_.deadline_passed = true;
      decide(context);
      return;
    case TimerId::kHardDeadline:
      state_.deadline_passed = true;
      state_.hard_deadline_passed = true;
      decide(context);
      return;
  }
}

void InnerNode::on_unreachable(NodeContext& context, NodeId peer, const std::string& why) {
  Member* const member = open_ ? find_member(peer) : nullptr;
  if (member == nullptr || member->state != MemberState::kAsked) { return; }
  mark(*member, MemberState::kLost);
  context.note({NodeEvent::Kind::kLost, peer, round_, why});
  last_trouble_ = unavailable(why);
  decide(context);
}

void InnerNode::probe(NodeContext& context) {
  for (std::size_t i = 0; i < members_.size(); ++i) {
    Member& member = members_[i];
    if (member.state != MemberState::kAsked && member.state != MemberState::kLost) { continue; }
    const NodeId child = settings_.children[cohort_.members[i]];
    if (member.state == MemberState::kAsked && member.unanswered++ >= settings_.liveness.silent_probes) {
      mark(member, MemberState::kLost);
      context.note({NodeEvent::Kind::kLost, child, round_,
                    fmt::format("no answer to {} questions", settings_.liveness.silent_probes)});
    }
    context.send(child, ProbeMessage{key()});
  }
  probe_pause_ = std::min(probe_pause_ * 2, settings_.liveness.largest_probe);
  context.set_timer(TimerId::kProbe, probe_pause_);
  decide(context);
}

void InnerNode::decide(NodeContext& context) {
  if (!open_) { return; }
  const Decision decision = settings_.policy->decide(state_);
  if (decision == Decision::kWait) { return; }
  // A policy may be content without a single update, but nothing can be divided by a weight of zero.
  const bool commit = decision == Decision::kCommit && !settings_.rule->weight().zero();
  const RoundReport report = close_round(context, commit);
  if (is_root()) {
    finish_root_round(context, report);
  } else {
    finish_aggregator_round(context, report);
  }
}

void InnerNode::cancel_round(NodeContext& context) {
  if (!open_) { return; }
  open_ = false;
  context.cancel_timer(TimerId::kProbe);
  context.cancel_timer(TimerId::kDeadline);
  context.cancel_timer(TimerId::kHardDeadline);
  for (std::size_t i = 0; i < members_.size(); ++i) {
    if (members_[i].state == MemberState::kAsked || members_[i].state == MemberState::kLost) {
      context.send(settings_.children[cohort_.members[i]], CancelMessage{key()});
    }
  }
}

// Who was asked and had not answered by the deadline: of them nothing else may ever be heard.
void InnerNode::note_cut_off(NodeContext& context) const {
  std::uint32_t noted = 0;
  for (std::size_t i = 0; i < members_.size() && noted < kMostCutOffNotes; ++i) {
    if (members_[i].state != MemberState::kAsked) { continue; }
    ++noted;
    context.note({NodeEvent::Kind::kCutOff, settings_.children[cohort_.members[i]], round_,
                  noted < kMostCutOffNotes || state_.expected() == noted
                      ? "had not answered by the deadline"
                      : fmt::format("had not answered by the deadline; nor had {} others, which are not listed",
                                    state_.expected() - noted)});
  }
}

void InnerNode::remember_failure(Status why) {
  if (is_lasting(why.code())) { ++lasting_failures_; }
  last_trouble_ = std::move(why);
}

// Why the round could not be committed, what happened first in front. Its code is that of the failures below if all of
// them will happen again.
Status InnerNode::shortfall() const {
  const bool lasting = lasting_failures_ > 0 && lasting_failures_ == state_.failed + state_.lost &&
                       !state_.deadline_passed && is_lasting(last_trouble_.code());
  const std::string in_time =
      state_.deadline_passed ? fmt::format(" by the deadline ({} s)", seconds_of(cohort_.deadline)) : std::string();
  const std::string reported = state_.reported == 0 ? "none" : std::to_string(state_.reported);
  return Status(lasting ? last_trouble_.code() : Code::kUnavailable,
                fmt::format("{}{}{} of {} children reported{}, and {} {} needed", last_trouble_.message(),
                            last_trouble_.ok() ? "" : "; so ", reported, state_.asked, in_time, state_.quorum,
                            state_.quorum == 1 ? "was" : "were"));
}

RoundReport InnerNode::close_round(NodeContext& context, bool commit) {
  RoundReport report{.round = round_, .version = version_, .committed = commit, .state = state_};
  report.refused = refused_;
  report.late = state_.expected();
  if (state_.deadline_passed) { note_cut_off(context); }
  cancel_round(context);
  model_.reset();
  if (commit) {
    report.contributors = settings_.rule->contributors();
    report.weight = settings_.rule->weight();
    report.scalars = settings_.rule->scalars();
    report.weight_bound = round_scale_.weight_bound;
    std::uint64_t terms = 0;
    for (const Member& member : members_) { terms += member.state == MemberState::kReported ? member.terms : 0; }
    report.resolution = round_scale_.resolution(report.weight) * static_cast<double>(terms);
  } else {
    context.note({NodeEvent::Kind::kAbandoned, settings_.self, round_, shortfall().message()});
  }
  return report;
}

// Moves own_model_ by the mean of the round; in place unless somebody still reads it. The count alone orders nothing:
// other threads give their references back by TrainingPool::release() and the like.
void InnerNode::move_model() {
  if (own_model_.use_count() > 1) { own_model_ = std::make_shared<std::vector<float>>(*own_model_); }
  apply_mean(*settings_.spec, *settings_.rule, *settings_.optimizer, *own_model_);
}

void InnerNode::finish_root_round(NodeContext& context, const RoundReport& report) {
  RoundReport published = report;
  if (report.committed) {
    move_model();
    ++version_.value;
    published.version = version_;
    abandoned_in_a_row_ = 0;
  } else {
    ++abandoned_in_a_row_;
    published.given_up =
        abandoned_in_a_row_ >= settings_.largest_abandoned || (version_.value == 0 && round_.value >= settings_.rounds);
  }
  context.publish(published, own_model_);
}

void InnerNode::on_published(NodeContext& context, bool stop) {
  if (open_) { return; }
  const bool given_up = abandoned_in_a_row_ >= settings_.largest_abandoned;
  if (!stop && !given_up && round_.value < settings_.rounds) {
    open_round(context);
    return;
  }
  Status outcome;
  if (!stop && given_up) {
    const Status why = shortfall();
    outcome = Status(why.code(), fmt::format("{}: {} rounds in a row were abandoned, the last of them round {}",
                                             why.message(), abandoned_in_a_row_, round_.value));
  } else if (!stop && version_.value == 0) {
    const Status why = shortfall();
    outcome = Status(why.code(), fmt::format("{}: {}", why.message(), kUntrained));
  }
  context.finished(std::move(outcome));
}

// Moves the aggregator's own model, and keeps what its update will say of all local rounds together.
void InnerNode::commit_local_round(const RoundReport& report) {
  if (!own_model_) { own_model_ = std::make_shared<std::vector<float>>(*parent_model_); }
  move_model();
  ++version_.value;
  ++local_commits_;
  weight_units_ += report.weight.units();
  for (const auto& [name, sum] : report.scalars) { local_scalars_.insert_or_assign(name, sum); }
  for (std::size_t i = 0; i < members_.size(); ++i) {
    if (members_[i].state != MemberState::kReported) { continue; }
    std::uint32_t& most = local_contributors_[cohort_.members[i]];
    most = std::max(most, members_[i].contributors);
  }
}

void InnerNode::finish_aggregator_round(NodeContext& context, const RoundReport& report) {
  ++local_round_;
  const bool last = local_round_ >= settings_.local_rounds;
  if (settings_.local_rounds == 1) {
    if (report.committed) {
      parent_model_.reset();
      link_->report(context, settings_.rule->forward());
    }
  } else if (report.committed) {
    commit_local_round(report);
  }
  if (!last) {
    if (!own_model_) { model_ = parent_model_; }
    open_round(context);
    return;
  }
  if (settings_.local_rounds == 1 && report.committed) { return; }
  if (local_commits_ == 0) {
    parent_model_.reset();
    link_->fail(context, shortfall());
    return;
  }
  Update update;
  update.fingerprint = settings_.spec->fingerprint();
  update.weight = Weight::from_units(std::max<std::uint64_t>(1, weight_units_ / local_commits_));
  for (const auto& [child, clients] : local_contributors_) { update.contributors += clients; }
  update.scalars = std::move(local_scalars_);
  update.segments.push_back({std::string(kDeltaSegment), Payload::floats(std::make_shared<const std::vector<float>>(
                                                             model_difference(*parent_model_, *own_model_)))});
  own_model_.reset();
  parent_model_.reset();
  link_->report(context, std::move(update));
}

}  // namespace tributary
