// SPDX-License-Identifier: Apache-2.0
// Hosts nodes for every driver, in simulation as in real time: makes them when they are needed, carries out what they
// ask for, lets them die and come back, and counts what crosses their edges. It has no clock, no network and no thread:
// a RuntimeEnvironment brings those.
//
// Life cycle: start_root() where the root lives; then whatever happens, one call for each event.
// Threads:    one thread calls everything. The environment is called from within these calls, and never calls back.
// Memory:     inner nodes exist from their first event on, clients only while they have something to do.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "base/node_pool.hpp"
#include "runtime/event_queue.hpp"
#include "tributary/nodes/agreed_plan.hpp"
#include "tributary/nodes/client_node.hpp"
#include "tributary/nodes/client_update.hpp"
#include "tributary/nodes/inner_node.hpp"
#include "tributary/nodes/traffic.hpp"
#include "tributary/training/training_pool.hpp"

namespace tributary::internal {

// The clock, the network and the training threads of the nodes of one process.
class RuntimeEnvironment {
 public:
  virtual ~RuntimeEnvironment() = default;

  [[nodiscard]] virtual Instant now() const = 0;
  // `bytes`: of the message, payload and all. False: the same is on its way already, and nothing was sent.
  virtual bool send(NodeId from, NodeId to, Message&& message, std::uint64_t bytes) = 0;
  // Answered by NodeRuntime::on_timer(), unless it is taken back.
  virtual EventKey set_timer(NodeId node, TimerId timer, Instant at) = 0;
  virtual void cancel_timer(const EventKey& key) = 0;
  // Answered by NodeRuntime::on_trained(), unless it is taken back.
  virtual TrainingPool::JobId begin_training(NodeId node, TrainingPool::Work work) = 0;
  virtual Result<ClientUpdate> take_trained(TrainingPool::JobId job) = 0;
  virtual void cancel_training(TrainingPool::JobId job) = 0;
  // The root closed a round: answered by NodeRuntime::on_published().
  virtual void publish(const RoundReport& report, ModelValues model) = 0;
  virtual void finished(Status status) = 0;
  virtual void note(NodeEvent note) = 0;
  // As NodeContext says it.
  [[nodiscard]] virtual bool keeps_models() const noexcept { return false; }
  [[nodiscard]] virtual bool notes_inputs() const noexcept { return false; }
};

// How long nodes have been busy: who is so from a to b adds b - a, and until then the present less a.
struct BusyTime {
  double seconds = 0.0;
  std::size_t nodes = 0;

  void begin(Instant now) {
    seconds -= std::chrono::duration<double>(now).count();
    ++nodes;
  }
  void end(Instant now) {
    seconds += std::chrono::duration<double>(now).count();
    --nodes;
  }
  [[nodiscard]] double until(Instant now) const {
    return seconds + static_cast<double>(nodes) * std::chrono::duration<double>(now).count();
  }
};

struct RuntimeStatistics {
  std::chrono::nanoseconds merge_time{0};  // spent in inner nodes
  std::map<std::uint32_t, std::chrono::nanoseconds> merge_by_tier;
  std::map<std::uint32_t, BusyTime> busy_by_tier;  // children with a task that their parents wait for
  Traffic traffic;                                 // counted where a message is sent
};

class NodeRuntime final : private NodeContext {
 public:
  // All must outlive the runtime. `states`: of the clients here; null where the method keeps none.
  NodeRuntime(const AgreedPlan& plan, RuntimeEnvironment& environment, ClientStateStore* states = nullptr);
  ~NodeRuntime() override;
  NodeRuntime(const NodeRuntime&) = delete;
  NodeRuntime& operator=(const NodeRuntime&) = delete;

  // Also when it comes back after kill().
  void start_root(RootState state);
  // A message for a node here that is up.
  void on_message(NodeId from, NodeId to, Message&& message);
  void on_timer(NodeId node, TimerId timer);
  // A job that was cancelled, or whose client died, is nobody's any more and changes nothing.
  void on_trained(NodeId node, TrainingPool::JobId job);
  void on_published(bool stop, Version durable);
  // Nothing reaches `peer` from `node` at present.
  void on_unreachable(NodeId node, NodeId peer, const std::string& why);

  // The node forgets everything but how often it has died, and is down until it is started again.
  void kill(NodeId node);
  // A node that was killed comes back; the root by start_root().
  void restart(NodeId node);
  [[nodiscard]] bool down(NodeId node) const;
  // It has something to do, or is an inner node that has had.
  [[nodiscard]] bool exists(NodeId node) const { return find(node) != nullptr; }
  // Deaths so far; of a client, since it last had nothing to do.
  [[nodiscard]] std::uint32_t incarnation(NodeId node) const;

  // What the node waits for.
  [[nodiscard]] bool awaits(NodeId node, TrainingPool::JobId job) const;
  [[nodiscard]] bool awaits_publication() const;
  // Some client here trains, or waits for its turn.
  [[nodiscard]] bool training() const noexcept { return jobs_ > 0; }
  [[nodiscard]] std::size_t jobs() const noexcept { return jobs_; }
  // Clients here whose answers are on their way to their parents.
  [[nodiscard]] std::size_t answering() const noexcept { return answering_; }
  // Children whose updates nodes here wait for.
  template <typename Call>
  void for_each_awaited(const Call& call) const {
    for (const auto& [child, task] : asked_) { call(child); }
  }
  // Of the root; null elsewhere or before it has started.
  [[nodiscard]] InnerNode::Published published() const;
  [[nodiscard]] Round global_round() const;
  [[nodiscard]] const RuntimeStatistics& statistics() const noexcept { return statistics_; }

  // All nodes as they stand between two events, but nothing that was counted or measured: runtime/persist.hpp.
  template <typename Archive>
  void persist(Archive& archive, RootState& root);
  // Of a runtime that goes on: what crossed edges before, and is yet to be told of.
  void add_traffic(const std::map<std::uint32_t, EdgeTraffic>& tiers);

 private:
  struct Slot {
    std::unique_ptr<InnerNode> inner;
    std::unique_ptr<ClientNode> client;
    std::uint32_t incarnation = 0;
    bool down = false;
    bool publishing = false;
    bool answering = false;  // a client's answer is on its way to its parent
    std::array<std::optional<EventKey>, kTimers> timers;
    std::optional<TrainingPool::JobId> job;
    TaskKey job_key;
  };

  // NodeContext, for the node that is being called.
  void send(NodeId to, Message message) override;
  void set_timer(TimerId timer, std::chrono::nanoseconds after) override;
  void cancel_timer(TimerId timer) override;
  [[nodiscard]] std::chrono::nanoseconds time_left(TimerId timer) const override;
  void train(TrainRequest request) override;
  void cancel_training() override;
  Result<std::shared_ptr<const ClientState>> load_state() override;
  Status save_state(std::shared_ptr<const ClientState> state) override;
  void publish(const RoundReport& report, ModelValues model) override;
  void finished(Status status) override;
  void note(NodeEvent note) override;
  [[nodiscard]] bool keeps_models() const noexcept override { return environment_.keeps_models(); }
  [[nodiscard]] bool notes_inputs() const noexcept override { return environment_.notes_inputs(); }

  // `node` is called from now on.
  void enter(NodeId node) {
    current_ = node;
    here_ = nullptr;
  }
  // Of the node that is being called.
  Slot& slot() {
    if (here_ == nullptr) { here_ = &slots_[current_.value]; }
    return *here_;
  }
  [[nodiscard]] const Slot* find(NodeId node) const;
  [[nodiscard]] bool is_root(NodeId node) const { return node == plan_.tree().root(); }
  void make(NodeId node, Slot& here);
  template <typename Call>
  void on_inner(const Call& call);
  void settle(NodeId node);
  // A child whose answer is out.
  struct Asked {
    TaskKey key;
    Instant since{0};
    bool wanted = true;  // its parent still waits
    template <typename Archive>
    void serialize(Archive& archive) {
      archive(key, since, wanted);
    }
  };
  void begin_waiting(NodeId child, const TaskKey& key);
  void end_waiting(NodeId child, const TaskKey& key);
  void stop_waiting(NodeId child, Asked& asked);
  void count_the_busy();

  const AgreedPlan& plan_;
  RuntimeEnvironment& environment_;
  ClientStateStore* const states_;
  std::unordered_map<std::uint32_t, Slot> slots_;
  NodeId current_;
  Slot* here_ = nullptr;  // the current node's, once it was asked for
  std::unordered_map<NodeId, Asked> asked_;
  NodePool<std::unordered_map<NodeId, Asked>> pool_;
  std::size_t jobs_ = 0;
  std::size_t answering_ = 0;
  std::chrono::nanoseconds publish_time_{0};  // within the present call
  RuntimeStatistics statistics_;
};

}  // namespace tributary::internal
