// SPDX-License-Identifier: Apache-2.0
// The identities that travel: strong integers, so that a round is never passed where a version is meant.
//
// Threads: values.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace tributary {

template <typename Tag, typename Value>
struct StrongId {
  Value value{};

  constexpr StrongId() noexcept = default;
  constexpr explicit StrongId(Value v) noexcept : value(v) {}
  friend constexpr auto operator<=>(StrongId, StrongId) noexcept = default;
};

// A node's place in the Tree: dense, from 0 (the root).
using NodeId = StrongId<struct NodeIdTag, std::uint32_t>;
// A client's place among all clients of the federation, left to right: independent of the tree's shape.
using ClientIndex = StrongId<struct ClientIndexTag, std::uint32_t>;
// One commit at one tier, from 1.
using Round = StrongId<struct RoundTag, std::uint64_t>;
// Number of commits contained in a model at one node; the initial model is version 0.
using Version = StrongId<struct VersionTag, std::uint64_t>;
// How often a task was handed out, from 1.
using Attempt = StrongId<struct AttemptTag, std::uint32_t>;

}  // namespace tributary

template <typename Tag, typename Value>
struct std::hash<tributary::StrongId<Tag, Value>> {
  std::size_t operator()(tributary::StrongId<Tag, Value> id) const noexcept { return std::hash<Value>{}(id.value); }
};
