// SPDX-License-Identifier: Apache-2.0
#include "tributary/base/weight.hpp"

#include <fmt/format.h>

#include <cmath>

namespace tributary {

Result<Weight> Weight::from(double value) {
  if (!(value >= kSmallest && value <= kLargest)) {
    return invalid_argument(fmt::format("a weight must be a number from 2^-16 (0.0000153) to 2^38, got {}", value));
  }
  return from_units(static_cast<std::uint64_t>(std::llrint(std::ldexp(value, kFractionBits))));
}

}  // namespace tributary
