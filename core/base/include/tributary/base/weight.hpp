// SPDX-License-Identifier: Apache-2.0
// What an update counts for in a mean: a fixed-point number, so that sums of weights are exact too.
//
// Range: [2^-16, 2^38] in steps of 2^-24. Sample counts are exact; the smallest weight is kept to one part in 500, and
// what is smaller is refused, as rounding would change what clients count for beside each other.
// Threads: a value.
#pragma once

#include <compare>
#include <cstdint>

#include "tributary/base/status.hpp"

namespace tributary {

class Weight {
 public:
  static constexpr int kFractionBits = 24;
  static constexpr double kSmallest = 0x1p-16;
  static constexpr double kLargest = 0x1p38;

  constexpr Weight() noexcept = default;

  // kInvalidArgument: not finite, or outside [kSmallest, kLargest].
  static Result<Weight> from(double value);
  // From the wire: any number of steps, 0 included.
  static constexpr Weight from_units(std::uint64_t units) noexcept {
    Weight weight;
    weight.units_ = units;
    return weight;
  }

  [[nodiscard]] constexpr std::uint64_t units() const noexcept { return units_; }
  [[nodiscard]] constexpr double value() const noexcept { return static_cast<double>(units_) * 0x1p-24; }
  [[nodiscard]] constexpr bool zero() const noexcept { return units_ == 0; }

  friend constexpr Weight operator+(Weight a, Weight b) noexcept { return from_units(a.units_ + b.units_); }
  friend constexpr auto operator<=>(Weight, Weight) noexcept = default;

 private:
  std::uint64_t units_ = 0;
};

}  // namespace tributary
