// SPDX-License-Identifier: Apache-2.0
// Events in order of time, then of a rank that the caller gives, then of making. Timers can be taken back, everything
// else happens.
//
// Threads: not thread-safe.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <utility>
#include <vector>

namespace tributary::internal {

using Instant = std::chrono::nanoseconds;  // since the start of the run

// The place of an event in its queue, which also identifies a pending timer.
struct EventKey {
  Instant at;
  std::uint64_t rank = 0;
  std::uint64_t number = 0;
  friend bool operator==(const EventKey&, const EventKey&) = default;
  // Asked millions of times: mostly times differ.
  friend bool operator<(const EventKey& a, const EventKey& b) noexcept {
    if (a.at != b.at) { return a.at < b.at; }
    return a.rank != b.rank ? a.rank < b.rank : a.number < b.number;
  }
};

// Timers may be of a smaller type, of which events can be made: there are many, and most are taken back.
//
// Cost: what is made in the order in which it happens, as everything is where nothing takes time, waits in lines of its
//       own and takes constant time; the rest, and timers, logarithmic.
template <typename Event, typename Timer = Event>
class EventQueue {
 public:
  static constexpr std::uint64_t kLast = UINT64_MAX;  // the highest rank

  // Of events at the same time those of lower rank come first; timers have rank 0.
  template <typename Content>
  void push(Instant at, Content&& event, std::uint64_t rank = 0) {
    const Entry entry{{at, rank, next_++}, store(std::forward<Content>(event))};
    std::deque<Entry>* const line = line_of(rank);
    if (line != nullptr && (line->empty() || line->back().key < entry.key)) {
      line->push_back(entry);
      return;
    }
    heap_.push_back(entry);
    std::push_heap(heap_.begin(), heap_.end(), later);
  }

  EventKey push_timer(Instant at, Timer timer) {
    const EventKey key{at, 0, next_++};
    timers_.emplace(key, std::move(timer));
    return key;
  }
  void cancel(const EventKey& key) { timers_.erase(key); }

  [[nodiscard]] bool empty() const noexcept {
    return heap_.empty() && timers_.empty() && first_.empty() && last_.empty();
  }
  // Requires !empty().
  [[nodiscard]] Instant next_time() const { return std::min(next_entry(), timer_key()).at; }

  // Takes the next event and calls visit(its time, the Event or Timer), which may push others. Requires !empty().
  template <typename Visit>
  void pop(const Visit& visit) {
    if (timer_key() < next_entry()) {
      auto node = timers_.extract(timers_.begin());
      visit(node.key().at, node.mapped());
      return;
    }
    const Entry entry = take_entry();
    Event& event = at(entry.slot);
    visit(entry.key.at, event);
    event = Event();  // what it referred to is not held any longer
    free_.push_back(entry.slot);
  }

  // All of it, with the keys that timers have: runtime/persist.hpp.
  template <typename Archive>
  void persist(Archive& archive);

 private:
  struct Entry {
    EventKey key;
    std::size_t slot = 0;  // of its event
  };
  static bool later(const Entry& a, const Entry& b) noexcept { return b.key < a.key; }

  static constexpr EventKey kNever{Instant::max(), UINT64_MAX, UINT64_MAX};
  static constexpr std::size_t kChunk = 256;

  [[nodiscard]] EventKey timer_key() const { return timers_.empty() ? kNever : timers_.begin()->first; }
  [[nodiscard]] EventKey next_entry() const {
    EventKey next = heap_.empty() ? kNever : heap_.front().key;
    for (const std::deque<Entry>* const line : {&first_, &last_}) {
      if (!line->empty() && line->front().key < next) { next = line->front().key; }
    }
    return next;
  }
  Entry take_entry() {
    const EventKey next = next_entry();
    for (std::deque<Entry>* const line : {&first_, &last_}) {
      if (line->empty() || line->front().key != next) { continue; }
      const Entry entry = line->front();
      line->pop_front();
      return entry;
    }
    std::pop_heap(heap_.begin(), heap_.end(), later);
    const Entry entry = heap_.back();
    heap_.pop_back();
    return entry;
  }
  std::deque<Entry>* line_of(std::uint64_t rank) {
    if (rank == 0) { return &first_; }
    return rank == kLast ? &last_ : nullptr;
  }

  // Events stay where they are while others are made.
  Event& at(std::size_t slot) { return chunks_[slot / kChunk][slot % kChunk]; }
  template <typename Content>
  std::size_t store(Content&& event) {
    if (free_.empty()) {
      for (std::size_t i = kChunk; i > 0; --i) { free_.push_back(chunks_.size() * kChunk + i - 1); }
      chunks_.push_back(std::make_unique<Event[]>(kChunk));
    }
    const std::size_t slot = free_.back();
    free_.pop_back();
    at(slot) = std::forward<Content>(event);
    return slot;
  }

  std::vector<Entry> heap_;
  std::deque<Entry> first_;  // of rank 0, ascending
  std::deque<Entry> last_;   // of the highest rank, likewise
  std::vector<std::unique_ptr<Event[]>> chunks_;
  std::vector<std::size_t> free_;
  std::map<EventKey, Timer> timers_;
  std::uint64_t next_ = 0;
};

}  // namespace tributary::internal
