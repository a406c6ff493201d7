// SPDX-License-Identifier: Apache-2.0
// Seconds of a configuration as nanoseconds. Sums and conversions stop at the largest time there is, kEndOfTime: they
// never wrap around.
//
// Threads: functions of their arguments only.
#pragma once

#include <chrono>
#include <cstdint>

namespace tributary {

inline constexpr std::chrono::nanoseconds kEndOfTime = std::chrono::nanoseconds::max();  // 292 years

// Not a number and what is below zero give zero.
[[nodiscard]] std::chrono::nanoseconds to_nanoseconds(double seconds) noexcept;
// Of two times that are not negative.
[[nodiscard]] std::chrono::nanoseconds later_by(std::chrono::nanoseconds time, std::chrono::nanoseconds by) noexcept;

}  // namespace tributary
