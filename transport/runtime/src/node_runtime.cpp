// SPDX-License-Identifier: Apache-2.0
#include "runtime/node_runtime.hpp"

#include <algorithm>
#include <utility>
#include <variant>

#include "tributary/base/duration.hpp"

namespace tributary::internal {

using std::chrono::nanoseconds;

NodeRuntime::NodeRuntime(const AgreedPlan& plan, RuntimeEnvironment& environment, ClientStateStore* states)
    : plan_(plan), environment_(environment), states_(states) {}

NodeRuntime::~NodeRuntime() = default;

void NodeRuntime::start_root(RootState state) {
  enter(plan_.tree().root());
  Slot& here = slot();
  here.down = false;
  here.inner = std::make_unique<InnerNode>(plan_.inner_node(current_, here.incarnation), std::move(state));
  on_inner([&](InnerNode& node) { node.on_start(*this); });
}

void NodeRuntime::on_message(NodeId from, NodeId to, Message&& message) {
  if (is_root(to) && find(to) == nullptr) { return; }
  enter(to);
  Slot& here = slot();
  if (here.down) { return; }
  if (!here.inner && !here.client) { make(to, here); }
  if (here.client) {
    here.client->on_message(*this, from, std::move(message));
    settle(to);
    return;
  }
  if (const auto* update = std::get_if<UpdateMessage>(&message)) { end_waiting(from, update->key); }
  on_inner([&](InnerNode& node) { node.on_message(*this, from, std::move(message)); });
}

void NodeRuntime::on_timer(NodeId node, TimerId timer) {
  const auto found = slots_.find(node.value);
  if (found == slots_.end() || found->second.down) { return; }
  enter(node);
  Slot& here = found->second;
  here.timers[static_cast<std::size_t>(timer)].reset();
  if (here.client) {
    here.client->on_timer(*this, timer);
    settle(node);
  } else if (here.inner) {
    on_inner([&](InnerNode& inner) { inner.on_timer(*this, timer); });
  }
}

void NodeRuntime::on_trained(NodeId node, TrainingPool::JobId job) {
  if (!awaits(node, job)) { return; }
  enter(node);
  Slot& here = slot();
  here.job.reset();
  --jobs_;
  Result<ClientUpdate> result = environment_.take_trained(job);
  here.client->on_trained(*this, here.job_key, std::move(result));
  settle(node);
}

void NodeRuntime::on_published(bool stop, Version durable) {
  if (!awaits_publication()) { return; }
  enter(plan_.tree().root());
  slot().publishing = false;
  on_inner([&](InnerNode& node) { node.on_published(*this, stop, durable); });
}

void NodeRuntime::on_unreachable(NodeId node, NodeId peer, const std::string& why) {
  const Slot* const here = find(node);
  if (here == nullptr || !here->inner) { return; }
  enter(node);
  on_inner([&](InnerNode& inner) { inner.on_unreachable(*this, peer, why); });
}

void NodeRuntime::kill(NodeId node) {
  enter(node);
  Slot& here = slot();
  for (std::size_t timer = 0; timer < kTimers; ++timer) { cancel_timer(static_cast<TimerId>(timer)); }
  cancel_training();
  here.inner.reset();
  here.client.reset();
  answering_ -= here.answering ? 1U : 0U;
  here.answering = false;
  here.publishing = false;
  here.down = true;
  ++here.incarnation;
}

void NodeRuntime::restart(NodeId node) {
  enter(node);
  Slot& here = slot();
  here.down = false;
  make(node, here);
  if (here.inner) {
    on_inner([&](InnerNode& inner) { inner.on_start(*this); });
  } else {
    here.client->on_start(*this);
    settle(node);
  }
}

void NodeRuntime::add_traffic(const std::map<std::uint32_t, EdgeTraffic>& tiers) {
  for (const auto& [tier, traffic] : tiers) { statistics_.traffic.tiers[tier] += traffic; }
}

const NodeRuntime::Slot* NodeRuntime::find(NodeId node) const {
  const auto found = slots_.find(node.value);
  return found == slots_.end() ? nullptr : &found->second;
}

bool NodeRuntime::down(NodeId node) const {
  const Slot* const here = find(node);
  return here != nullptr && here->down;
}

std::uint32_t NodeRuntime::incarnation(NodeId node) const {
  const Slot* const here = find(node);
  return here == nullptr ? 0 : here->incarnation;
}

bool NodeRuntime::awaits(NodeId node, TrainingPool::JobId job) const {
  const Slot* const here = find(node);
  return here != nullptr && here->job == job;
}

bool NodeRuntime::awaits_publication() const {
  const Slot* const root = find(plan_.tree().root());
  return root != nullptr && root->publishing;
}

InnerNode::Published NodeRuntime::published() const {
  const Slot* const root = find(plan_.tree().root());
  return root != nullptr && root->inner ? root->inner->published() : InnerNode::Published{};
}

Round NodeRuntime::global_round() const {
  const Slot* const root = find(plan_.tree().root());
  return root != nullptr && root->inner ? root->inner->round() : Round{};
}

void NodeRuntime::make(NodeId node, Slot& here) {
  if (plan_.tree().is_client(node)) {
    here.client =
        std::make_unique<ClientNode>(node, plan_.tree().parent(node), plan_.spec(), plan_.client_liveness(node));
  } else {
    here.inner = std::make_unique<InnerNode>(plan_.inner_node(node, here.incarnation));
  }
}

// Lets the current node, an inner one, work, and counts its time. Publishing may happen within the call that closes the
// root's round, and is counted by whoever does it.
template <typename Call>
void NodeRuntime::on_inner(const Call& call) {
  const auto start = std::chrono::steady_clock::now();
  publish_time_ = nanoseconds{0};
  call(*slot().inner);
  const nanoseconds spent = std::chrono::steady_clock::now() - start - publish_time_;
  statistics_.merge_time += spent;
  statistics_.merge_by_tier[plan_.tree().tier(current_)] += spent;
}

// Drops a client that has nothing to do: a population costs nothing, a cohort does.
void NodeRuntime::settle(NodeId node) {
  Slot& here = slot();
  if (!here.client) { return; }
  const bool idle = here.client->idle();
  const bool answering = !idle && !here.job;
  if (answering != here.answering) {
    answering_ += answering ? 1U : 0U;
    answering_ -= answering ? 0U : 1U;
    here.answering = answering;
  }
  if (idle) {
    slots_.erase(node.value);
    here_ = nullptr;
  }
}

// How long parents wait for their children, by the clock of the run.

void NodeRuntime::begin_waiting(NodeId child, const TaskKey& key) {
  const Asked asked{.key = key, .since = environment_.now()};
  if (const auto waiting = asked_.find(child); waiting != asked_.end()) {
    if (waiting->second.key == key) { return; }
    stop_waiting(child, waiting->second);
    waiting->second = asked;
  } else {
    pool_.insert(asked_, child, asked);
  }
  statistics_.busy_by_tier[plan_.tree().tier(child)].begin(environment_.now());
}

void NodeRuntime::end_waiting(NodeId child, const TaskKey& key) {
  const auto waiting = asked_.find(child);
  // A repeated answer of the round before does not end the wait for this round's.
  if (waiting == asked_.end() || waiting->second.key != key) { return; }
  const nanoseconds waited = environment_.now() - waiting->second.since;
  stop_waiting(child, waiting->second);
  static_cast<void>(pool_.take(asked_, waiting));
  statistics_.traffic.edges[child].wait_time += waited;
  statistics_.traffic.tiers[plan_.tree().tier(child)].wait_time += waited;
}

// Its parent does not wait for it any more.
void NodeRuntime::stop_waiting(NodeId child, Asked& asked) {
  if (!std::exchange(asked.wanted, false)) { return; }
  statistics_.busy_by_tier[plan_.tree().tier(child)].end(environment_.now());
}

// From now on: what was before is told of already.
void NodeRuntime::count_the_busy() {
  for (const auto& [child, asked] : asked_) {
    if (asked.wanted) { statistics_.busy_by_tier[plan_.tree().tier(child)].begin(environment_.now()); }
  }
}

void NodeRuntime::send(NodeId to, Message message) {
  const bool down = !is_root(to) && plan_.tree().parent(to) == current_;
  const NodeId child = down ? to : current_;
  const std::uint64_t bytes = payload_bytes(message) + control_bytes(message);
  if (const auto* task = std::get_if<TaskMessage>(&message)) {
    begin_waiting(to, task->key);
  } else if (std::holds_alternative<CancelMessage>(message)) {
    if (const auto asked = asked_.find(to); asked != asked_.end()) { stop_waiting(to, asked->second); }
  }
  if (!environment_.send(current_, to, std::move(message), bytes)) { return; }
  statistics_.traffic.count(child, plan_.tree().tier(child), down, bytes);
}

void NodeRuntime::set_timer(TimerId timer, nanoseconds after) {
  cancel_timer(timer);
  slot().timers[static_cast<std::size_t>(timer)] =
      environment_.set_timer(current_, timer, later_by(environment_.now(), after));
}

void NodeRuntime::cancel_timer(TimerId timer) {
  auto& key = slot().timers[static_cast<std::size_t>(timer)];
  if (key) { environment_.cancel_timer(*key); }
  key.reset();
}

nanoseconds NodeRuntime::time_left(TimerId timer) const {
  const Slot* const here = here_ != nullptr ? here_ : find(current_);
  if (here == nullptr) { return nanoseconds{0}; }
  const auto& key = here->timers[static_cast<std::size_t>(timer)];
  return key ? std::max(nanoseconds{0}, key->at - environment_.now()) : nanoseconds{0};
}

void NodeRuntime::train(TrainRequest request) {
  cancel_training();
  Slot& here = slot();
  here.job_key = request.key;
  const TaskKind kind = request.key.kind;
  MethodInput method{std::move(request.broadcast), std::move(request.state)};
  here.job = environment_.begin_training(
      current_, {plan_.train_task(current_, std::move(request)), std::move(method), plan_.codec_up(current_), kind});
  ++jobs_;
}

void NodeRuntime::cancel_training() {
  Slot& here = slot();
  if (!here.job) { return; }
  environment_.cancel_training(*here.job);
  here.job.reset();
  --jobs_;
}

Result<std::shared_ptr<const ClientState>> NodeRuntime::load_state() {
  if (states_ == nullptr) { return NodeContext::load_state(); }
  return states_->load(plan_.tree().client_index(current_));
}

Status NodeRuntime::save_state(std::shared_ptr<const ClientState> state) {
  if (states_ == nullptr) { return NodeContext::save_state(std::move(state)); }
  return states_->save(plan_.tree().client_index(current_), std::move(state));
}

void NodeRuntime::publish(const RoundReport& report, ModelValues model) {
  const auto start = std::chrono::steady_clock::now();
  slot().publishing = true;
  environment_.publish(report, std::move(model));
  publish_time_ += std::chrono::steady_clock::now() - start;
}

void NodeRuntime::finished(Status status) {
  environment_.finished(std::move(status));
}

void NodeRuntime::note(NodeEvent note) {
  environment_.note(std::move(note));
}

}  // namespace tributary::internal
