// SPDX-License-Identifier: Apache-2.0
// Events of a simulation, in order of time, then of a rank that the caller gives, then of making. Timers can be taken
// back, everything else happens.
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

template <typename Event>
class EventQueue {
 public:
  // Identifies a pending timer.
  struct Handle {
    Instant at;
    std::uint64_t rank = 0;
    std::uint64_t number = 0;
    friend auto operator<=>(const Handle&, const Handle&) = default;
  };

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

  Handle push_timer(Instant at, Event event) {
    const Handle handle{at, 0, next_++};
    timers_.emplace(handle, std::move(event));
    return handle;
  }
  void cancel(const Handle& handle) { timers_.erase(handle); }

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

 private:
  static constexpr Handle kNever{Instant::max(), UINT64_MAX, UINT64_MAX};
  [[nodiscard]] Handle heap_key() const { return heap_.empty() ? kNever : heap_.front().first; }
  [[nodiscard]] Handle timer_key() const { return timers_.empty() ? kNever : timers_.begin()->first; }

  std::vector<std::pair<Handle, std::size_t>> heap_;
  std::vector<Event> events_;
  std::vector<std::size_t> free_;
  std::map<Handle, Event> timers_;
  std::uint64_t next_ = 0;
};

}  // namespace tributary::internal
