// SPDX-License-Identifier: Apache-2.0
// From the section `tiers` of a configuration to what a tier policy is made from.
//
// Threads: a function of its argument only.
#pragma once

#include "tributary/config/configuration.hpp"
#include "tributary/nodes/tier_policy.hpp"

namespace tributary {

[[nodiscard]] PolicySettings policy_settings(const TierConfig& tier);

}  // namespace tributary
