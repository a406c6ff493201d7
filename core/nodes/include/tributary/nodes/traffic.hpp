// SPDX-License-Identifier: Apache-2.0
// What crossed the edges of a tree: counted by drivers where messages are sent, not computed from formulas.
//
// Threads: a value; counted by one thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <unordered_map>

#include "tributary/base/ids.hpp"

namespace tributary {

// Trees with more edges have records of their tiers only.
inline constexpr std::size_t kMostEdgeRecords = 2048;

// Working time of many threads and ranks adds up to more than 292 years: the sum stays at the largest duration then.
[[nodiscard]] inline std::chrono::nanoseconds saturating_sum(std::chrono::nanoseconds a,
                                                             std::chrono::nanoseconds b) noexcept {
  std::int64_t sum = 0;
  const bool overflows = __builtin_add_overflow(std::int64_t{a.count()}, std::int64_t{b.count()}, &sum);
  if (!overflows) { return std::chrono::nanoseconds(sum); }
  return b.count() > 0 ? std::chrono::nanoseconds::max() : std::chrono::nanoseconds::min();
}

struct EdgeTraffic {
  std::uint64_t messages = 0;
  std::uint64_t bytes_down = 0;  // payload and control bytes, from the parent
  std::uint64_t bytes_up = 0;
  // From handing a payload over to another process until the last of it has left, summed over payloads.
  std::chrono::nanoseconds send_time{0};
  // Of the parent, from asking the child until its update is there, summed over tasks.
  std::chrono::nanoseconds wait_time{0};

  EdgeTraffic& operator+=(const EdgeTraffic& other) noexcept {
    messages += other.messages;
    bytes_down += other.bytes_down;
    bytes_up += other.bytes_up;
    send_time = saturating_sum(send_time, other.send_time);
    wait_time = saturating_sum(wait_time, other.wait_time);
    return *this;
  }
  friend EdgeTraffic operator-(EdgeTraffic a, const EdgeTraffic& b) noexcept {
    return {a.messages - b.messages, a.bytes_down - b.bytes_down, a.bytes_up - b.bytes_up, a.send_time - b.send_time,
            a.wait_time - b.wait_time};
  }
};

struct Traffic {
  std::unordered_map<NodeId, EdgeTraffic> edges;  // by the child of the edge; only edges that carried something
  std::map<std::uint32_t, EdgeTraffic> tiers;     // by the tier of the child

  void count(NodeId child, std::uint32_t tier, bool down, std::uint64_t bytes) {
    for (EdgeTraffic* const traffic : {&edges[child], &tiers[tier]}) {
      ++traffic->messages;
      (down ? traffic->bytes_down : traffic->bytes_up) += bytes;
    }
  }
  [[nodiscard]] EdgeTraffic total() const {
    EdgeTraffic sum;
    for (const auto& [tier, traffic] : tiers) { sum += traffic; }
    return sum;
  }
  // What another process has counted.
  Traffic& operator+=(const Traffic& other) {
    for (const auto& [child, traffic] : other.edges) { edges[child] += traffic; }
    for (const auto& [tier, traffic] : other.tiers) { tiers[tier] += traffic; }
    return *this;
  }
};

}  // namespace tributary
