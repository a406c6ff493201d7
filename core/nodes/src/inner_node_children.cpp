// SPDX-License-Identifier: Apache-2.0
// A node and its children: tasks that they are given, answers that are counted, and the watch over those that are
// silent.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "tributary/nodes/inner_node.hpp"

namespace tributary {
namespace {

// A child that forgets one task so often, because it keeps crashing on it, is given up for the round.
constexpr std::uint32_t kMostRestarts = 16;

// Whether the sum of versions lies between as many times the least and the most, in whole numbers.
bool adds_up(const VersionSpread& spread) {
  __extension__ using Wide = unsigned __int128;
  return Wide{spread.least} * spread.updates <= spread.sum && spread.sum <= Wide{spread.most} * spread.updates;
}

Status failure_of(const TaskFailedMessage& message) {
  return Status(message.code == Code::kOk ? Code::kInternal : message.code, message.reason);
}

}  // namespace

// Tasks.

InnerNode::ChildTask* InnerNode::find_task(NodeId child) {
  const auto found = tasks_.find(settings_.children.index_of(child));
  return found == tasks_.end() ? nullptr : &found->second;
}

InnerNode::ChildTask* InnerNode::find_task(NodeId child, const TaskKey& key) {
  ChildTask* const task = find_task(child);
  return task != nullptr && task->key == key ? task : nullptr;
}

// What is settled belongs to the round that has closed. Tasks of a continuous policy that are open stay so; after a
// round for which nobody was left, the lost are asked anew.
void InnerNode::forget_settled() {
  state_ = {};
  if (!continuous()) {
    while (!tasks_.empty()) { spare_tasks_.push_back(tasks_.extract(tasks_.begin())); }
    return;
  }
  std::erase_if(tasks_, [this](const auto& entry) {
    const TaskState state = entry.second.state;
    return state == TaskState::kReported || state == TaskState::kFailed ||
           (state == TaskState::kLost && abandoned_in_a_row_ > 0);
  });
  state_.asked = static_cast<std::uint32_t>(tasks_.size());
  for (const auto& [position, task] : tasks_) { state_.lost += task.state == TaskState::kLost ? 1U : 0U; }
}

void InnerNode::ask(NodeContext& context, std::uint32_t position) {
  if (tasks_.contains(position)) { return; }
  if (spare_tasks_.empty()) {
    tasks_.try_emplace(position);
  } else {
    auto node = std::move(spare_tasks_.back());
    spare_tasks_.pop_back();
    node.key() = position;
    node.mapped() = ChildTask();
    tasks_.insert(tasks_.end(), std::move(node));
  }
  ChildTask& task = tasks_.at(position);
  ++state_.asked;
  if (continuous()) {
    give_present_model(context, task);
    watch(context, task);
  } else {
    task.key = {.incarnation = task_generation_,
                .number = round_.value,
                .kind = evaluating_ ? TaskKind::kEvaluate : TaskKind::kTrain};
    task.version = version_;
  }
  send_task(context, child_at(position), task);
}

// A new task, under a key of its own.
void InnerNode::give_present_model(const NodeContext& context, ChildTask& task) {
  task.key = {.incarnation = task_generation_, .number = ++tasks_given_};
  task.attempt = Attempt{1};
  task.version = version_;
  task.global_round = global_round_;
  if (!task.continuing) { task.continuing = std::make_unique<Continuing>(); }
  Continuing& own = *task.continuing;
  own.model = model_;
  own.kept_model = context.keeps_models() || settings_.policy->mixes() ? model_ : nullptr;
  own.broadcast = broadcast_;
  own.kept_broadcast = context.keeps_models() ? broadcast_ : nullptr;
}

// A task of a continuous policy that has to be sent again goes with its model as long as anybody holds that: whoever
// works on it, or whatever carries it there. Otherwise it is replaced by one that starts from the present model.
InnerNode::Given InnerNode::given_to(const NodeContext& context, ChildTask& task) {
  if (continuous() && task.version != version_) {
    Given given{task.continuing->model.lock(), {}, task.continuing->broadcast.lock()};
    if (given.model && (given.broadcast || !broadcast_)) {
      if (settings_.down) { given.coded = encoded(*settings_.down, *settings_.spec, *given.model); }
      return given;
    }
    give_present_model(context, task);
  }
  return {model_, coded_, evaluating_ ? nullptr : broadcast_};
}

void InnerNode::send_task(NodeContext& context, NodeId child, ChildTask& task) {
  std::chrono::nanoseconds remaining{0};
  if (!continuous() && cohort_.deadline.count() > 0) {
    // A round that waits on after its deadline, for its quorum, ends at its hard deadline.
    remaining = context.time_left(state_.deadline_passed ? TimerId::kHardDeadline : TimerId::kDeadline);
    remaining = std::max(remaining, std::chrono::nanoseconds{1});
  }
  Given given = given_to(context, task);
  context.send(child, TaskMessage{.key = task.key,
                                  .attempt = task.attempt,
                                  .version = task.version,
                                  .global_round = continuous() ? task.global_round : global_round_,
                                  .decided = decided(settings_.children.index_of(child)),
                                  .model = std::move(given.model),
                                  .coded = std::move(given.coded),
                                  .broadcast = std::move(given.broadcast),
                                  .epoch = epoch_,
                                  .evaluate_first = evaluate_first_ && local_round_ == 0 && !evaluating_,
                                  .remaining = remaining});
}

TaskKey InnerNode::decided(std::uint32_t position) const {
  const auto found = decided_.find(position);
  return found == decided_.end() ? TaskKey{} : found->second;
}

void InnerNode::ask_again(NodeContext& context, NodeId child, ChildTask& task) {
  ++task.attempt.value;
  send_task(context, child, task);
}

// The child does not know a task that is open: it has started anew, or the task has not reached it.
void InnerNode::on_forgotten(NodeContext& context, NodeId child, ChildTask& task) {
  if (task.state != TaskState::kAsked) { return; }
  tell(context, {.kind = NodeInput::Kind::kForgotten, .peer = child, .key = task.key});
  if (task.restarts <= kMostRestarts) {
    ask_again(context, child, task);
    return;
  }
  mark(task, TaskState::kFailed);
  const std::string why = fmt::format("started again {} times during one task", task.restarts);
  context.note({NodeEvent::Kind::kTaskFailed, child, round_, why});
  last_trouble_ = unavailable(why);
  decide(context, {TierEvent::Kind::kFailed, settings_.children.index_of(child)});
}

void InnerNode::mark(ChildTask& task, TaskState state) {
  const auto count = [this](TaskState of) -> std::uint32_t* {
    switch (of) {
      case TaskState::kReported:
        return &state_.reported;
      case TaskState::kFailed:
        return &state_.failed;
      case TaskState::kLost:
        return &state_.lost;
      case TaskState::kAsked:
        break;
    }
    return nullptr;
  };
  if (std::uint32_t* const before = count(task.state)) { --*before; }
  if (std::uint32_t* const after = count(state)) { ++*after; }
  task.state = state;
  if (state == TaskState::kReported || state == TaskState::kFailed) {
    if (task.continuing) {
      task.continuing->kept_model.reset();
      task.continuing->kept_broadcast.reset();
    }
  }
}

// Answers.

void InnerNode::on_child_message(NodeContext& context, NodeId from, const Message& message) {
  if (const auto* update = std::get_if<UpdateMessage>(&message)) {
    on_update(context, from, *update);
  } else if (const auto* failed = std::get_if<TaskFailedMessage>(&message)) {
    on_failed(context, from, *failed);
  } else if (const auto* working = std::get_if<WorkingMessage>(&message)) {
    on_working(context, from, *working);
  } else if (std::holds_alternative<HelloMessage>(message)) {
    on_hello(context, from);
  } else if (const auto* inquiry = std::get_if<InquiryMessage>(&message)) {
    on_inquiry(context, from, *inquiry);
  }
}

void InnerNode::heard_from(NodeContext& context, NodeId child, ChildTask& task) {
  task.unanswered = 0;
  if (task.state == TaskState::kLost) {
    tell(context, {.kind = NodeInput::Kind::kReturned, .peer = child, .key = task.key});
    mark(task, TaskState::kAsked);
    context.note({NodeEvent::Kind::kReturned, child, round_, "answers again"});
  }
}

void InnerNode::on_working(NodeContext& context, NodeId from, const WorkingMessage& message) {
  ChildTask* const task = open_ ? find_task(from, message.key) : nullptr;
  if (task == nullptr) { return; }
  heard_from(context, from, *task);
  // "Not known" from a child that never had the task is no crash: on a slow link questions overtake it.
  if (!message.known && std::exchange(task->working, false)) { ++task->restarts; }
  if (message.known) {
    task->working = true;
  } else {
    on_forgotten(context, from, *task);
  }
}

void InnerNode::on_hello(NodeContext& context, NodeId from) {
  ChildTask* const task = open_ ? find_task(from) : nullptr;
  if (task == nullptr) { return; }
  heard_from(context, from, *task);
  task->working = false;
  ++task->restarts;
  on_forgotten(context, from, *task);
}

// What a rule cannot know: whom the update should come from, and how much that child may weigh.
Status InnerNode::check(NodeId from, const ChildTask& task, const Update& update) const {
  const UpdateId& id = update.id;
  if (id.node != from || id.number != task.key.number || id.incarnation != task.key.incarnation) {
    return invalid_argument("the update is not the one that was asked for");
  }
  if (evaluating_) { return {}; }
  if (update.segments.empty()) { return invalid_argument("the update carries no change of the model"); }
  TRIBUTARY_RETURN_IF_ERROR(check_members(from, update));
  if (!settings_.weight_bounds) { return {}; }
  const Weight bound = settings_.weight_bounds->at(from.value);
  if (update.weight <= bound) { return {}; }
  return invalid_argument(fmt::format("the update weighs {}, and {} was announced as the most of this child",
                                      update.weight.value(), bound.value()));
}

Status InnerNode::count(NodeId from, ChildTask& task, const Update& update) {
  TRIBUTARY_RETURN_IF_ERROR(check(from, task, update));
  if (evaluating_) { return count_measured(from, update); }
  std::uint32_t factor = 1;
  const VersionSpread& bases = update.bases;
  if (!bases.possible(task.version.value) || !adds_up(bases)) {
    return invalid_argument("the update says that it was trained from versions that it cannot have had");
  }
  if (continuous()) {
    const double staleness = static_cast<double>(version_.value) - bases.mean();
    factor = settings_.policy->factor(
        {.staleness = staleness, .child = settings_.children.index_of(from), .weight = update.weight});
    if (factor == 0) {
      return unavailable(fmt::format(
          "it was trained from a model that is {:g} version{} old, and counts for nothing: that is more than "
          "max_staleness allows, or a discount that rounds to 0",
          staleness, staleness == 1.0 ? "" : "s"));
    }
  }
  TRIBUTARY_RETURN_IF_ERROR(settings_.rule->add(update, factor));
  if (settings_.policy->mixes()) {
    mixed_base_ = task.continuing->kept_model;
    mixing_ = std::ldexp(static_cast<double>(factor), -settings_.policy->discount_bits());
  }
  members_.insert(update.members.begin(), update.members.end());
  staleness_.add({.updates = bases.updates,
                  .least = version_.value - bases.most,
                  .sum = version_.value * bases.updates - bases.sum,
                  .most = version_.value - bases.least});
  staleness_counts_.add(static_cast<double>(version_.value) - bases.mean(), bases.updates);
  task.bases = bases;
  task.contributors = update.contributors;
  const bool is_one_term = update.segments.front().payload.is_vector();
  task.terms = is_one_term ? 1 : update.contributors;
  return {};
}

void InnerNode::on_update(NodeContext& context, NodeId from, const UpdateMessage& message) {
  ChildTask* const task = find_task(from, message.key);
  if (task == nullptr || (!open_ && task->state != TaskState::kReported)) {
    context.note(
        {NodeEvent::Kind::kLate, from, continuous() ? round_ : Round{message.key.number}, "the round had closed"});
    context.send(from, AcknowledgeMessage{.key = message.key, .accepted = false, .reason = "the round has closed"});
    return;
  }
  if (open_) { heard_from(context, from, *task); }
  if (task->state != TaskState::kAsked) {
    const bool counted = task->state == TaskState::kReported;
    context.note({NodeEvent::Kind::kDuplicate, from, round_, counted ? "already counted" : "already refused"});
    context.send(from, AcknowledgeMessage{.key = message.key, .accepted = counted, .reason = ""});
    return;
  }
  tell(context, {.kind = NodeInput::Kind::kUpdate, .peer = from, .key = message.key});
  const Status counted = count(from, *task, message.update);
  mark(*task, counted.ok() ? TaskState::kReported : TaskState::kFailed);
  if (settings_.tell_decided) { decided_[settings_.children.index_of(from)] = message.key; }
  if (!counted.ok()) {
    ++refused_;
    context.note({NodeEvent::Kind::kRefused, from, round_, counted.message()});
    remember_failure(counted.with_context(fmt::format("the update of node {} in round {}", from.value, round_.value)));
  }
  context.send(from, AcknowledgeMessage{.key = message.key, .accepted = counted.ok(), .reason = counted.message()});
  decide(context, {counted.ok() ? TierEvent::Kind::kCounted : TierEvent::Kind::kFailed,
                   settings_.children.index_of(from), message.update.weight});
}

void InnerNode::on_failed(NodeContext& context, NodeId from, const TaskFailedMessage& message) {
  ChildTask* const task = open_ ? find_task(from, message.key) : nullptr;
  bool failed = false;
  if (task != nullptr) {
    heard_from(context, from, *task);
    if (task->state == TaskState::kAsked && message.attempt == task->attempt) {
      tell(context,
           {.kind = NodeInput::Kind::kFailed, .peer = from, .key = message.key, .value = message.attempt.value});
      context.note({NodeEvent::Kind::kTaskFailed, from, round_, message.reason});
      if (task->state_differs && message.code == Code::kBadData && parents_own_states()) {
        context.send(from, AcknowledgeMessage{.key = message.key, .accepted = false, .reason = ""});
        begin_states_anew(context);
        return;
      }
      // The same task would fail in the same way again.
      if (!is_lasting(message.code) && task->failures++ < settings_.retries) {
        // The new task replaces the failure that the child keeps repeating.
        last_trouble_ = failure_of(message);
        ask_again(context, from, *task);
        return;
      }
      remember_failure(failure_of(message));
      mark(*task, TaskState::kFailed);
      failed = true;
    } else if (task->state == TaskState::kAsked) {
      send_task(context, from, *task);  // the task that replaces that failure has not arrived
      return;
    }
  }
  context.send(from, AcknowledgeMessage{.key = message.key, .accepted = false, .reason = ""});
  if (failed) { decide(context, {TierEvent::Kind::kFailed, settings_.children.index_of(from)}); }
}

void InnerNode::on_unreachable(NodeContext& context, NodeId peer, const std::string& why) {
  ChildTask* const task = open_ && settings_.children.contains(peer) ? find_task(peer) : nullptr;
  if (task == nullptr || task->state != TaskState::kAsked) { return; }
  tell(context, {.kind = NodeInput::Kind::kLost, .peer = peer, .key = task->key});
  mark(*task, TaskState::kLost);
  context.note({NodeEvent::Kind::kLost, peer, round_, why});
  last_trouble_ = unavailable(why);
  decide(context, {TierEvent::Kind::kLost, settings_.children.index_of(peer)});
}

// Silence. In a round all are asked together, and so they are questioned together, after pauses that double. With a
// continuous policy each task has its own pause. A node knows no time of day, but as long as the timer of questions is
// set, what is left of it says how far probe_clock_ has come.

std::chrono::nanoseconds InnerNode::probe_now(const NodeContext& context) const {
  return probe_clock_ + probe_pause_ - context.time_left(TimerId::kProbe);
}

void InnerNode::watch(NodeContext& context, ChildTask& task) {
  const std::chrono::nanoseconds now = probe_now(context);
  Continuing& own = *task.continuing;
  own.probe_pause = settings_.liveness.first_probe;
  own.probe_at = now + own.probe_pause;
  const std::chrono::nanoseconds left = context.time_left(TimerId::kProbe);
  if (left.count() > 0 && left <= own.probe_pause) { return; }
  probe_clock_ = now;
  probe_pause_ = own.probe_pause;
  context.set_timer(TimerId::kProbe, probe_pause_);
}

void InnerNode::set_next_probe(NodeContext& context) {
  probe_clock_ = probe_now(context);
  std::optional<std::chrono::nanoseconds> next;
  for (auto& [position, task] : tasks_) {
    if (task.state != TaskState::kAsked && task.state != TaskState::kLost) { continue; }
    Continuing& own = *task.continuing;
    if (own.probe_at <= probe_clock_) {
      own.probe_pause = std::min(own.probe_pause * 2, settings_.liveness.largest_probe);
      own.probe_at = probe_clock_ + own.probe_pause;
    }
    next = next ? std::min(*next, own.probe_at) : own.probe_at;
  }
  probe_pause_ = next ? *next - probe_clock_ : std::chrono::nanoseconds{0};
  if (next) { context.set_timer(TimerId::kProbe, probe_pause_); }
}

void InnerNode::probe(NodeContext& context) {
  const std::chrono::nanoseconds now = probe_now(context);
  std::vector<std::uint32_t> lost;
  for (auto& [position, task] : tasks_) {
    if (task.state != TaskState::kAsked && task.state != TaskState::kLost) { continue; }
    if (continuous() && task.continuing->probe_at > now) { continue; }
    const NodeId child = child_at(position);
    if (task.state == TaskState::kAsked && task.unanswered++ >= settings_.liveness.silent_probes) {
      tell(context, {.kind = NodeInput::Kind::kLost, .peer = child, .key = task.key});
      mark(task, TaskState::kLost);
      lost.push_back(position);
      context.note({NodeEvent::Kind::kLost, child, round_,
                    fmt::format("no answer to {} questions", settings_.liveness.silent_probes)});
    }
    context.send(child, ProbeMessage{task.key});
  }
  if (continuous()) {
    set_next_probe(context);
  } else {
    probe_pause_ = std::min(probe_pause_ * 2, settings_.liveness.largest_probe);
    context.set_timer(TimerId::kProbe, probe_pause_);
  }
  for (const std::uint32_t position : lost) { decide(context, {TierEvent::Kind::kLost, position}); }
}

}  // namespace tributary
