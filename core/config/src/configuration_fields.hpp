// SPDX-License-Identifier: Apache-2.0
// What rows of the schema are made of: members as fields, and bounds that several keys share.
#pragma once

#include <type_traits>
#include <vector>

#include "config/configuration_schema.hpp"

namespace tributary::internal::config {

template <typename T>
Field as_field(T& member) {
  if constexpr (std::is_enum_v<T>) {
    return EnumField{&member,
                     [](const void* object) { return static_cast<std::size_t>(*static_cast<const T*>(object)); },
                     [](void* object, std::size_t value) { *static_cast<T*>(object) = static_cast<T>(value); }};
  } else {
    return &member;
  }
}

// The member at the end of a chain of members of Configuration, or of TierConfig.
template <auto... Members>
Field in(Target& target) {
  return as_field((target.configuration.*....*Members));
}
template <auto Member>
Field tier(Target& target) {
  return as_field(target.tier.*Member);
}

inline constexpr Range kPositive{.above = 0.0};
inline constexpr Range kNotNegative{.least = 0.0};
inline constexpr Range kAtLeastOne{.least = 1.0};
inline constexpr Range kProbability{.least = 0.0, .below = 1.0};
inline constexpr Range kShare{.above = 0.0, .most = 1.0};

// The sections `trainer`, `algorithm` and `server_optimizer`; the others stand in configuration_keys.cpp.
[[nodiscard]] std::vector<Key> training_keys();

}  // namespace tributary::internal::config
