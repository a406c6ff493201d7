// SPDX-License-Identifier: Apache-2.0
#include "tributary/aggregators/synchronous.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <set>

namespace tributary {
namespace {

RoundState state(std::uint32_t asked, std::uint32_t target, std::uint32_t quorum, std::uint32_t reported,
                 std::uint32_t failed = 0, std::uint32_t lost = 0) {
  return {.asked = asked, .target = target, .quorum = quorum, .reported = reported, .failed = failed, .lost = lost};
}

// So many different children are asked, in ascending order.
void expect_distinct(const Cohort& cohort, std::size_t asked, std::uint32_t children) {
  ASSERT_EQ(cohort.members.size(), asked);
  EXPECT_TRUE(std::is_sorted(cohort.members.begin(), cohort.members.end()));
  EXPECT_EQ(std::set<std::uint32_t>(cohort.members.begin(), cohort.members.end()).size(), asked);
  EXPECT_LT(cohort.members.back(), children);
}

TEST(SynchronousPolicy, AsksEverybodyUnlessToldOtherwise) {
  const Cohort cohort = SynchronousPolicy(PolicySettings{}).choose(5, 1);

  EXPECT_EQ(cohort.members, (std::vector<std::uint32_t>{0, 1, 2, 3, 4}));
  EXPECT_EQ(cohort.target, 5U);
  EXPECT_EQ(cohort.quorum, 5U);
  EXPECT_EQ(cohort.deadline.count(), 0);
}

TEST(SynchronousPolicy, DeadlinesBeyondTheClockNeitherVanishNorWrapAround) {
  const auto cohort = [](double deadline_s) {
    PolicySettings tier;
    tier.deadline_s = deadline_s;
    return SynchronousPolicy(tier).choose(5, 1);
  };
  EXPECT_EQ(cohort(1.5).deadline, std::chrono::milliseconds(1500));
  EXPECT_EQ(cohort(1.5).hard_deadline, std::chrono::milliseconds(3000));
  EXPECT_EQ(cohort(1e-10).deadline, std::chrono::nanoseconds(1));
  for (const double huge : {6e9, 1e300}) {
    EXPECT_GT(cohort(huge).deadline, std::chrono::hours(24 * 365 * 100)) << huge;
    EXPECT_EQ(cohort(huge).hard_deadline, std::chrono::nanoseconds::max()) << huge;
  }
}

TEST(SynchronousPolicy, SizesCohortsByShareOrNumber) {
  PolicySettings tier;
  tier.cohort_fraction = 0.3;
  EXPECT_EQ(SynchronousPolicy(tier).choose(10, 1).members.size(), 3U);
  EXPECT_EQ(SynchronousPolicy(tier).choose(1, 1).members.size(), 1U);
  tier.cohort_fraction.reset();
  tier.cohort_count = 4;
  tier.over_selection = 1.3;
  const Cohort cohort = SynchronousPolicy(tier).choose(10, 1);
  EXPECT_EQ(cohort.members.size(), 6U);
  EXPECT_EQ(cohort.target, 4U);
  EXPECT_EQ(SynchronousPolicy(tier).choose(3, 1).members.size(), 3U);
  EXPECT_EQ(SynchronousPolicy(tier).largest_target(3), 3U);
}

// 4,000 draws of 10 out of 100: each client is drawn 400 times with a standard deviation of 19; a deviation of 6 of
// them happens to one of 100 clients once in about 5 million runs.
TEST(SynchronousPolicy, DrawsEveryChildEquallyOften) {
  PolicySettings tier;
  tier.cohort_count = 10;
  const SynchronousPolicy policy(tier);
  std::map<std::uint32_t, int> drawn;

  for (std::uint64_t seed = 0; seed < 4000; ++seed) {
    const Cohort cohort = policy.choose(100, seed);
    expect_distinct(cohort, 10, 100);
    for (const std::uint32_t member : cohort.members) { ++drawn[member]; }
  }

  for (std::uint32_t child = 0; child < 100; ++child) { EXPECT_NEAR(drawn[child], 400, 6 * 19) << child; }
}

TEST(SynchronousPolicy, AsksAsManyAsItSaysWhateverTheSizes) {
  for (std::uint32_t children = 1; children <= 40; ++children) {
    for (std::uint32_t count = 1; count <= 45; count += 4) {
      for (const double over : {1.0, 1.3, 2.0}) {
        PolicySettings tier;
        tier.cohort_count = count;
        tier.over_selection = over;
        const Cohort cohort = SynchronousPolicy(tier).choose(children, children * 100 + count);
        const std::uint32_t target = std::min(count, children);
        // Rounded up, and less a hair: 10 x 1.3 must not become 14.
        const auto asked = static_cast<std::size_t>(std::ceil(target * over - 1e-9));

        EXPECT_EQ(cohort.target, target) << count << " of " << children;
        ASSERT_NO_FATAL_FAILURE(expect_distinct(cohort, std::min<std::size_t>(asked, children), children))
            << count << " x " << over << " of " << children;
      }
    }
  }
}

TEST(SynchronousPolicy, TheSameSeedDrawsTheSameCohortAtTheCohortsCost) {
  PolicySettings tier;
  tier.cohort_count = 1000;
  const SynchronousPolicy policy(tier);

  for (const std::uint64_t seed : {9U, 10U}) {
    expect_distinct(policy.choose(4'000'000'000U, seed), 1000, 4'000'000'000U);
  }
  EXPECT_EQ(policy.choose(4'000'000'000U, 9).members, policy.choose(4'000'000'000U, 9).members);
  EXPECT_NE(policy.choose(4'000'000'000U, 9).members, policy.choose(4'000'000'000U, 10).members);
}

TEST(SynchronousPolicy, WaitsForTheTargetAndThenCommits) {
  const SynchronousPolicy policy(PolicySettings{});

  EXPECT_EQ(policy.decide(state(5, 5, 5, 4)), Decision::kWait);
  EXPECT_EQ(policy.decide(state(5, 5, 5, 5)), Decision::kCommit);
  EXPECT_EQ(policy.decide(state(7, 5, 5, 5)), Decision::kCommit);
}

TEST(SynchronousPolicy, GivesUpAtOnceWhenTheQuorumIsOutOfReach) {
  const SynchronousPolicy policy(PolicySettings{});

  EXPECT_EQ(policy.decide(state(5, 5, 5, 3, 1)), Decision::kAbandon);
  EXPECT_EQ(policy.decide(state(5, 5, 5, 3, 0, 1)), Decision::kAbandon);
  EXPECT_EQ(policy.decide(state(7, 5, 5, 3, 1)), Decision::kWait);
}

TEST(SynchronousPolicy, TheQuorumClosesTheRoundFromTheDeadlineOn) {
  const SynchronousPolicy policy(PolicySettings{});
  RoundState late = state(5, 5, 3, 3);
  EXPECT_EQ(policy.decide(late), Decision::kWait);
  late.deadline_passed = true;
  EXPECT_EQ(policy.decide(late), Decision::kCommit);
  late.reported = 2;
  EXPECT_EQ(policy.decide(late), Decision::kWait);
  late.hard_deadline_passed = true;
  EXPECT_EQ(policy.decide(late), Decision::kAbandon);
}

TEST(SynchronousPolicy, TheQuorumIsEnoughWhenNobodyElseWillReport) {
  const SynchronousPolicy policy(PolicySettings{});

  EXPECT_EQ(policy.decide(state(5, 5, 3, 3, 1, 1)), Decision::kCommit);
}

}  // namespace
}  // namespace tributary
