// SPDX-License-Identifier: Apache-2.0
// The devices that clients run on in a simulation: when they are there, and whether they stay to the end of a task, by
// a configuration's `simulation.devices`. How fast they are: training_time.hpp.
//
// Threads:     functions of their arguments only.
// Determinism: the same in every run of the same seed, whatever happened before: a resumed run sees the same devices.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "tributary/base/ids.hpp"
#include "tributary/config/configuration.hpp"

namespace tributary {

// From `now` until the client's device is there: so many `available.times_a_day`, from a moment of its own on, for
// `available.share` of the time.
[[nodiscard]] std::chrono::nanoseconds until_available(const Configuration& configuration, ClientIndex client,
                                                       std::chrono::nanoseconds now) noexcept;
// After which part of a task, in [0, 1), the device leaves; nothing: it stays. `attempt` counts from 1.
[[nodiscard]] std::optional<double> leaves_after(const Configuration& configuration, ClientIndex client, Round round,
                                                 std::uint32_t attempt) noexcept;

}  // namespace tributary
