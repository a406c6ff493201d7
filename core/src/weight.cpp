// SPDX-License-Identifier: Apache-2.0
#include "tributary/core/weight.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace tributary {

Result<Weight> Weight::from(double value) {
  if (!std::isfinite(value) || value <= 0.0 || value > kLargest) {
    return invalid_argument(fmt::format("a weight must be > 0 and at most 2^40, got {}", value));
  }
  return from_units(
      std::max<std::uint64_t>(1, static_cast<std::uint64_t>(std::llrint(std::ldexp(value, kFractionBits)))));
}

}  // namespace tributary
