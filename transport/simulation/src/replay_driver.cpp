// SPDX-License-Identifier: Apache-2.0
#include "tributary/simulation/replay_driver.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>
#include <variant>

#include "runtime/node_runtime.hpp"
#include "tributary/training/training_pool.hpp"

namespace tributary {
namespace {

using internal::EventKey;
using internal::Instant;

// The world of a replay. Messages that were inputs wait until they are told; others arrive at once, as their order
// decided nothing.
class Replay final : private internal::RuntimeEnvironment {
 public:
  // All must outlive the replay.
  Replay(const ReplaySettings& settings, const AgreedPlan& plan, RunObserver& observer, TrainingPool& pool,
         DriverStatistics& statistics, std::uint64_t& told)
      : settings_(settings),
        plan_(plan),
        observer_(observer),
        pool_(pool),
        statistics_(statistics),
        told_(told),
        nodes_(plan, *this, settings.client_states) {}

  Status run() {
    Result<RootState> state = observer_.restore();
    if (!state.ok()) { return state.status(); }
    nodes_.start_root(std::move(state).value());
    deliver();
    while (!outcome_) {
      bool moved = false;
      for (const auto& [node, inputs] : settings_.inputs) {
        std::size_t& next = next_[node];
        while (!outcome_ && next < inputs.size() && tell(node, inputs[next])) {
          ++next;
          ++told_;
          moved = true;
          deliver();
        }
      }
      if (!moved && !outcome_) { return stuck(); }
    }
    return *outcome_;
  }

 private:
  struct Delivery {
    NodeId from;
    NodeId to;
    Message message;
  };
  using Place = std::pair<NodeId, TaskKey>;  // the child, and the task

  // RuntimeEnvironment

  [[nodiscard]] Instant now() const override { return {}; }

  bool send(NodeId from, NodeId to, Message&& message, std::uint64_t /*bytes*/) override {
    const bool down = to != plan_.tree().root() && plan_.tree().parent(to) == from;
    if (std::holds_alternative<ProbeMessage>(message) || std::holds_alternative<WorkingMessage>(message) ||
        std::holds_alternative<HelloMessage>(message)) {
      return true;
    }
    const auto* const task = std::get_if<TaskMessage>(&message);
    if (down && task != nullptr && !plan_.tree().is_client(to)) {
      tasks_[to].insert_or_assign(task->key, std::move(message));
    } else if (const auto* const update = std::get_if<UpdateMessage>(&message)) {
      updates_.insert_or_assign(Place{from, update->key}, std::move(message));
    } else if (const auto* const failed = std::get_if<TaskFailedMessage>(&message)) {
      failures_.insert_or_assign(Place{from, failed->key}, std::move(message));
    } else if (!std::holds_alternative<CancelMessage>(message) || plan_.tree().is_client(to)) {
      at_once_.push_back({from, to, std::move(message)});
    }
    return true;
  }

  EventKey set_timer(NodeId /*node*/, TimerId /*timer*/, Instant at) override { return {.at = at}; }
  void cancel_timer(const EventKey& /*key*/) override {}

  TrainingPool::JobId begin_training(NodeId node, TrainingPool::Work work) override {
    const bool evaluates = work.kind == TaskKind::kEvaluate;
    const TrainingPool::JobId job = pool_.submit(std::move(work));
    jobs_[node] = job;
    if (evaluates) { evaluations_.insert(job); }
    return job;
  }
  Result<ClientUpdate> take_trained(TrainingPool::JobId job) override {
    Result<ClientUpdate> result = pool_.take(job);
    if (evaluations_.erase(job) == 0) { observer_.trained(1); }
    return result;
  }
  void cancel_training(TrainingPool::JobId job) override { pool_.cancel(job); }

  void publish(const RoundReport& report, ModelValues model) override {
    const Result<bool> stop = observer_.published(report, model, pool_, statistics_);
    if (!stop.ok()) { outcome_ = stop.status(); }
  }
  void finished(Status status) override { outcome_ = std::move(status); }
  void note(NodeEvent note) override { observer_.noted(note); }
  // Those of open tasks are wanted again where a task is repeated.
  [[nodiscard]] bool keeps_models() const noexcept override { return true; }

  // What arrives at once, and what follows from it.
  void deliver() {
    while (!at_once_.empty()) {
      Delivery delivery = std::move(at_once_.front());
      at_once_.pop_front();
      nodes_.on_message(delivery.from, delivery.to, std::move(delivery.message));
    }
  }

  // Makes the client's answer to that task, if it works on it.
  void finish_training(NodeId client, const Place& place) {
    const auto job = jobs_.find(client);
    if (updates_.contains(place) || failures_.contains(place) || job == jobs_.end()) { return; }
    if (!nodes_.awaits(client, job->second)) { return; }
    const TrainingPool::JobId id = job->second;
    jobs_.erase(job);
    nodes_.on_trained(client, id);
  }

  bool hand_over(std::map<Place, Message>& from, const Place& place, NodeId to) {
    const auto found = from.find(place);
    if (found == from.end()) { return false; }
    Message message = std::move(found->second);
    from.erase(found);
    nodes_.on_message(place.first, to, std::move(message));
    return true;
  }

  // False: it cannot happen yet.
  bool tell(NodeId node, const NodeInput& input) {
    const Place place{input.peer, input.key};
    const bool of_client = plan_.tree().is_client(input.peer);
    using Kind = NodeInput::Kind;
    switch (input.kind) {
      case Kind::kTask: {
        std::map<TaskKey, Message>& tasks = tasks_[node];
        const auto found = tasks.find(input.key);
        if (found == tasks.end()) { return false; }
        Message message = std::move(found->second);
        tasks.erase(tasks.begin(), std::next(found));  // older ones never began
        nodes_.on_message(input.peer, node, std::move(message));
        return true;
      }
      case Kind::kStop:
        nodes_.on_message(input.peer, node, CancelMessage{input.key});
        return true;
      case Kind::kUpdate:
        if (of_client) { finish_training(input.peer, place); }
        return hand_over(updates_, place, node);
      case Kind::kFailed:
        if (of_client) { finish_training(input.peer, place); }
        return hand_over(failures_, place, node);
      case Kind::kLost:
        nodes_.on_unreachable(node, input.peer, "it was lost");
        return true;
      case Kind::kReturned:
      case Kind::kForgotten:
        nodes_.on_message(input.peer, node, WorkingMessage{.key = input.key, .known = input.kind == Kind::kReturned});
        return true;
      case Kind::kDeadline:
        nodes_.on_timer(node, TimerId::kDeadline);
        return true;
      case Kind::kHardDeadline:
        nodes_.on_timer(node, TimerId::kHardDeadline);
        return true;
      case Kind::kPublished:
        if (!nodes_.awaits_publication()) { return false; }
        nodes_.on_published(input.stop, Version{input.value});
        return true;
    }
    return false;
  }

  // Where one input cannot happen, nodes above and below soon wait in vain. The one that waits for a client waits for
  // nobody who waits himself.
  Status stuck() const {
    std::optional<std::pair<NodeId, std::size_t>> first;
    for (const auto& [node, inputs] : settings_.inputs) {
      const auto next = next_.find(node);
      const std::size_t place = next == next_.end() ? 0 : next->second;
      if (place >= inputs.size()) { continue; }
      const bool of_client = plan_.tree().is_client(inputs[place].peer);
      if (!first || of_client) { first = {node, place}; }
      if (of_client) { break; }
    }
    if (first) {
      const auto& [node, place] = *first;
      const NodeInput& input = settings_.inputs.at(node)[place];
      return bad_data(
          fmt::format("the run cannot have been like that: input {} of {} is `{}` of {} (task {} of incarnation {}), "
                      "which does not "
                      "happen here",
                      place + 1, plan_.tree().name(node), to_string(input.kind), plan_.tree().name(input.peer),
                      input.key.number, input.key.incarnation));
    }
    return bad_data("the recorded inputs end before the run does");
  }

  const ReplaySettings& settings_;
  const AgreedPlan& plan_;
  RunObserver& observer_;
  TrainingPool& pool_;
  DriverStatistics& statistics_;
  std::uint64_t& told_;
  std::map<NodeId, std::size_t> next_;
  std::deque<Delivery> at_once_;
  std::unordered_map<NodeId, std::map<TaskKey, Message>> tasks_;  // of aggregators
  std::set<TrainingPool::JobId> evaluations_;
  std::map<Place, Message> updates_;
  std::map<Place, Message> failures_;
  std::unordered_map<NodeId, TrainingPool::JobId> jobs_;
  std::optional<Status> outcome_;
  internal::NodeRuntime nodes_;
};

}  // namespace

ReplayDriver::ReplayDriver(ReplaySettings settings) : settings_(std::move(settings)) {}
ReplayDriver::~ReplayDriver() = default;

Status ReplayDriver::run(const AgreedPlan& plan, const TrainerFactory& factory, RunObserver& observer) {
  statistics_ = {};
  told_ = 0;
  Result<std::unique_ptr<TrainingPool>> pool =
      TrainingPool::create(factory, std::max(settings_.threads, 1U) - 1, plan.local_method());
  if (!pool.ok()) { return pool.status(); }
  return Replay(settings_, plan, observer, **pool, statistics_, told_).run();
}

}  // namespace tributary
