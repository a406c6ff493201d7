// SPDX-License-Identifier: Apache-2.0
#include "tributary/aggregators/synchronous.hpp"

#include <algorithm>
#include <cmath>
#include <span>

#include "tributary/base/duration.hpp"
#include "tributary/base/random.hpp"

namespace tributary {
namespace {

// A share such as 0.3 of 10 must not become 4 because 0.3 is a little more than three tenths.
constexpr double kRoundingSlack = 1e-9;

std::uint32_t ceiling_share(double share, std::uint32_t of) {
  const double exact = share * static_cast<double>(of);
  return std::clamp(static_cast<std::uint32_t>(std::ceil(exact - kRoundingSlack)), 1U, std::max(of, 1U));
}

}  // namespace

std::uint32_t SynchronousPolicy::largest_target(std::uint32_t children) const noexcept {
  if (settings_.cohort_count) { return std::min(*settings_.cohort_count, children); }
  if (settings_.cohort_fraction) { return std::min(ceiling_share(*settings_.cohort_fraction, children), children); }
  return children;
}

Cohort SynchronousPolicy::choose(std::uint32_t children, std::uint64_t seed) const {
  Cohort cohort;
  cohort.target = largest_target(children);
  const double wanted = std::ceil(settings_.over_selection * static_cast<double>(cohort.target) - kRoundingSlack);
  const auto asked = static_cast<std::uint32_t>(std::min(wanted, static_cast<double>(children)));
  Rng rng(seed);
  cohort.members = rng.sample_without_replacement(children, asked);
  cohort.quorum = ceiling_share(settings_.quorum, cohort.target);
  // 0 would mean that there is none.
  if (settings_.deadline_s > 0.0) {
    cohort.deadline = std::max(std::chrono::nanoseconds{1}, to_nanoseconds(settings_.deadline_s));
  }
  cohort.hard_deadline = later_by(cohort.deadline, cohort.deadline);
  return cohort;
}

Decision SynchronousPolicy::open(TierContext& context) {
  Cohort cohort = choose(context.children(), context.seed(Purpose::kCohort, context.round().value));
  std::vector<std::uint32_t> order = cohort.members;
  // Who is asked first often answers first. Where not all answers are counted, that must not be the same children in
  // every round.
  if (cohort.quorum < order.size()) {
    Rng rng(context.seed(Purpose::kTies, context.round().value));
    rng.shuffle(std::span(order));
  }
  context.choose(std::move(cohort));
  for (const std::uint32_t child : order) { context.ask(child); }
  return decide(context.state());
}

Decision SynchronousPolicy::on_event(TierContext& context, const TierEvent& /*event*/) {
  return decide(context.state());
}

Decision SynchronousPolicy::decide(const RoundState& state) noexcept {
  if (state.reported >= state.target) { return Decision::kCommit; }
  const bool enough = state.reported >= state.quorum;
  if (enough && (state.deadline_passed || state.expected() == 0)) { return Decision::kCommit; }
  if (!enough && (state.hard_deadline_passed || state.reported + state.expected() < state.quorum)) {
    return Decision::kAbandon;
  }
  return Decision::kWait;
}

}  // namespace tributary
