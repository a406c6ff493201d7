// SPDX-License-Identifier: Apache-2.0
#include "runtime/real_time_loop.hpp"

#include <algorithm>
#include <future>
#include <utility>

namespace tributary::internal {
namespace {

using std::chrono::nanoseconds;

// Events of one run_due().
constexpr int kEventsAtOnce = 256;
// Answers of clients that may wait for their parents, in bytes of models; at least two for each thread.
constexpr std::size_t kAnswerBytes = std::size_t{64} << 20U;

}  // namespace

RealTimeLoop::RealTimeLoop(const AgreedPlan& plan, TrainingPool& pool, Network& network, ClientStateStore* states)
    : plan_(plan),
      pool_(pool),
      network_(network),
      all_count_(plan.every_answer_counts()),
      notes_inputs_(plan.order_decides()),
      most_answers_(std::max<std::size_t>(2 * std::size_t{pool.threads()},
                                          kAnswerBytes / std::max<std::size_t>(1, plan.payload_bytes()))),
      nodes_(plan, *this, states) {}

RealTimeLoop::~RealTimeLoop() = default;

void RealTimeLoop::start_root(RootState state) {
  nodes_.start_root(std::move(state));
}

// A process without clients submits and takes nothing, and its root would never again have its model to itself if it
// did not drop what others have released.

void RealTimeLoop::deliver(NodeId from, NodeId to, Message message) {
  pool_.drop_released();
  nodes_.on_message(from, to, std::move(message));
}

void RealTimeLoop::published(bool stop, Version durable) {
  pool_.drop_released();
  nodes_.on_published(stop, durable);
}

void RealTimeLoop::unreachable(const std::function<bool(NodeId)>& gone, const std::string& why) {
  nodes_.for_each_awaited([&](NodeId child) {
    if (gone(child)) { lost_.push_back({plan_.tree().parent(child), child, why}); }
  });
}

Instant RealTimeLoop::next_timer() const {
  return timers_.empty() ? Instant::max() : timers_.next_time();
}

bool RealTimeLoop::run_due() {
  {
    const std::lock_guard lock(inbox_->mutex);
    trained_.insert(trained_.end(), inbox_->done.begin(), inbox_->done.end());
    inbox_->done.clear();
    inbox_->woken = false;
  }
  int events = 0;
  while (events < kEventsAtOnce && run_one()) { ++events; }
  return events > 0;
}

bool RealTimeLoop::run_one() {
  pool_.drop_released();
  if (!lost_.empty()) {
    const Unreachable lost = std::move(lost_.front());
    lost_.pop_front();
    nodes_.on_unreachable(lost.node, lost.peer, lost.why);
  } else if (!messages_.empty()) {
    Delivery delivery = std::move(messages_.front());
    messages_.pop_front();
    nodes_.on_message(delivery.from, delivery.to, std::move(delivery.message));
  } else if (next_timer() <= now()) {
    timers_.pop([this](Instant /*at*/, const TimerFired& fired) { nodes_.on_timer(fired.node, fired.timer); });
  } else if (!trained_.empty() && may_answer()) {
    const Trained trained = trained_.front();
    trained_.pop_front();
    nodes_.on_trained(trained.node, trained.job);
  } else {
    return false;
  }
  return true;
}

void RealTimeLoop::wait(nanoseconds longest) {
  if (!messages_.empty() || !lost_.empty() || (!trained_.empty() && may_answer())) { return; }
  const nanoseconds patience = std::min(longest, next_timer() - now());
  if (patience <= nanoseconds{0}) { return; }
  std::unique_lock lock(inbox_->mutex);
  inbox_->ready.wait_for(lock, patience, [this] { return inbox_->woken || !inbox_->done.empty(); });
}

void RealTimeLoop::wake() {
  {
    const std::lock_guard lock(inbox_->mutex);
    inbox_->woken = true;
  }
  inbox_->ready.notify_one();
}

// RuntimeEnvironment

bool RealTimeLoop::send(NodeId from, NodeId to, Message&& message, std::uint64_t /*bytes*/) {
  if (network_.lives_here(to)) {
    messages_.push_back({from, to, std::move(message)});
    return true;
  }
  const bool awaits_answer = std::holds_alternative<TaskMessage>(message);
  Network::Sent sent = network_.send(from, to, std::move(message));
  if (awaits_answer && !sent.unreachable.empty()) { lost_.push_back({from, to, std::move(sent.unreachable)}); }
  return sent.counts;
}

EventKey RealTimeLoop::set_timer(NodeId node, TimerId timer, Instant at) {
  return timers_.push_timer(at, {node, timer});
}

void RealTimeLoop::cancel_timer(const EventKey& key) {
  timers_.cancel(key);
}

TrainingPool::JobId RealTimeLoop::begin_training(NodeId node, TrainingPool::Work work) {
  // The worker may be done before submit() has returned its number.
  auto number = std::make_shared<std::promise<TrainingPool::JobId>>();
  const TrainingPool::JobId job =
      pool_.submit(std::move(work), {.longest_first = all_count_}, [inbox = inbox_, node, number] {
        const Trained trained{node, number->get_future().get()};
        {
          const std::lock_guard lock(inbox->mutex);
          inbox->done.push_back(trained);
        }
        inbox->ready.notify_one();
      });
  number->set_value(job);
  return job;
}

Result<ClientUpdate> RealTimeLoop::take_trained(TrainingPool::JobId job) {
  return pool_.take(job);
}

void RealTimeLoop::cancel_training(TrainingPool::JobId job) {
  pool_.cancel(job);
}

void RealTimeLoop::publish(const RoundReport& report, ModelValues model) {
  network_.publish(report, std::move(model));
}

void RealTimeLoop::finished(Status status) {
  network_.finished(std::move(status));
}

void RealTimeLoop::note(NodeEvent note) {
  network_.note(std::move(note));
}

}  // namespace tributary::internal
