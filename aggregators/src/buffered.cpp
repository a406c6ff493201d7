// SPDX-License-Identifier: Apache-2.0
#include "tributary/aggregators/buffered.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tributary/base/duration.hpp"

namespace tributary {
namespace {

constexpr int kDiscountBits = 12;
constexpr int kMixingBits = 16;
// What the newest gap counts for in a mean of a child's gaps.
constexpr double kNewest = 0.2;
constexpr std::string_view kRates = "rates";
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

Decision BufferedPolicy::on_event(TierContext& context, const TierEvent& event) {
  if (corrects() && event.kind == TierEvent::Kind::kCounted) { note(event); }
  return decide(context);
}

// Rates.

void BufferedPolicy::note(const TierEvent& event) {
  ++counted_;
  heaviest_ = std::max(heaviest_, event.weight.value());
  Rhythm& rhythm = rhythms_[event.child];
  const auto gap = static_cast<double>(counted_ - rhythm.last);
  const bool first = rhythm.last == 0;
  set_gap(rhythm, first ? gap : (1.0 - kNewest) * rhythm.gap + kNewest * gap);
  rhythm.last = counted_;
}

void BufferedPolicy::set_gap(Rhythm& rhythm, double gap) {
  if (const auto before = gaps_.find(rhythm.gap); before != gaps_.end()) { gaps_.erase(before); }
  rhythm.gap = gap;
  gaps_.insert(gap);
}

double BufferedPolicy::rate_factor(std::uint32_t child, Weight weight) const noexcept {
  if (!corrects() || gaps_.empty()) { return 1.0; }
  const auto known = rhythms_.find(child);
  const double gap = known == rhythms_.end() ? static_cast<double>(counted_ + 1) : known->second.gap;
  const double counts = std::clamp(gap / *gaps_.rbegin(), 1.0 / settings_.rate_correction, 1.0);
  return buffer_ > 1 ? counts : counts * std::min(1.0, weight.value() / std::max(heaviest_, weight.value()));
}

// All numbers are whole, or doubles that are written as they are.
Snapshot BufferedPolicy::save() const {
  Snapshot snapshot;
  if (!corrects()) { return snapshot; }
  std::vector<double> rates{static_cast<double>(counted_), heaviest_};
  for (const auto& [child, rhythm] : rhythms_) {
    rates.insert(rates.end(), {static_cast<double>(child), static_cast<double>(rhythm.last), rhythm.gap});
  }
  snapshot.vectors[std::string(kRates)] = std::make_shared<const std::vector<double>>(std::move(rates));
  return snapshot;
}

Status BufferedPolicy::restore(const Snapshot& snapshot) {
  const Snapshot::Vector rates = snapshot.find(std::string(kRates));
  constexpr double kMost = 0x1p53;
  const auto whole = [](double value) { return value >= 0.0 && value <= kMost && value == std::floor(value); };
  bool fits = corrects() && rates && snapshot.vectors.size() + snapshot.texts.size() == 1 && rates->size() >= 2 &&
              (rates->size() - 2) % 3 == 0 && whole((*rates)[0]) && (*rates)[1] >= 0.0 &&
              (*rates)[1] <= Weight::kLargest;
  for (std::size_t i = 2; fits && i < rates->size(); i += 3) {
    fits = whole((*rates)[i]) && (*rates)[i] <= UINT32_MAX && whole((*rates)[i + 1]) && (*rates)[i + 1] >= 1.0 &&
           (*rates)[i + 1] <= (*rates)[0] && (*rates)[i + 2] > 0.0 && (*rates)[i + 2] <= kMost;
  }
  if (!fits) { return bad_data("the rates of a node's children, which its policy goes on from, are damaged"); }
  counted_ = static_cast<std::uint64_t>((*rates)[0]);
  heaviest_ = (*rates)[1];
  rhythms_.clear();
  gaps_.clear();
  for (std::size_t i = 2; i < rates->size(); i += 3) {
    Rhythm& rhythm = rhythms_[static_cast<std::uint32_t>((*rates)[i])];
    rhythm.last = static_cast<std::uint64_t>((*rates)[i + 1]);
    set_gap(rhythm, (*rates)[i + 2]);
  }
  return {};
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
  return settings_.discount == PolicySettings::Discount::kConstant && !corrects() ? 0 : kDiscountBits;
}

std::uint32_t BufferedPolicy::factor(const Arrival& arrival) const noexcept {
  if (settings_.max_staleness && arrival.staleness > static_cast<double>(*settings_.max_staleness)) { return 0; }
  const double discounted =
      std::ldexp(discount(arrival.staleness) * (mixes() ? *settings_.mixing : 1.0), discount_bits());
  if (std::lrint(discounted) == 0) { return 0; }
  // How often a child answers, and how little it weighs, is no reason to leave it out.
  const double counts = discounted * rate_factor(arrival.child, arrival.weight);
  return static_cast<std::uint32_t>(std::max(1L, std::lrint(counts)));
}

// A buffer of `target` updates is a full step.
double BufferedPolicy::share(const RoundState& state) const noexcept {
  return state.target == 0 ? 1.0 : static_cast<double>(state.reported) / static_cast<double>(state.target);
}

}  // namespace tributary
