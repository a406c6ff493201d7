// SPDX-License-Identifier: Apache-2.0
// What things take on the virtual clock. The plan's estimate and the simulation use the same functions.
//
// Sums and conversions stop at the largest time there is, kEndOfTime: they never wrap around.
// Threads: functions of their arguments only.
#pragma once

#include <chrono>
#include <cstdint>

#include "tributary/core/configuration.hpp"
#include "tributary/core/tree.hpp"

namespace tributary {

inline constexpr std::chrono::nanoseconds kEndOfTime = std::chrono::nanoseconds::max();  // 292 years

// Not a number and what is below zero give zero.
[[nodiscard]] std::chrono::nanoseconds to_nanoseconds(double seconds) noexcept;
// Of two times that are not negative.
[[nodiscard]] std::chrono::nanoseconds later_by(std::chrono::nanoseconds time, std::chrono::nanoseconds by) noexcept;

// Of one message over one edge, in either direction: latency + bytes / bandwidth.
[[nodiscard]] std::chrono::nanoseconds transfer_time(const Link& link, std::uint64_t bytes) noexcept;

// How many samples a client goes through in one task, of `samples` that it has.
[[nodiscard]] double samples_of_task(const Configuration& configuration, std::uint64_t samples) noexcept;
// What that takes: simulation.compute_seconds_per_sample for each.
[[nodiscard]] std::chrono::nanoseconds training_time(const Configuration& configuration,
                                                     std::uint64_t samples) noexcept;

}  // namespace tributary
