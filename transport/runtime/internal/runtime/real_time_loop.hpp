// SPDX-License-Identifier: Apache-2.0
// The nodes of one process in real time: a clock, timers, training threads, and messages that nodes here send each
// other, which are handed over without copying. Everything else goes to the network of the driver it belongs to.
//
// Life cycle: runtime().start_root() where the root lives; then run_due() whenever there may be something to do.
// Threads:    one thread calls everything but wake(); training runs on the pool's workers.
// Memory:     as NodeRuntime. Finished work stays in the pool, whose workers then pause, while too many answers wait
//             for their parents.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "runtime/event_queue.hpp"
#include "runtime/node_runtime.hpp"
#include "tributary/training/training_pool.hpp"

namespace tributary::internal {

// What lies beyond the nodes of one process.
class Network {
 public:
  virtual ~Network() = default;

  [[nodiscard]] virtual bool lives_here(NodeId node) const = 0;
  struct Sent {
    bool counts = true;       // false: the same is on its way already
    std::string unreachable;  // why nothing can reach it at present; empty: on its way
  };
  // To a node elsewhere.
  virtual Sent send(NodeId from, NodeId to, Message message) = 0;
  // The root closed a round: answer with NodeRuntime::on_published().
  virtual void publish(const RoundReport& report, ModelValues model) = 0;
  virtual void finished(Status status) = 0;
  virtual void note(NodeEvent note) = 0;
};

class RealTimeLoop final : private RuntimeEnvironment {
 public:
  // All must outlive the loop.
  // `states`: as NodeRuntime has them.
  RealTimeLoop(const AgreedPlan& plan, TrainingPool& pool, Network& network, ClientStateStore* states);
  ~RealTimeLoop() override;
  RealTimeLoop(const RealTimeLoop&) = delete;
  RealTimeLoop& operator=(const RealTimeLoop&) = delete;

  // Not to be called from within Network.
  void start_root(RootState state);
  // A message from a node elsewhere: taken at once, so that its payload is free again when this returns.
  void deliver(NodeId from, NodeId to, Message message);
  // Answers Network::publish().
  void published(bool stop, Version durable);
  // Nothing reaches the nodes of which `gone` is true: tells their parents here that wait for them.
  void unreachable(const std::function<bool(NodeId)>& gone, const std::string& why);

  // Does what is due: at most a few hundred events, so that the caller's other duties come in between. True if there
  // was something.
  bool run_due();
  // Waits until something is due here, wake() is called, or `longest` has passed.
  void wait(std::chrono::nanoseconds longest);
  // From any thread.
  void wake();

  // The nodes, to be asked how they are.
  [[nodiscard]] const NodeRuntime& nodes() const noexcept { return nodes_; }

 private:
  struct Delivery {
    NodeId from;
    NodeId to;
    Message message;
  };
  // `peer` cannot be reached from `node`.
  struct Unreachable {
    NodeId node;
    NodeId peer;
    std::string why;
  };
  struct TimerFired {
    NodeId node;
    TimerId timer;
  };
  struct Trained {
    NodeId node;
    TrainingPool::JobId job;
  };

  // RuntimeEnvironment
  [[nodiscard]] Instant now() const override { return std::chrono::steady_clock::now() - start_; }
  bool send(NodeId from, NodeId to, Message&& message, std::uint64_t bytes) override;
  EventKey set_timer(NodeId node, TimerId timer, Instant at) override;
  void cancel_timer(const EventKey& key) override;
  TrainingPool::JobId begin_training(NodeId node, TrainingPool::Work work) override;
  Result<ClientUpdate> take_trained(TrainingPool::JobId job) override;
  void cancel_training(TrainingPool::JobId job) override;
  void publish(const RoundReport& report, ModelValues model) override;
  void finished(Status status) override;
  void note(NodeEvent note) override;
  [[nodiscard]] bool notes_inputs() const noexcept override { return notes_inputs_; }

  bool run_one();
  [[nodiscard]] bool may_answer() const noexcept { return nodes_.answering() < most_answers_; }
  [[nodiscard]] Instant next_timer() const;

  const AgreedPlan& plan_;
  TrainingPool& pool_;
  Network& network_;
  const bool all_count_;  // every answer is counted, so no job is begun in vain
  const bool notes_inputs_;
  const std::size_t most_answers_;
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::deque<Unreachable> lost_;
  std::deque<Delivery> messages_;
  EventQueue<TimerFired> timers_;
  std::deque<Trained> trained_;  // finished by workers, yet to be taken

  // Shared with workers, who may finish after the loop has gone.
  struct Inbox {
    std::mutex mutex;
    std::condition_variable ready;
    std::deque<Trained> done;
    bool woken = false;
  };
  std::shared_ptr<Inbox> inbox_ = std::make_shared<Inbox>();
  NodeRuntime nodes_;
};

}  // namespace tributary::internal
