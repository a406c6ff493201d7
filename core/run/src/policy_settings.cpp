// SPDX-License-Identifier: Apache-2.0
#include "tributary/run/policy_settings.hpp"

namespace tributary {
namespace {

// The two say the same in two wings that do not know each other.
static_assert(static_cast<int>(TierConfig::Discount::kConstant) ==
              static_cast<int>(PolicySettings::Discount::kConstant));
static_assert(static_cast<int>(TierConfig::Discount::kHarmonic) ==
              static_cast<int>(PolicySettings::Discount::kHarmonic));

}  // namespace

PolicySettings policy_settings(const TierConfig& tier) {
  // Sums that are forwarded are divided elsewhere, where they are discounted too.
  const bool forwards = tier.edge_model == TierConfig::EdgeModel::kForward;
  return {
      .cohort_fraction = tier.cohort_fraction,
      .cohort_count = tier.cohort_count,
      .over_selection = tier.over_selection,
      .quorum = tier.quorum,
      .deadline_s = tier.deadline_s,
      .buffer = tier.buffer,
      .concurrency = tier.concurrency,
      .discount = forwards ? PolicySettings::Discount::kConstant : static_cast<PolicySettings::Discount>(tier.discount),
      .discount_a = tier.discount_a,
      .discount_b = tier.discount_b,
      .max_staleness = tier.max_staleness,
      .rate_correction = forwards ? 1.0 : tier.rate_correction,
      .mixing = tier.form == TierConfig::Form::kMix ? std::optional(tier.mixing) : std::nullopt};
}

}  // namespace tributary
