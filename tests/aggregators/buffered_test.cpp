// SPDX-License-Identifier: Apache-2.0
#include "tributary/aggregators/buffered.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <optional>
#include <set>
#include <vector>

namespace tributary {
namespace {

using Discount = PolicySettings::Discount;
using Kind = TierEvent::Kind;

// A node with children that do as the test says.
class Node final : public TierContext {
 public:
  explicit Node(std::uint32_t children) : children_(children) {}

  [[nodiscard]] std::uint32_t children() const noexcept override { return children_; }
  [[nodiscard]] Round round() const noexcept override { return Round{1}; }
  [[nodiscard]] const RoundState& state() const noexcept override { return state_; }
  [[nodiscard]] std::uint64_t seed(Purpose purpose, std::uint64_t number) const noexcept override {
    return stream_seed(run_seed, purpose, 0, number);
  }
  [[nodiscard]] bool taken(std::uint32_t child) const override {
    return working.contains(child) || settled.contains(child);
  }
  [[nodiscard]] std::uint64_t tasks() const noexcept override { return asked.size(); }
  void choose(Cohort cohort) override {
    state_.target = cohort.target;
    deadline = cohort.deadline;
  }
  void ask(std::uint32_t child) override {
    EXPECT_FALSE(taken(child));
    EXPECT_LT(child, children_);
    working.insert(child);
    asked.push_back(child);
    ++state_.asked;
  }

  Decision open(BufferedPolicy& policy) {
    settled.clear();
    state_ = {.asked = static_cast<std::uint32_t>(working.size())};
    return policy.open(*this);
  }
  Decision happens(BufferedPolicy& policy, Kind kind, std::uint32_t child) {
    working.erase(child);
    settled.insert(child);
    ++(kind == Kind::kCounted ? state_.reported : kind == Kind::kFailed ? state_.failed : state_.lost);
    return policy.on_event(*this, {kind, child});
  }
  Decision deadline_passes(BufferedPolicy& policy) {
    state_.deadline_passed = true;
    return policy.on_event(*this, {Kind::kDeadline});
  }
  Decision first_reports(BufferedPolicy& policy) { return happens(policy, Kind::kCounted, *working.begin()); }

  std::uint64_t run_seed = 7;
  std::set<std::uint32_t> working;
  std::set<std::uint32_t> settled;
  std::vector<std::uint32_t> asked;
  std::chrono::nanoseconds deadline{0};

 private:
  std::uint32_t children_;
  RoundState state_;
};

TEST(Buffered, CommitsWhenTheBufferIsFullAndKeepsChildrenBusy) {
  BufferedPolicy policy({.concurrency = 4}, 3);
  Node node(10);
  EXPECT_EQ(node.open(policy), Decision::kWait);
  EXPECT_EQ(node.working.size(), 4U);
  EXPECT_EQ(node.first_reports(policy), Decision::kWait);
  EXPECT_EQ(node.working.size(), 4U);
  EXPECT_EQ(node.first_reports(policy), Decision::kWait);
  EXPECT_EQ(node.first_reports(policy), Decision::kCommit);
  EXPECT_EQ(node.working.size(), 3U) << "whoever is asked next is given the new model";
  EXPECT_EQ(node.open(policy), Decision::kWait);
  EXPECT_EQ(node.working.size(), 4U);
}

TEST(Buffered, AsksEveryChildAtOnceIfNothingElseIsSaid) {
  BufferedPolicy policy({}, 1);
  Node node(5);
  EXPECT_EQ(node.open(policy), Decision::kWait);
  EXPECT_EQ(node.working.size(), 5U);
  EXPECT_EQ(node.first_reports(policy), Decision::kCommit);
}

TEST(Buffered, AChildCountsOnceInABuffer) {
  BufferedPolicy policy({.concurrency = 1}, 3);
  Node node(3);
  ASSERT_EQ(node.open(policy), Decision::kWait);
  for (int report = 0; report < 2; ++report) { EXPECT_EQ(node.first_reports(policy), Decision::kWait); }
  EXPECT_EQ(node.first_reports(policy), Decision::kCommit);
  EXPECT_EQ(std::set(node.asked.begin(), node.asked.end()).size(), 3U);
}

TEST(Buffered, ABufferNeverWaitsForMoreThanThereAre) {
  EXPECT_EQ(BufferedPolicy({}, 10).largest_target(4), 4U);
  EXPECT_EQ(BufferedPolicy({}, 10).largest_target(400), 10U);
}

TEST(Buffered, ChoosesAtRandomByTheSeedAndAllAlikeOften) {
  BufferedPolicy policy({.concurrency = 1}, 1);
  std::vector<int> times(20, 0);
  Node node(20);
  Node again(20);
  Node other(20);
  other.run_seed = 8;
  for (int commit = 0; commit < 4000; ++commit) {
    for (Node* const each : {&node, &again, &other}) {
      ASSERT_EQ(each->open(policy), Decision::kWait);
      ASSERT_EQ(each->first_reports(policy), Decision::kCommit);
    }
    ++times[node.asked.back()];
  }
  EXPECT_EQ(node.asked, again.asked);
  EXPECT_NE(node.asked, other.asked);
  // 200 each on average, with a standard deviation of 14.
  for (const int each : times) { EXPECT_NEAR(each, 200, 70); }
}

TEST(Buffered, OthersAreAskedInPlaceOfThoseThatFailOrFallSilent) {
  BufferedPolicy policy({.concurrency = 2}, 2);
  Node node(6);
  ASSERT_EQ(node.open(policy), Decision::kWait);
  EXPECT_EQ(node.happens(policy, Kind::kFailed, *node.working.begin()), Decision::kWait);
  EXPECT_EQ(node.happens(policy, Kind::kLost, *node.working.begin()), Decision::kWait);
  EXPECT_EQ(node.working.size(), 2U);
}

TEST(Buffered, WaitsForNobodyWhenNobodyIsLeft) {
  BufferedPolicy policy({}, 3);
  Node none(3);
  ASSERT_EQ(none.open(policy), Decision::kWait);
  EXPECT_EQ(none.happens(policy, Kind::kFailed, 0), Decision::kWait);
  EXPECT_EQ(none.happens(policy, Kind::kLost, 1), Decision::kWait);
  EXPECT_EQ(none.happens(policy, Kind::kFailed, 2), Decision::kAbandon);

  Node one(3);
  ASSERT_EQ(one.open(policy), Decision::kWait);
  EXPECT_EQ(one.happens(policy, Kind::kCounted, 0), Decision::kWait);
  EXPECT_EQ(one.happens(policy, Kind::kFailed, 1), Decision::kWait);
  EXPECT_EQ(one.happens(policy, Kind::kFailed, 2), Decision::kCommit);
  EXPECT_DOUBLE_EQ(policy.share(one.state()), 1.0 / 3.0);
}

TEST(Buffered, IsFlushedWhenItHasWaitedLongEnough) {
  BufferedPolicy policy({.deadline_s = 5.0}, 3);
  Node node(4);
  ASSERT_EQ(node.open(policy), Decision::kWait);
  EXPECT_EQ(node.deadline, std::chrono::seconds(5));
  EXPECT_EQ(node.deadline_passes(policy), Decision::kWait) << "there is nothing to commit yet";
  EXPECT_EQ(node.first_reports(policy), Decision::kCommit);
  EXPECT_DOUBLE_EQ(policy.share(node.state()), 1.0 / 3.0);
}

// Values of the reference: algorithms as published, with tau = 0 for a fresh update.
TEST(Buffered, DiscountsAreTheirFormulas) {
  const auto discount = [](PolicySettings settings, double staleness) {
    return BufferedPolicy(settings, 1).discount(staleness);
  };
  EXPECT_EQ(discount({.discount = Discount::kConstant}, 100.0), 1.0);
  EXPECT_DOUBLE_EQ(discount({.discount = Discount::kInverseRoot}, 1.0), 1.0 / std::sqrt(2.0));
  EXPECT_DOUBLE_EQ(discount({.discount = Discount::kPolynomial, .discount_a = 0.5}, 3.0), 0.5);
  EXPECT_DOUBLE_EQ(discount({.discount = Discount::kHinge, .discount_a = 10.0, .discount_b = 4.0}, 4.0), 1.0);
  EXPECT_DOUBLE_EQ(discount({.discount = Discount::kHinge, .discount_a = 10.0, .discount_b = 4.0}, 5.0), 1.0 / 11.0);
  EXPECT_DOUBLE_EQ(discount({.discount = Discount::kExponential, .discount_a = 0.5}, 2.0), std::exp(-1.0));
  EXPECT_DOUBLE_EQ(discount({.discount = Discount::kHarmonic, .discount_a = 0.5}, 2.0), 0.5);
}

TEST(Buffered, EveryDiscountBeginsAtOneAndNeverRises) {
  for (const Discount kind : {Discount::kConstant, Discount::kInverseRoot, Discount::kPolynomial, Discount::kHinge,
                              Discount::kExponential, Discount::kHarmonic}) {
    const BufferedPolicy policy({.discount = kind, .discount_a = 0.7, .discount_b = 2.0}, 1);
    const double whole = std::ldexp(1.0, policy.discount_bits());
    EXPECT_EQ(policy.factor({}), whole);
    double last = 1.0;
    for (double staleness = 0.0; staleness < 50.0; staleness += 0.25) {
      const double now = policy.discount(staleness);
      EXPECT_LE(now, last);
      EXPECT_GT(now, 0.0);
      EXPECT_NEAR(policy.factor({.staleness = staleness}) / whole, now, 0x1p-13);
      last = now;
    }
  }
}

// The paper's example: a model of 0, a client's of 1, a = 0.6, staleness 3: 0.3.
TEST(Buffered, MixingGoesWithTheDiscount) {
  const BufferedPolicy policy({.discount = Discount::kPolynomial, .discount_a = 0.5, .mixing = 0.6}, 1);
  EXPECT_TRUE(policy.mixes());
  EXPECT_NEAR(std::ldexp(policy.factor({.staleness = 3.0}), -policy.discount_bits()), 0.3, 0x1p-17);
  const BufferedPolicy constant({.discount = Discount::kConstant, .mixing = 1.0}, 1);
  EXPECT_EQ(std::ldexp(constant.factor({.staleness = 9.0}), -constant.discount_bits()), 1.0);
  EXPECT_FALSE(BufferedPolicy({.mixing = 0.6}, 2).mixes()) << "a buffer of several has no one model";
}

TEST(Buffered, RefusesWhatIsTooOld) {
  const BufferedPolicy policy({.discount = Discount::kConstant, .max_staleness = 4}, 1);
  EXPECT_EQ(policy.factor({.staleness = 4.0}), 1U);
  EXPECT_EQ(policy.factor({.staleness = 5.0}), 0U);
}

// A policy that is told of updates of `child`, with nobody to ask.
void tell(BufferedPolicy& policy, Node& tier, std::uint32_t child, double weight = 1.0) {
  static_cast<void>(policy.on_event(tier, {TierEvent::Kind::kCounted, child, Weight::from(weight).value()}));
}

double part(const BufferedPolicy& policy, std::uint32_t child, double weight = 1.0) {
  return std::ldexp(policy.factor({.child = child, .weight = Weight::from(weight).value()}), -policy.discount_bits());
}

// Child 0 answers four times for each time that child 1 does.
TEST(Buffered, WhoAnswersMoreOftenCountsForLess) {
  BufferedPolicy policy({.discount = Discount::kConstant, .rate_correction = 8.0}, 2);
  EXPECT_EQ(policy.discount_bits(), 12);
  EXPECT_EQ(part(policy, 0), 1.0) << "nothing is known yet";
  Node tier(0);
  for (int times = 0; times < 60; ++times) { tell(policy, tier, times % 5 == 4 ? 1 : 0); }

  // From one update of child 0 to its next are 1, 1, 1 and 2 counted updates, of child 1 always 5.
  EXPECT_NEAR(part(policy, 0), 1.25 / 5.0, 0.03);
  EXPECT_EQ(part(policy, 1), 1.0);
  EXPECT_EQ(part(policy, 0), part(policy, 0, 7.0)) << "weights show in the mean of a buffer";
  for (int times = 0; times < 100; ++times) { tell(policy, tier, 0); }
  tell(policy, tier, 1);
  EXPECT_EQ(part(policy, 0), 1.0 / 8.0) << "no less than that";
}

TEST(Buffered, OfSingleUpdatesTheWeightCountsToo) {
  BufferedPolicy policy({.discount = Discount::kConstant, .rate_correction = 8.0}, 1);
  Node tier(0);
  for (int times = 0; times < 20; ++times) { tell(policy, tier, times % 2, times % 2 == 0 ? 1.0 : 4.0); }
  EXPECT_NEAR(part(policy, 0, 1.0), 0.25, 0.02);
  EXPECT_NEAR(part(policy, 1, 4.0), 1.0, 0.02);
  EXPECT_NEAR(part(policy, 1, 5.0), 1.0, 0.02) << "never more than whole";
}

// One sample beside ten thousand: its part is less than half a step of 2^-12.
TEST(Buffered, NobodyIsLeftOutForItsRateOrItsWeight) {
  BufferedPolicy policy({.discount = Discount::kInverseRoot, .rate_correction = 100.0}, 1);
  Node tier(0);
  for (int times = 0; times < 20; ++times) { tell(policy, tier, times % 2, times % 2 == 0 ? 1.0 : 10'000.0); }
  EXPECT_EQ(policy.factor({.staleness = 3.0, .child = 0, .weight = Weight::from(1.0).value()}), 1U);
  BufferedPolicy old({.discount = Discount::kExponential, .discount_a = 1.0, .rate_correction = 100.0}, 1);
  EXPECT_EQ(old.factor({.staleness = 50.0}), 0U) << "as without it";
}

TEST(Buffered, RatesGoOnFromASnapshot) {
  const PolicySettings settings{.discount = Discount::kConstant, .rate_correction = 8.0};
  BufferedPolicy policy(settings, 1);
  Node tier(0);
  for (int times = 0; times < 37; ++times) { tell(policy, tier, times % 7 % 3, 1.0 + times % 3); }
  BufferedPolicy again(settings, 1);
  ASSERT_TRUE(again.restore(policy.save()).ok());
  for (int times = 0; times < 20; ++times) {
    for (std::uint32_t child = 0; child < 4; ++child) { EXPECT_EQ(part(again, child), part(policy, child)); }
    tell(policy, tier, times % 4);
    tell(again, tier, times % 4);
  }
  EXPECT_TRUE(BufferedPolicy({}, 2).save().empty());
  Snapshot damaged = policy.save();
  damaged.vectors["rates"] = std::make_shared<const std::vector<double>>(std::vector<double>{1.0, 1.0, 0.0, 2.0, 1.0});
  EXPECT_EQ(again.restore(damaged).code(), Code::kBadData) << "counted after the last";
  damaged.vectors["rates"] = std::make_shared<const std::vector<double>>(std::vector<double>{1.0, 1.0, 0.0});
  EXPECT_EQ(again.restore(damaged).code(), Code::kBadData);
  EXPECT_EQ(BufferedPolicy({}, 2).restore(policy.save()).code(), Code::kBadData);
}

}  // namespace
}  // namespace tributary
