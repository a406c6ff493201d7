// SPDX-License-Identifier: Apache-2.0
// How a node runtime and its queue are laid out where a driver saves all of them and goes on from there, as
// nodes/persist.hpp says it for nodes.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "nodes/persist.hpp"
#include "runtime/event_queue.hpp"
#include "runtime/node_runtime.hpp"

namespace tributary {

template <typename Archive>
void serialize(Archive& archive, EdgeTraffic& traffic) {
  archive(traffic.messages, traffic.bytes_down, traffic.bytes_up, traffic.send_time, traffic.wait_time);
}

}  // namespace tributary

namespace tributary::internal {

template <typename Archive>
void serialize(Archive& archive, EventKey& key) {
  archive(key.at, key.rank, key.number);
}

template <typename Event, typename Timer>
template <typename Archive>
void EventQueue<Event, Timer>::persist(Archive& archive) {
  std::vector<std::pair<EventKey, Event>> waiting;
  const auto copy = [&](const auto& entries) {
    for (const Entry& entry : entries) { waiting.emplace_back(entry.key, at(entry.slot)); }
  };
  copy(heap_);
  copy(first_);
  copy(last_);
  std::ranges::sort(waiting, [](const auto& a, const auto& b) { return a.first < b.first; });
  archive(waiting, timers_, next_);
  if constexpr (Archive::is_loading::value) {
    heap_.clear();
    first_.clear();
    last_.clear();
    chunks_.clear();
    free_.clear();
    for (auto& [key, event] : waiting) { heap_.push_back({key, store(std::move(event))}); }
    std::ranges::make_heap(heap_, later);
  }
}

// `root`: what the root is made from where the archive gives values; taken over.
template <typename Archive>
void NodeRuntime::persist(Archive& archive, RootState& root) {
  std::vector<std::uint32_t> numbers;
  for (const auto& [number, slot] : slots_) { numbers.push_back(number); }
  std::ranges::sort(numbers);
  archive(numbers);
  for (const std::uint32_t number : numbers) {
    enter(NodeId{number});
    if constexpr (Archive::is_loading::value) { archive.check(current_); }
    Slot& here = slots_[number];
    bool alive = here.inner || here.client;
    archive(alive, here.incarnation, here.down, here.publishing, here.answering, here.timers, here.job, here.job_key);
    if (!alive) { continue; }
    if constexpr (Archive::is_loading::value) {
      if (is_root(current_)) {
        here.inner = std::make_unique<InnerNode>(plan_.inner_node(current_, here.incarnation), std::move(root));
      } else {
        make(current_, here);
      }
    }
    here.inner ? here.inner->persist(archive) : here.client->persist(archive);
  }
  archive(asked_);
  if constexpr (Archive::is_loading::value) {
    count_the_busy();
    jobs_ = 0;
    answering_ = 0;
    for (const auto& [number, here] : slots_) {
      archive.require(here.client || (!here.job && !here.answering) ? ok_status() : bad_data("no client trains"));
      jobs_ += here.job ? 1U : 0U;
      answering_ += here.answering ? 1U : 0U;
    }
  }
}

}  // namespace tributary::internal
