// SPDX-License-Identifier: Apache-2.0
// The synchronous tier policy: ask a cohort, close the round when all of it has reported, or, from the deadline on,
// when the quorum has (semi-synchronous rounds, arXiv 1902.01046).
//
// Over-selection: ceil(over_selection * cohort) children are asked, the first `cohort` reports count.
// Deadline:       at the deadline the quorum closes the round; short of it the node waits for the quorum, and gives the
//                 round up at twice the deadline, or at once when too few children are left to reach it.
// Threads:        as TierPolicy.
#pragma once

#include <memory>

#include "tributary/base/status.hpp"
#include "tributary/nodes/tier_policy.hpp"

namespace tributary {

class SynchronousPolicy final : public TierPolicy {
 public:
  explicit SynchronousPolicy(const PolicySettings& settings) : settings_(settings) {}

  Decision open(TierContext& context) override;
  Decision on_event(TierContext& context, const TierEvent& event) override;
  [[nodiscard]] std::uint32_t largest_target(std::uint32_t children) const noexcept override;
  [[nodiscard]] bool counts_all() const noexcept override {
    return settings_.over_selection <= 1.0 && settings_.quorum >= 1.0;
  }

  // The cohort of one round. `seed` differs by node and round: the same seed gives the same cohort. Cost follows the
  // cohort, not `children`.
  [[nodiscard]] Cohort choose(std::uint32_t children, std::uint64_t seed) const;
  [[nodiscard]] static Decision decide(const RoundState& state) noexcept;

 private:
  PolicySettings settings_;
};

}  // namespace tributary
