// SPDX-License-Identifier: Apache-2.0
// Events in order of time, then of a rank that the caller gives, then of making. Timers can be taken back, everything
// else happens.
//
// Threads: not thread-safe.
#pragma once

#include <algorithm>
#include <chrono>
#include <compare>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <utility>
#include <vector>

namespace tributary::internal {

using Instant = std::chrono::nanoseconds;  // since the start of the run

// The place of an event in its queue, which also identifies a pending timer.
struct EventKey {
  Instant at;
  std::uint64_t rank = 0;
  std::uint64_t number = 0;
  friend auto operator<=>(const EventKey&, const EventKey&) = default;
};

template <typename Event>
class EventQueue {
 public:
  // Of events at the same time those of lower rank come first; timers have rank 0.
  void push(Instant at, Event event, std::uint64_t rank = 0) {
    std::size_t slot = events_.size();
    if (free_.empty()) {
      events_.push_back(std::move(event));
    } else {
      slot = free_.back();
      free_.pop_back();
      events_[slot] = std::move(event);
    }
    heap_.push_back({{at, rank, next_++}, slot});
    std::push_heap(heap_.begin(), heap_.end(), std::greater<>());
  }

  EventKey push_timer(Instant at, Event event) {
    const EventKey key{at, 0, next_++};
    timers_.emplace(key, std::move(event));
    return key;
  }
  void cancel(const EventKey& key) { timers_.erase(key); }

  [[nodiscard]] bool empty() const noexcept { return heap_.empty() && timers_.empty(); }
  // Requires !empty().
  [[nodiscard]] Instant next_time() const { return std::min(heap_key(), timer_key()).at; }

  std::pair<Instant, Event> pop() {
    if (timer_key() < heap_key()) {
      auto node = timers_.extract(timers_.begin());
      return {node.key().at, std::move(node.mapped())};
    }
    std::pop_heap(heap_.begin(), heap_.end(), std::greater<>());
    const auto [key, slot] = heap_.back();
    heap_.pop_back();
    free_.push_back(slot);
    return {key.at, std::move(events_[slot])};
  }

  // All of it, with the keys that timers have: runtime/persist.hpp.
  template <typename Archive>
  void persist(Archive& archive);

 private:
  static constexpr EventKey kNever{Instant::max(), UINT64_MAX, UINT64_MAX};
  [[nodiscard]] EventKey heap_key() const { return heap_.empty() ? kNever : heap_.front().first; }
  [[nodiscard]] EventKey timer_key() const { return timers_.empty() ? kNever : timers_.begin()->first; }

  std::vector<std::pair<EventKey, std::size_t>> heap_;
  std::vector<Event> events_;
  std::vector<std::size_t> free_;
  std::map<EventKey, Event> timers_;
  std::uint64_t next_ = 0;
};

}  // namespace tributary::internal
