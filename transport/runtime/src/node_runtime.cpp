// SPDX-License-Identifier: Apache-2.0
#include "runtime/node_runtime.hpp"

#include <algorithm>
#include <future>
#include <utility>
#include <variant>

#include "tributary/base/duration.hpp"

namespace tributary::internal {
namespace {

using std::chrono::nanoseconds;

// Events of one run_due().
constexpr int kEventsAtOnce = 256;
// Answers of clients that may wait for their parents, in bytes of models; at least two for each thread.
constexpr std::size_t kAnswerBytes = std::size_t{64} << 20U;

}  // namespace

NodeRuntime::NodeRuntime(const AgreedPlan& plan, TrainingPool& pool, RuntimeDriver& driver)
    : plan_(plan),
      pool_(pool),
      driver_(driver),
      all_count_(plan.every_answer_counts()),
      most_answers_(std::max<std::size_t>(2 * std::size_t{pool.threads()},
                                          kAnswerBytes / std::max<std::size_t>(1, plan.payload_bytes()))) {}

NodeRuntime::~NodeRuntime() {
  for (auto& [id, slot] : slots_) {
    if (slot.job) { pool_.cancel(*slot.job); }
  }
}

void NodeRuntime::start_root(RootState state) {
  current_ = plan_.tree().root();
  slot().inner = std::make_unique<InnerNode>(plan_.inner_node(current_, 0), std::move(state));
  on_inner([&](InnerNode& node) { node.on_start(*this); });
}

void NodeRuntime::deliver(NodeId from, NodeId to, Message message) {
  Delivery delivery{from, to, std::move(message)};
  handle(delivery);
}

void NodeRuntime::unreachable(const std::function<bool(NodeId)>& gone, const std::string& why) {
  for (const auto& [child, since] : asked_) {
    if (gone(child)) { lost_.push_back({plan_.tree().parent(child), child, why}); }
  }
}

void NodeRuntime::published(bool stop) {
  current_ = plan_.tree().root();
  on_inner([&](InnerNode& node) { node.on_published(*this, stop); });
}

// Lets the current node, an inner one, work, and counts its time.
template <typename Call>
void NodeRuntime::on_inner(const Call& call) {
  const auto start = std::chrono::steady_clock::now();
  // A process without clients submits and takes nothing, and its root would never again have its model to itself.
  pool_.drop_released();
  call(*slot().inner);
  const nanoseconds spent = std::chrono::steady_clock::now() - start;
  statistics_.merge_time += spent;
  statistics_.merge_by_tier[plan_.tree().tier(current_)] += spent;
}

ModelValues NodeRuntime::published_model() const {
  const auto root = slots_.find(plan_.tree().root().value);
  return root != slots_.end() && root->second.inner ? root->second.inner->published_model() : nullptr;
}

Round NodeRuntime::global_round() const {
  const auto root = slots_.find(plan_.tree().root().value);
  return root != slots_.end() && root->second.inner ? root->second.inner->round() : Round{};
}

Instant NodeRuntime::next_timer() const {
  return timers_.empty() ? Instant::max() : timers_.next_time();
}

bool NodeRuntime::run_due() {
  {
    const std::lock_guard lock(inbox_->mutex);
    trained_.insert(trained_.end(), inbox_->done.begin(), inbox_->done.end());
    inbox_->done.clear();
    inbox_->woken = false;
  }
  bool any = false;
  for (int events = 0; events < kEventsAtOnce; ++events) {
    if (!lost_.empty()) {
      const Unreachable lost = std::move(lost_.front());
      lost_.pop_front();
      handle(lost);
    } else if (!letters_.empty()) {
      Delivery letter = std::move(letters_.front());
      letters_.pop_front();
      handle(letter);
    } else if (next_timer() <= now()) {
      handle(timers_.pop().second);
    } else if (!trained_.empty() && may_answer()) {
      const Trained trained = trained_.front();
      trained_.pop_front();
      handle(trained);
    } else {
      return any;
    }
    any = true;
  }
  return any;
}

void NodeRuntime::wait(nanoseconds longest) {
  if (!letters_.empty() || !lost_.empty() || (!trained_.empty() && may_answer())) { return; }
  const nanoseconds patience = std::min(longest, next_timer() - now());
  if (patience <= nanoseconds{0}) { return; }
  std::unique_lock lock(inbox_->mutex);
  inbox_->ready.wait_for(lock, patience, [this] { return inbox_->woken || !inbox_->done.empty(); });
}

void NodeRuntime::wake() {
  {
    const std::lock_guard lock(inbox_->mutex);
    inbox_->woken = true;
  }
  inbox_->ready.notify_one();
}

void NodeRuntime::send(NodeId to, Message message) {
  const bool down = plan_.tree().parent(to) == current_ && to != plan_.tree().root();
  const NodeId child = down ? to : current_;
  const std::uint64_t bytes = payload_bytes(message) + control_bytes(message);
  const auto* const task = std::get_if<TaskMessage>(&message);
  if (task != nullptr) {
    const auto [asked, fresh] = asked_.try_emplace(to, task->key, now());
    if (!fresh && asked->second.first != task->key) { asked->second = {task->key, now()}; }
  }
  RuntimeDriver::Sent sent;
  if (driver_.lives_here(to)) {
    letters_.push_back({current_, to, std::move(message)});
  } else {
    const bool awaits_answer = task != nullptr;
    sent = driver_.send(current_, to, std::move(message));
    if (awaits_answer && !sent.unreachable.empty()) { lost_.push_back({current_, to, std::move(sent.unreachable)}); }
  }
  if (sent.counts) { statistics_.traffic.count(child, plan_.tree().tier(child), down, bytes); }
}

void NodeRuntime::set_timer(TimerId timer, nanoseconds after) {
  cancel_timer(timer);
  slot().timers[static_cast<std::size_t>(timer)] = timers_.push_timer(later_by(now(), after), {current_, timer});
}

void NodeRuntime::cancel_timer(TimerId timer) {
  auto& handle = slot().timers[static_cast<std::size_t>(timer)];
  if (handle) { timers_.cancel(*handle); }
  handle.reset();
}

nanoseconds NodeRuntime::time_left(TimerId timer) const {
  const auto found = slots_.find(current_.value);
  if (found == slots_.end()) { return nanoseconds{0}; }
  const auto& handle = found->second.timers[static_cast<std::size_t>(timer)];
  return handle ? std::max(nanoseconds{0}, handle->at - now()) : nanoseconds{0};
}

void NodeRuntime::train(TrainRequest request) {
  cancel_training();
  slot().job_key = request.key;
  TrainTask task = plan_.train_task(current_, std::move(request));
  // The worker may be done before submit() has returned its number.
  auto number = std::make_shared<std::promise<TrainingPool::JobId>>();
  slot().job = pool_.submit(std::move(task), {.longest_first = all_count_}, [inbox = inbox_, node = current_, number] {
    const Trained trained{node, number->get_future().get()};
    {
      const std::lock_guard lock(inbox->mutex);
      inbox->done.push_back(trained);
    }
    inbox->ready.notify_one();
  });
  number->set_value(*slot().job);
  ++jobs_;
}

void NodeRuntime::cancel_training() {
  if (slot().job) {
    pool_.cancel(*slot().job);
    --jobs_;
  }
  slot().job.reset();
}

void NodeRuntime::publish(const RoundReport& report, ModelValues model) {
  driver_.publish(report, std::move(model));
}
void NodeRuntime::finished(Status status) {
  driver_.finished(std::move(status));
}
void NodeRuntime::note(NodeEvent note) {
  driver_.note(std::move(note));
}

void NodeRuntime::wake_node(NodeId node) {
  current_ = node;
  Slot& here = slot();
  if (here.inner || here.client) { return; }
  if (plan_.tree().is_client(node)) {
    here.client =
        std::make_unique<ClientNode>(node, plan_.tree().parent(node), plan_.spec(), plan_.client_liveness(node));
  } else {
    here.inner = std::make_unique<InnerNode>(plan_.inner_node(node, 0));
  }
}

// Drops a client that has nothing to do: a population costs nothing, a cohort does.
void NodeRuntime::settle(NodeId node) {
  const auto found = slots_.find(node.value);
  if (found == slots_.end() || !found->second.client) { return; }
  Slot& here = found->second;
  const bool answering = !here.client->idle() && !here.job;
  if (answering != here.answering) {
    answering_ += answering ? 1U : 0U;
    answering_ -= answering ? 0U : 1U;
    here.answering = answering;
  }
  if (here.client->idle()) { slots_.erase(found); }
}

void NodeRuntime::handle(Delivery& delivery) {
  if (delivery.to == plan_.tree().root() && slots_.find(delivery.to.value) == slots_.end()) { return; }
  wake_node(delivery.to);
  Slot& here = slot();
  if (here.client) {
    here.client->on_message(*this, delivery.from, std::move(delivery.message));
    settle(delivery.to);
    return;
  }
  if (const auto* update = std::get_if<UpdateMessage>(&delivery.message)) { count_waiting(delivery.from, update->key); }
  on_inner([&](InnerNode& node) { node.on_message(*this, delivery.from, std::move(delivery.message)); });
}

void NodeRuntime::count_waiting(NodeId child, const TaskKey& key) {
  const auto asked = asked_.find(child);
  // A repeated answer of the round before does not end the wait for this round's.
  if (asked == asked_.end() || asked->second.first != key) { return; }
  const nanoseconds waited = now() - asked->second.second;
  asked_.erase(asked);
  statistics_.traffic.edges[child].wait_time += waited;
  statistics_.traffic.tiers[plan_.tree().tier(child)].wait_time += waited;
}

void NodeRuntime::handle(const Unreachable& lost) {
  const auto found = slots_.find(lost.node.value);
  if (found == slots_.end() || !found->second.inner) { return; }
  current_ = lost.node;
  on_inner([&](InnerNode& node) { node.on_unreachable(*this, lost.peer, lost.why); });
}

void NodeRuntime::handle(const TimerFired& fired) {
  current_ = fired.node;
  const auto found = slots_.find(fired.node.value);
  if (found == slots_.end()) { return; }
  found->second.timers[static_cast<std::size_t>(fired.timer)].reset();
  if (found->second.client) {
    found->second.client->on_timer(*this, fired.timer);
    settle(fired.node);
  } else if (found->second.inner) {
    on_inner([&](InnerNode& node) { node.on_timer(*this, fired.timer); });
  }
}

void NodeRuntime::handle(const Trained& trained) {
  current_ = trained.node;
  const auto found = slots_.find(trained.node.value);
  // A job that was cancelled is nobody's any more.
  if (found == slots_.end() || found->second.job != trained.job) { return; }
  found->second.job.reset();
  --jobs_;
  Result<ClientUpdate> result = pool_.take(trained.job);
  found->second.client->on_trained(*this, found->second.job_key, std::move(result));
  settle(trained.node);
}

}  // namespace tributary::internal
