// SPDX-License-Identifier: Apache-2.0
// The nodes that live in this process, in real time: keeps their timers, trains for its clients, hands messages between
// nodes of this process over without copying, and gives everything else to the driver it belongs to.
//
// Life cycle: start_root() where the root lives; then run_due() whenever there may be something to do.
// Threads:    one thread calls everything but wake(); training runs on the pool's workers.
// Memory:     inner nodes exist from their first message on, clients only while they have something to do. Finished
//             work stays in the pool, whose workers then pause, while too many answers wait for their parents.
#pragma once

#include <array>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "runtime/event_queue.hpp"
#include "tributary/nodes/client_node.hpp"
#include "tributary/nodes/driver.hpp"
#include "tributary/training/training_pool.hpp"

namespace tributary::internal {

// What lies beyond the nodes of one process.
class RuntimeDriver {
 public:
  virtual ~RuntimeDriver() = default;

  [[nodiscard]] virtual bool lives_here(NodeId node) const = 0;
  struct Sent {
    bool counts = true;       // false: the same is on its way already
    std::string unreachable;  // why nothing can reach it at present; empty: on its way
  };
  // To a node elsewhere.
  virtual Sent send(NodeId from, NodeId to, Message message) = 0;
  // The root closed a round: answer with NodeRuntime::published().
  virtual void publish(const RoundReport& report, ModelValues model) = 0;
  virtual void finished(Status status) = 0;
  virtual void note(NodeEvent note) = 0;
};

struct RuntimeStatistics {
  std::chrono::nanoseconds merge_time{0};
  std::map<std::uint32_t, std::chrono::nanoseconds> merge_by_tier;
  Traffic traffic;  // counted where a message is sent
};

class NodeRuntime final : private NodeContext {
 public:
  // All must outlive the host.
  NodeRuntime(const AgreedPlan& plan, TrainingPool& pool, RuntimeDriver& driver);
  ~NodeRuntime() override;
  NodeRuntime(const NodeRuntime&) = delete;
  NodeRuntime& operator=(const NodeRuntime&) = delete;

  void start_root(RootState state);
  // A message from a node elsewhere: taken at once, so that its payload is free again when this returns. Not to be
  // called from within RuntimeDriver.
  void deliver(NodeId from, NodeId to, Message message);
  // Answers RuntimeDriver::publish().
  void published(bool stop);

  // Nothing reaches the nodes of which `gone` is true: tells their parents here that wait for them.
  void unreachable(const std::function<bool(NodeId)>& gone, const std::string& why);

  // Does what is due: at most a few hundred events, so that the caller's other duties come in between. True if there
  // was something.
  bool run_due();
  // Waits until something is due here, wake() is called, or `longest` has passed.
  void wait(std::chrono::nanoseconds longest);
  // From any thread.
  void wake();

  // Some client here trains, or waits for its turn.
  [[nodiscard]] bool training() const noexcept { return jobs_ > 0; }
  // Of the root; null elsewhere or before it has started.
  [[nodiscard]] ModelValues published_model() const;
  [[nodiscard]] Round global_round() const;
  [[nodiscard]] const RuntimeStatistics& statistics() const noexcept { return statistics_; }

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
  using Timers = EventQueue<TimerFired>;
  struct Slot {
    std::unique_ptr<InnerNode> inner;
    std::unique_ptr<ClientNode> client;
    std::array<std::optional<Timers::Handle>, kTimers> timers;
    std::optional<TrainingPool::JobId> job;
    TaskKey job_key;
    bool answering = false;  // a client's answer is on its way to its parent
  };

  // NodeContext, for the node that is being called.
  void send(NodeId to, Message message) override;
  void set_timer(TimerId timer, std::chrono::nanoseconds after) override;
  void cancel_timer(TimerId timer) override;
  [[nodiscard]] std::chrono::nanoseconds time_left(TimerId timer) const override;
  void train(TrainRequest request) override;
  void cancel_training() override;
  void publish(const RoundReport& report, ModelValues model) override;
  void finished(Status status) override;
  void note(NodeEvent note) override;

  [[nodiscard]] Instant now() const { return std::chrono::steady_clock::now() - start_; }
  Slot& slot() { return slots_[current_.value]; }
  template <typename Call>
  void on_inner(const Call& call);
  void wake_node(NodeId node);
  void settle(NodeId node);
  // The answer of `child` to the task `key` is there.
  void count_waiting(NodeId child, const TaskKey& key);
  void handle(Delivery& delivery);
  void handle(const Unreachable& lost);
  void handle(const TimerFired& fired);
  void handle(const Trained& trained);
  [[nodiscard]] bool may_answer() const noexcept { return answering_ < most_answers_; }
  [[nodiscard]] Instant next_timer() const;

  const AgreedPlan& plan_;
  TrainingPool& pool_;
  RuntimeDriver& driver_;
  const bool all_count_;  // every answer is counted, so no job is begun in vain
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::unordered_map<std::uint32_t, Slot> slots_;
  NodeId current_;
  std::deque<Delivery> letters_;
  std::deque<Unreachable> lost_;
  Timers timers_;
  std::deque<Trained> trained_;                                    // finished by workers, yet to be taken
  std::unordered_map<NodeId, std::pair<TaskKey, Instant>> asked_;  // children whose answers are out
  std::size_t jobs_ = 0;
  std::size_t answering_ = 0;
  std::size_t most_answers_;
  RuntimeStatistics statistics_;

  // Shared with workers, who may finish after the host has gone.
  struct Inbox {
    std::mutex mutex;
    std::condition_variable ready;
    std::deque<Trained> done;
    bool woken = false;
  };
  std::shared_ptr<Inbox> inbox_ = std::make_shared<Inbox>();
};

}  // namespace tributary::internal
