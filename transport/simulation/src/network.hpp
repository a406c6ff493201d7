// SPDX-License-Identifier: Apache-2.0
// The network of a simulation: messages take what their link says (bytes / rate + latency), and are lost, repeated and
// delayed by a seed.
//
// Threads: one thread. Reproducible: the same calls in the same order get the same fates.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <utility>

#include "faults.hpp"
#include "runtime/event_queue.hpp"
#include "tributary/base/duration.hpp"
#include "tributary/nodes/message.hpp"
#include "tributary/nodes/tree.hpp"

namespace tributary::internal {

class SimulatedNetwork {
 public:
  SimulatedNetwork(const Tree& tree, FaultInjector& faults) : tree_(tree), faults_(faults) {}

  // When copies of a message arrive, counted from when it is sent.
  struct Journey {
    bool under_way = false;  // the same is moving already, and nothing is sent
    bool arrives = false;
    std::chrono::nanoseconds takes{0};
    bool repeated = false;
    std::chrono::nanoseconds repeat_takes{0};
  };

  // `child`: of the edge.
  Journey send(NodeId child, bool down, const Message& message, std::uint64_t bytes, Instant now) {
    const std::chrono::nanoseconds travel = transfer_time(tree_.attributes(child).link, bytes);
    const FaultInjector::Fate fate = faults_.fate_of_message();
    Journey journey;
    if (!fate.dropped && travel.count() > 0 && is_under_way(child, down, message, now, later_by(now, travel))) {
      journey.under_way = true;
      return journey;
    }
    journey.arrives = !fate.dropped;
    journey.takes = later_by(travel, fate.delay);
    journey.repeated = fate.repeated;
    journey.repeat_takes = later_by(travel, fate.repeat_delay);
    return journey;
  }

  // What is on its way; the links and fates belong to others.
  template <typename Archive>
  void persist(Archive& archive) {
    archive(transfers_);
  }

 private:
  struct Transfer {
    TaskKey key;
    Instant arrival{0};
    template <typename Archive>
    void serialize(Archive& archive) {
      archive(key, arrival);
    }
  };

  // A payload that is still moving is not sent again: a slow link that moves is alive. Questions overtake it, and so
  // the answer that a task is not known may come before the task does. Remembers `arrival` of what is not on its way.
  bool is_under_way(NodeId child, bool down, const Message& message, Instant now, Instant arrival) {
    TaskKey key;
    if (const auto* task = std::get_if<TaskMessage>(&message)) {
      key = task->key;
    } else if (const auto* update = std::get_if<UpdateMessage>(&message)) {
      key = update->key;
    } else {
      return false;
    }
    Transfer& last = transfers_[{child.value, down}];
    if (last.key == key && last.arrival > now) { return true; }
    last = {key, arrival};
    return false;
  }

  const Tree& tree_;
  FaultInjector& faults_;
  std::map<std::pair<std::uint32_t, bool>, Transfer> transfers_;  // by child and direction; links that take time only
};

}  // namespace tributary::internal
