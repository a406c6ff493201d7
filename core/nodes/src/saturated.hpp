// SPDX-License-Identifier: Apache-2.0
// Sums of weights that cannot wrap. Threads: pure functions.
#pragma once

#include <algorithm>
#include <cstdint>

namespace tributary::internal {

// Weights stay below 2^62 units.
inline std::uint64_t saturated(std::uint64_t a, std::uint64_t b) {
  return std::min(a + b, std::uint64_t{1} << 62U);
}

}  // namespace tributary::internal
