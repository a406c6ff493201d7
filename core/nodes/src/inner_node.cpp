// SPDX-License-Identifier: Apache-2.0
#include "tributary/nodes/inner_node.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <numeric>
#include <utility>

#include "saturated.hpp"
#include "tributary/base/random.hpp"
#include "tributary/nodes/client_update.hpp"

namespace tributary {
namespace {

constexpr std::string_view kUntrained = "no round was committed, and the model is as it was";

double seconds_of(std::chrono::nanoseconds time) {
  return std::chrono::duration<double>(time).count();
}

// What an aggregator leaves of its parent's time for both ways where it does not know its link, and beside the ways'
// time where it does.
constexpr double kShareForUnknownWays = 0.1;
constexpr double kShareBesideKnownWays = 0.02;
// Children of one round that are named when its deadline cuts them off.
constexpr std::uint32_t kMostCutOffNotes = 100;

}  // namespace

// A policy's view of the node that calls it.
class InnerNode::Tier final : public TierContext {
 public:
  Tier(InnerNode& node, NodeContext& context) : node_(node), context_(context) {}

  [[nodiscard]] std::uint32_t children() const noexcept override { return node_.settings_.children.size(); }
  [[nodiscard]] Round round() const noexcept override { return node_.round_; }
  [[nodiscard]] const RoundState& state() const noexcept override { return node_.state_; }
  [[nodiscard]] std::uint64_t seed(Purpose purpose, std::uint64_t number) const noexcept override {
    return stream_seed(node_.settings_.seed, purpose, node_.settings_.self.value, number);
  }
  [[nodiscard]] bool taken(std::uint32_t child) const override { return node_.tasks_.contains(child); }
  [[nodiscard]] std::uint64_t tasks() const noexcept override { return node_.tasks_given_; }
  void choose(Cohort cohort) override { node_.choose(context_, std::move(cohort)); }
  void ask(std::uint32_t child) override { node_.ask(context_, child); }

 private:
  InnerNode& node_;
  NodeContext& context_;
};

InnerNode::InnerNode(InnerNodeSettings settings, std::optional<RootState> root)
    : settings_(std::move(settings)),
      task_generation_(settings_.incarnation * kGenerationsPerIncarnation),
      // What a node before it has sent under other numbers cannot be taken for what this one sends.
      variate_((std::uint64_t{settings_.incarnation} << 32U) + 1),
      inquiry_(settings_.self, settings_.parent, settings_.liveness.over(settings_.way)) {
  forget_states();
  if (root) {
    round_ = root->round;
    version_ = root->version;
    own_model_ = std::move(root->model);
    done_ = root->done;
    tasks_given_ = root->tasks;
    evaluate_first_ = settings_.evaluate_clients;
    restored_ = restore_parts({.optimizer = settings_.optimizer.get(),
                               .method = server_.get(),
                               .ledger = settings_.keeps_states ? &ledger_ : nullptr,
                               .policy = settings_.policy.get()},
                              root->snapshot, root->version, settings_.spec->parameters());
    begin_epoch(*root);
    // The root's is its server's alone.
    [[maybe_unused]] const Status made = renew_broadcast();
    if (continuous()) { published_ = present(); }
  } else {
    link_.emplace(settings_.self, settings_.parent, settings_.liveness.over(settings_.way));
  }
}

void InnerNode::on_start(NodeContext& context) {
  if (!is_root()) {
    if (settings_.incarnation > 0) { link_->start(context); }
    return;
  }
  if (!restored_.ok()) {
    context.finished(restored_);
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

void InnerNode::tell(NodeContext& context, const NodeInput& input) const {
  if (!context.notes_inputs()) { return; }
  context.note({NodeEvent::Kind::kInput, settings_.self, round_, to_text(input)});
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
  return settings_.scale_of_round(Weight::from_units(std::accumulate(units.begin(), end, std::uint64_t{0})), counted,
                                  settings_.policy->discount_bits());
}

void InnerNode::open_round(NodeContext& context) {
  if (is_root()) {
    ++round_.value;
    global_round_ = round_;
    give_own_model();
  } else if (continuous()) {
    ++round_.value;
    settings_.own_model ? give_own_model() : give_parent_model();
  } else {
    round_ = Round{(parent_key_.number - 1) * settings_.local_rounds + local_round_ + 1};
    if (local_commits_ > 0) { give_own_model(); }
  }
  due_ = false;
  if (parents_own_states()) { leave_the_lost_behind(context); }
  forget_settled();
  lasting_failures_ = 0;
  last_trouble_ = {};
  refused_ = 0;
  staleness_ = {};
  staleness_counts_ = {};
  open_ = true;
  Tier tier(*this, context);
  act(context, settings_.policy->open(tier));
}

// What children are given from now on.

void InnerNode::give(const ModelValues& model) {
  model_ = model;
  coded_ = {};
  if (!settings_.down) { return; }
  coded_ = encoded(*settings_.down, *settings_.spec, *model);
  model_ = coded_.shared_floats();
}

void InnerNode::give_own_model() {
  give(own_model_);
}

void InnerNode::give_parent_model() {
  if (!settings_.passes_on || parent_coded_.elements() == 0) {
    give(parent_model_);
    return;
  }
  model_ = parent_model_;
  coded_ = parent_coded_;
}

// A change of the model as it goes up.
Payload InnerNode::travelling(std::vector<float> change) const {
  if (settings_.up) { return encoded(*settings_.up, *settings_.spec, change); }
  return Payload::floats(std::make_shared<const std::vector<float>>(std::move(change)));
}

void InnerNode::choose(NodeContext& context, Cohort cohort) {
  cohort_ = std::move(cohort);
  round_scale_ = choose_scale();
  settings_.rule->begin(*settings_.spec, round_scale_, settings_.increments);
  members_.clear();
  set_deadlines(context, std::move(cohort_));
}

// Of what is opened for `cohort`, its questions included.
void InnerNode::set_deadlines(NodeContext& context, Cohort cohort) {
  cohort_ = std::move(cohort);
  state_.target = cohort_.target;
  state_.quorum = cohort_.quorum;
  std::chrono::nanoseconds deadline = cohort_.deadline;
  std::chrono::nanoseconds hard_deadline = cohort_.hard_deadline;
  if (remaining_.count() > 0 && !continuous()) {
    // The parent will not wait longer.
    const std::chrono::nanoseconds share = time_for_children();
    hard_deadline = hard_deadline.count() > 0 ? std::min(hard_deadline, share) : share;
    deadline = deadline.count() > 0 ? std::min(deadline, hard_deadline) : hard_deadline;
  }
  cohort_.deadline = deadline;
  if (deadline.count() > 0) { context.set_timer(TimerId::kDeadline, deadline); }
  if (hard_deadline.count() > 0) { context.set_timer(TimerId::kHardDeadline, hard_deadline); }
  if (continuous()) {
    // Nobody asks those anew who were at work when the node paused, and it has to hear of them again.
    if (context.time_left(TimerId::kProbe).count() == 0) { set_next_probe(context); }
    return;
  }
  probe_pause_ = settings_.liveness.first_probe;
  context.set_timer(TimerId::kProbe, probe_pause_);
}

// For one local round, or an evaluation, of what the parent leaves. At least 1 ns: 0 would mean that there is no
// deadline.
std::chrono::nanoseconds InnerNode::time_for_children() const {
  const double left = static_cast<double>(remaining_.count());
  const double ways = static_cast<double>(settings_.way.count());
  const double usable = ways > 0.0 ? left * (1.0 - kShareBesideKnownWays) - ways : left * (1.0 - kShareForUnknownWays);
  const std::uint32_t rounds = continuous() || evaluating_ ? 1 : settings_.local_rounds;
  return std::chrono::nanoseconds(std::max<std::int64_t>(1, static_cast<std::int64_t>(usable / rounds)));
}

void InnerNode::on_message(NodeContext& context, NodeId from, Message message) {
  if (!link_ || from != settings_.parent) {
    if (settings_.children.contains(from)) { on_child_message(context, from, message); }
    return;
  }
  if (const auto* decision = std::get_if<DecisionMessage>(&message)) {
    on_decision(context, *decision);
    return;
  }
  switch (link_->on_message(context, message)) {
    case ParentLink::Reaction::kNone:
      return;
    case ParentLink::Reaction::kStop:
      tell(context, {.kind = NodeInput::Kind::kStop, .peer = from, .key = link_->key()});
      // What children work on is not lost: it will answer the next task.
      if (continuous()) {
        context.cancel_timer(TimerId::kHardDeadline);
        return;
      }
      stop_task(context);
      broadcast_.reset();
      return;
    case ParentLink::Reaction::kStart: {
      auto& task = std::get<TaskMessage>(message);
      tell(context, {.kind = NodeInput::Kind::kTask, .peer = from, .key = task.key, .value = task.attempt.value});
      if (task.key.kind == TaskKind::kEvaluate) {
        take_evaluation(context, std::move(task));
      } else if (continuous()) {
        adopt(context, std::move(task));
      } else {
        take_task(context, std::move(task));
      }
      return;
    }
  }
}

// The parent's task is over, or replaced by another.
void InnerNode::stop_task(NodeContext& context) {
  cancel_round(context);
  stop_asking(context);
  model_.reset();
  coded_ = {};
  parent_model_.reset();
  parent_coded_ = {};
  own_model_.reset();
  local_members_.clear();
  local_increments_.clear();
}

// Makes `task` the one that this node works on, under keys for its children that are later than all before.
void InnerNode::begin_task(NodeContext& context, TaskMessage& task) {
  stop_task(context);
  const auto place = [](const TaskKey& key) { return std::pair(key.number, key.kind); };
  if (place(task.key) <= place(parent_key_)) { ++task_generation_; }
  parent_key_ = task.key;
  parent_model_ = std::move(task.model);
  parent_coded_ = std::move(task.coded);
  give_parent_model();
  ++version_.value;
  global_round_ = task.global_round;
  remaining_ = task.remaining;
}

void InnerNode::take_task(NodeContext& context, TaskMessage task) {
  begin_task(context, task);
  remember_anchor(task.version);
  contents_ = {};
  evaluate_first_ = task.evaluate_first;
  local_round_ = 0;
  local_commits_ = 0;
  weight_units_ = 0;
  local_work_ = 0.0;
  local_scalars_.clear();
  local_contributors_.clear();
  if (parents_own_states()) {
    parent_broadcast_ = std::move(task.broadcast);
    settle_with_parent(context, task.epoch);
    return;
  }
  broadcast_ = std::move(task.broadcast);
  if (std::exchange(epoch_, task.epoch) != task.epoch) { ledger_ = {}; }
  open_round(context);
}

void InnerNode::on_timer(NodeContext& context, TimerId timer) {
  switch (timer) {
    case TimerId::kResend:
      if (link_) { link_->on_resend(context); }
      return;
    case TimerId::kProbe:
      if (open_) {
        probe(context);
      } else if (inquiry_.waits()) {
        go_on(context, inquiry_.on_timer(context));
      }
      return;
    case TimerId::kDeadline:
      tell(context, {.kind = NodeInput::Kind::kDeadline, .peer = settings_.self});
      state_.deadline_passed = true;
      decide(context, {TierEvent::Kind::kDeadline});
      return;
    case TimerId::kHardDeadline:
      if (inquiry_.waits()) {
        stop_asking(context);
        go_on(context, StateInquiry::Result::kSilent);
        return;
      }
      tell(context, {.kind = NodeInput::Kind::kHardDeadline, .peer = settings_.self});
      state_.deadline_passed = true;
      state_.hard_deadline_passed = true;
      decide(context, {TierEvent::Kind::kHardDeadline});
      if (continuous() && link_ && link_->working()) {
        // Late, it answers as soon as it has anything.
        due_ = true;
        answer_if_due(context);
      }
      return;
  }
}

void InnerNode::decide(NodeContext& context, const TierEvent& event) {
  if (!open_) { return; }
  if (evaluating_) {
    decide_evaluation(context);
    return;
  }
  Tier tier(*this, context);
  act(context, settings_.policy->on_event(tier, event));
}

void InnerNode::act(NodeContext& context, Decision decision) {
  if (decision == Decision::kWait) { return; }
  if (continuous() && link_ && !settings_.own_model && !link_->working()) {
    due_ = true;  // there is no task to answer yet
    return;
  }
  // A policy may be content without a single update, but nothing can be divided by a weight of zero.
  const bool commit = decision == Decision::kCommit && !settings_.rule->weight().zero();
  const RoundReport report = close_round(context, commit);
  if (is_root()) {
    finish_root_round(context, report);
  } else {
    finish_aggregator_round(context, report);
  }
}

// Whoever still works for this node need not go on.
void InnerNode::cancel_round(NodeContext& context) {
  if (!open_) { return; }
  open_ = false;
  evaluating_ = false;
  context.cancel_timer(TimerId::kProbe);
  context.cancel_timer(TimerId::kDeadline);
  context.cancel_timer(TimerId::kHardDeadline);
  for (const auto& [position, task] : tasks_) {
    if (task.state == TaskState::kAsked || task.state == TaskState::kLost) {
      context.send(child_at(position), CancelMessage{task.key});
    }
  }
}

// Who was asked and had not answered by the deadline: of them nothing else may ever be heard.
void InnerNode::note_cut_off(NodeContext& context) const {
  std::uint32_t noted = 0;
  for (const auto& [position, task] : tasks_) {
    if (noted == kMostCutOffNotes) { break; }
    if (task.state != TaskState::kAsked) { continue; }
    ++noted;
    context.note({NodeEvent::Kind::kCutOff, child_at(position), round_,
                  noted < kMostCutOffNotes || state_.expected() == noted
                      ? "had not answered by the deadline"
                      : fmt::format("had not answered by the deadline; nor had {} others, which are not listed",
                                    state_.expected() - noted)});
  }
}

bool InnerNode::is_lasting(Code code) noexcept {
  return code == Code::kInvalidArgument || code == Code::kBadData || code == Code::kConfiguration ||
         code == Code::kUnsupported;
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
  if (continuous()) {
    open_ = false;
    context.cancel_timer(TimerId::kDeadline);
  } else {
    report.late = state_.expected();
    if (state_.deadline_passed) { note_cut_off(context); }
    cancel_round(context);
  }
  model_.reset();
  coded_ = {};
  if (commit) {
    report.contributors = settings_.rule->contributors();
    report.weight = settings_.rule->weight();
    report.scalars = settings_.rule->scalars();
    report.weight_bound = round_scale_.weight_bound;
    report.staleness = staleness_;
    report.staleness_counts = staleness_counts_;
    std::uint64_t terms = 0;
    for (const auto& [position, task] : tasks_) {
      if (task.state != TaskState::kReported) { continue; }
      terms += task.terms;
      if (link_) { remember_contents(task.bases); }
    }
    // Of sums; what other rules keep are the floats themselves.
    if (settings_.rule->mergeable()) {
      report.resolution = round_scale_.resolution(report.weight) * static_cast<double>(terms);
    }
  } else {
    context.note({NodeEvent::Kind::kAbandoned, settings_.self, round_, shortfall().message()});
  }
  return report;
}

// Moves own_model_ by the mean of the round; in place unless somebody still reads it. The count alone orders nothing:
// other threads give their references back by TrainingPool::release() and the like.
void InnerNode::move_model() {
  if (own_model_.use_count() > 1) {
    own_model_ = std::make_shared<std::vector<float>>(*own_model_);
  } else if (!settings_.down) {
    // What it was is gone, and must not be taken for the model of an open task that was given it.
    for (auto& [position, task] : tasks_) {
      if (!task.continuing) { continue; }
      auto& model = task.continuing->model;
      const bool given_this = !model.owner_before(own_model_) && !own_model_.owner_before(model);
      if (given_this) { model.reset(); }
    }
  }
  const double scale = settings_.method ? settings_.method->scale(*settings_.rule) : 1.0;
  if (const ModelValues base = std::exchange(mixed_base_, nullptr)) {
    apply_mixing(*settings_.spec, *settings_.rule, *base, mixing_, *own_model_);
  } else {
    apply_mean(*settings_.spec, *settings_.rule, *settings_.optimizer, settings_.policy->share(state_), scale,
               *own_model_);
  }
  if (server_) {
    server_->commit(*settings_.spec, *settings_.rule, *own_model_);
    // An aggregator's has come about once with this very task.
    [[maybe_unused]] const Status renewed = renew_broadcast();
  }
}

// An aggregator with one round for each of its parent's hands on what its children sent, if that can be summed.
bool InnerNode::sends_sums() const noexcept {
  return settings_.local_rounds == 1 && settings_.rule->mergeable();
}

// All that was added since the round began, as one update.
Update InnerNode::forward() const {
  Update update = settings_.rule->forward();
  update.members.assign(members_.begin(), members_.end());
  update.epoch = epoch_;
  return update;
}

void InnerNode::finish(NodeContext& context, bool stop) {
  const bool given_up = abandoned_in_a_row_ >= settings_.largest_abandoned;
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

// What an aggregator's answer will say of all its local rounds together.
void InnerNode::keep_for_answer(const RoundReport& report) {
  ++local_commits_;
  weight_units_ = internal::saturated(weight_units_, report.weight.units());
  for (const auto& [name, sum] : report.scalars) { local_scalars_.insert_or_assign(name, sum); }
  for (const auto& [position, task] : tasks_) {
    if (task.state != TaskState::kReported) { continue; }
    std::uint32_t& most = local_contributors_[position];
    most = std::max(most, task.contributors);
  }
  keep_increments();
}

void InnerNode::fill_from_local_rounds(Update& update) {
  // A sum of weights would count for more what was cut into more rounds.
  update.weight = Weight::from_units(std::max<std::uint64_t>(1, weight_units_ / std::max(1U, local_commits_)));
  for (const auto& [child, clients] : local_contributors_) { update.contributors += clients; }
  update.scalars = std::move(local_scalars_);
  local_commits_ = 0;
  weight_units_ = 0;
  local_scalars_.clear();
  local_contributors_.clear();
  fill_increments(update);
}

void InnerNode::finish_aggregator_round(NodeContext& context, const RoundReport& report) {
  if (continuous()) {
    finish_continuous_round(context, report);
    return;
  }
  ++local_round_;
  const bool last = local_round_ >= settings_.local_rounds;
  if (sends_sums()) {
    if (report.committed) { report_sums(context); }
  } else if (report.committed) {
    if (!own_model_) { own_model_ = std::make_shared<std::vector<float>>(*parent_model_); }
    move_model();
    ++version_.value;
    if (parents_own_states()) { count_members(); }
    keep_for_answer(report);
  }
  if (!last) {
    if (!own_model_) { give_parent_model(); }
    open_round(context);
    return;
  }
  if (sends_sums() && report.committed) { return; }
  if (local_commits_ == 0) {
    parent_model_.reset();
    parent_coded_ = {};
    link_->fail(context, shortfall());
    return;
  }
  Update update;
  update.fingerprint = settings_.spec->fingerprint();
  update.bases = std::exchange(contents_, {});
  Payload change = travelling(model_difference(*parent_model_, *own_model_));
  update.segments.push_back({std::string(kDeltaSegment), change, {}});
  fill_from_local_rounds(update);
  own_model_.reset();
  parent_model_.reset();
  parent_coded_ = {};
  if (parents_own_states()) {
    if (const Status added = add_own_increment(update, change.values()); !added.ok()) {
      link_->fail(context, added);
      return;
    }
  }
  link_->report(context, std::move(update));
}

// The sums of its one round, as they are.
void InnerNode::report_sums(NodeContext& context) {
  parent_model_.reset();
  parent_coded_ = {};
  Update update = forward();
  update.bases = std::exchange(contents_, {});
  if (parents_own_states()) {
    if (const Status added = settle_round(update); !added.ok()) {
      link_->fail(context, added);
      return;
    }
  }
  link_->report(context, std::move(update));
}

}  // namespace tributary
