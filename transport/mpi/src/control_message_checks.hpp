// SPDX-License-Identifier: Apache-2.0
// Whether what a rank says can be right: every number of a peer is checked before it is an index, an enumerator or a
// term of a sum.
//
// Threads: pure functions.
// Errors:  kProtocol, with the number and its bound.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

#include "control_message.hpp"
#include "tributary/base/status.hpp"

namespace tributary::internal {

struct RankLetterLimits {
  std::uint32_t nodes = 1;  // of the tree; node 0 is the root
  std::uint32_t tiers = 0;  // below the root
  std::uint32_t ranks = 1;
};

inline Status check_time(std::int64_t ns) {
  return ns >= 0 ? Status() : protocol_error(fmt::format("a time of {} ns, which must not be negative", ns));
}

inline Status check(const RankLetterLimits& /*limits*/, const TrafficNumbers& traffic) {
  TRIBUTARY_RETURN_IF_ERROR(check_time(traffic.send_ns));
  return check_time(traffic.wait_ns);
}

// Counts may be any.
inline Status check(const RankLetterLimits& /*limits*/, const BeatLetter& /*beat*/) {
  return {};
}

inline Status check(const RankLetterLimits& limits, const NoteLetter& note) {
  if (note.node >= limits.nodes) {
    return protocol_error(fmt::format("a note about node {} of {}", note.node, limits.nodes));
  }
  if (note.kind > static_cast<std::uint8_t>(NodeEvent::kLastKind)) {
    return protocol_error(fmt::format("a note of unknown kind {}", note.kind));
  }
  return {};
}

inline Status check(const RankLetterLimits& limits, const LostLetter& lost) {
  if (lost.rank > 0 && lost.rank < limits.ranks) { return {}; }
  return protocol_error(fmt::format("news of rank {}, which must be between 1 and {}", lost.rank, limits.ranks - 1));
}

inline Status check(const RankLetterLimits& limits, const EndLetter& end) {
  for (const std::uint32_t rank : end.lost) { TRIBUTARY_RETURN_IF_ERROR(check(limits, LostLetter{rank, ""})); }
  return {};
}

inline Status check(const RankLetterLimits& limits, const RankNumbers& numbers) {
  for (const std::int64_t ns : {numbers.train_ns, numbers.merge_ns, numbers.send_ns, numbers.wait_ns}) {
    TRIBUTARY_RETURN_IF_ERROR(check_time(ns));
  }
  std::uint32_t deepest = 0;
  for (const auto& [tier, ns] : numbers.merge_ns_by_tier) {
    deepest = std::max(deepest, tier);
    TRIBUTARY_RETURN_IF_ERROR(check_time(ns));
  }
  for (const auto& [tier, traffic] : numbers.tiers) {
    deepest = std::max(deepest, tier);
    TRIBUTARY_RETURN_IF_ERROR(check(limits, traffic));
  }
  if (deepest <= limits.tiers) { return {}; }
  return protocol_error(fmt::format("numbers of tier {}, the tree has {}", deepest, limits.tiers));
}

inline Status check(const RankLetterLimits& limits, const EdgesLetter& edges) {
  for (const auto& [child, traffic] : edges.edges) {
    if (child == 0 || child >= limits.nodes) {
      return protocol_error(
          fmt::format("numbers of an edge above node {}, which must be between 1 and {}", child, limits.nodes - 1));
    }
    TRIBUTARY_RETURN_IF_ERROR(check(limits, traffic));
  }
  return {};
}

}  // namespace tributary::internal
