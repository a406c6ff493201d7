// SPDX-License-Identifier: Apache-2.0
// How long a client trains, by a configuration's `simulation.compute_seconds_per_sample`. The plan's estimate and the
// simulation use the same functions.
//
// Threads: functions of their arguments only.
#pragma once

#include <chrono>
#include <cstdint>

#include "tributary/base/ids.hpp"
#include "tributary/config/configuration.hpp"

namespace tributary {

// How many samples a client goes through in one task, of `samples` that it has.
[[nodiscard]] double samples_of_task(const Configuration& configuration, std::uint64_t samples) noexcept;
// What one task of a client takes: simulation.compute_seconds_per_sample for each sample, times how slow it is
// (DeviceSpeeds).
[[nodiscard]] std::chrono::nanoseconds training_time(const Configuration& configuration, double slowness,
                                                     std::uint64_t samples) noexcept;
// What it takes the client to measure a model on `samples`: the same for each of them.
[[nodiscard]] std::chrono::nanoseconds evaluation_time(const Configuration& configuration, double slowness,
                                                       std::uint64_t samples) noexcept;

}  // namespace tributary
