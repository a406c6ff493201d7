// SPDX-License-Identifier: Apache-2.0
// What a plan says of tier policies.
//
// Threads: functions of their arguments only.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "tributary/run/plan.hpp"
#include "tributary/topology/cost.hpp"

namespace tributary::cli {

// "synchronous, 10 children a round"; of the nodes `distance` from the root.
[[nodiscard]] std::string describe_policy(const Plan& plan, std::uint32_t distance);
// Of a continuous policy.
[[nodiscard]] std::uint32_t updates_of_commit(const TierConfig& tier);
[[nodiscard]] bool has_continuous_tier(const Plan& plan);
// Of a root with a continuous policy: what it takes its children, which work side by side, to make a commit's updates.
// 0 where that is not known beforehand, because tiers below it are continuous too.
[[nodiscard]] std::chrono::nanoseconds time_of_commit(const Plan& plan, const CostEstimate& cost);

}  // namespace tributary::cli
