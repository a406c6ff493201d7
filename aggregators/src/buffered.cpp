// SPDX-License-Identifier: Apache-2.0
#include "tributary/aggregators/buffered.hpp"

#include <algorithm>
#include <cmath>

#include "tributary/base/duration.hpp"

namespace tributary {
namespace {

constexpr int kDiscountBits = 12;
constexpr int kMixingBits = 16;
// Draws before the children are looked at one by one. With half of them free the chance to miss is 2^-32.
constexpr int kMostDraws = 32;

}  // namespace

BufferedPolicy::BufferedPolicy(const PolicySettings& settings, std::uint32_t buffer)
    : settings_(settings), buffer_(buffer) {}

std::uint32_t BufferedPolicy::largest_target(std::uint32_t children) const noexcept {
  return std::min(buffer_, children);
}

Decision BufferedPolicy::open(TierContext& context) {
  const std::uint32_t target = largest_target(context.children());
  Cohort cohort{.members = {}, .target = target, .quorum = 1};
  if (settings_.deadline_s > 0.0) {
    cohort.deadline = std::max(std::chrono::nanoseconds{1}, to_nanoseconds(settings_.deadline_s));
  }
  context.choose(std::move(cohort));
  return decide(context);
}

Decision BufferedPolicy::on_event(TierContext& context, const TierEvent& /*event*/) {
  return decide(context);
}

// Commits, or keeps as many children busy as there may be.
Decision BufferedPolicy::decide(TierContext& context) const {
  const RoundState& state = context.state();
  if (state.reported >= state.target || (state.reported > 0 && state.deadline_passed)) { return Decision::kCommit; }
  const std::uint32_t most = settings_.concurrency.value_or(context.children());
  while (state.expected() < most) {
    const std::optional<std::uint32_t> child = draw(context);
    if (!child) { break; }
    context.ask(*child);
  }
  if (state.expected() > 0) { return Decision::kWait; }
  // Nobody is left to fill the buffer.
  return state.reported > 0 ? Decision::kCommit : Decision::kAbandon;
}

std::optional<std::uint32_t> BufferedPolicy::draw(const TierContext& context) const {
  const std::uint32_t children = context.children();
  const RoundState& state = context.state();
  if (state.asked >= children) { return std::nullopt; }
  Rng rng(context.seed(Purpose::kCohort, context.tasks() + 1));
  std::uint32_t child = 0;
  for (int attempt = 0; attempt < kMostDraws; ++attempt) {
    child = static_cast<std::uint32_t>(rng.below(children));
    if (!context.taken(child)) { return child; }
  }
  for (std::uint32_t looked_at = 0; looked_at < children; ++looked_at) {
    child = child + 1 < children ? child + 1 : 0;
    if (!context.taken(child)) { return child; }
  }
  return std::nullopt;
}

double BufferedPolicy::discount(double staleness) const noexcept {
  const double a = settings_.discount_a;
  const double b = settings_.discount_b;
  switch (settings_.discount) {
    case PolicySettings::Discount::kConstant:
      return 1.0;
    case PolicySettings::Discount::kInverseRoot:
      return 1.0 / std::sqrt(1.0 + staleness);
    case PolicySettings::Discount::kPolynomial:
      return std::pow(1.0 + staleness, -a);
    case PolicySettings::Discount::kHinge:
      return staleness <= b ? 1.0 : 1.0 / (a * (staleness - b) + 1.0);
    case PolicySettings::Discount::kExponential:
      return std::exp(-a * staleness);
    case PolicySettings::Discount::kHarmonic:
      return 1.0 / (1.0 + a * staleness);
  }
  return 1.0;
}

int BufferedPolicy::discount_bits() const noexcept {
  if (mixes()) { return kMixingBits; }
  return settings_.discount == PolicySettings::Discount::kConstant ? 0 : kDiscountBits;
}

std::uint32_t BufferedPolicy::factor(double staleness) const noexcept {
  if (settings_.max_staleness && staleness > static_cast<double>(*settings_.max_staleness)) { return 0; }
  const double counts = discount(staleness) * (mixes() ? *settings_.mixing : 1.0);
  return static_cast<std::uint32_t>(std::lrint(std::ldexp(counts, discount_bits())));
}

// A buffer of `target` updates is a full step.
double BufferedPolicy::share(const RoundState& state) const noexcept {
  return state.target == 0 ? 1.0 : static_cast<double>(state.reported) / static_cast<double>(state.target);
}

}  // namespace tributary
