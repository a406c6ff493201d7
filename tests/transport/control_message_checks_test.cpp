// SPDX-License-Identifier: Apache-2.0
#include "control_message_checks.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "wire/node_message.hpp"

namespace tributary::internal {
namespace {

using ::testing::HasSubstr;

constexpr RankLetterLimits kLimits{.nodes = 10, .tiers = 2, .ranks = 4};
constexpr std::int64_t kLongest = std::numeric_limits<std::int64_t>::max();

template <typename T>
void expect_refused(const T& letter, const std::string& why) {
  const Status status = check(kLimits, letter);

  EXPECT_EQ(status.code(), Code::kProtocol);
  EXPECT_THAT(status.message(), HasSubstr(why));
}

TEST(RankLetterChecks, WhatRanksSayIsAccepted) {
  const TrafficNumbers traffic{std::numeric_limits<std::uint64_t>::max(), 2, 3, kLongest, 0};
  RankNumbers numbers;
  numbers.train_ns = kLongest;
  numbers.merge_ns_by_tier = {{0, 7}, {1, kLongest}};
  numbers.tiers = {{1, traffic}, {2, traffic}};
  EdgesLetter edges;
  edges.edges = {{1, traffic}, {9, traffic}};
  EndLetter end;
  end.lost = {1, 3};

  EXPECT_TRUE(check(kLimits, numbers).ok());
  EXPECT_TRUE(check(kLimits, edges).ok());
  EXPECT_TRUE(check(kLimits, end).ok());
  EXPECT_TRUE(check(kLimits, EndLetter()).ok());
  EXPECT_TRUE(check(kLimits, LostLetter{3, "silent"}).ok());
  EXPECT_TRUE(check(kLimits, NoteLetter{static_cast<std::uint8_t>(NodeEvent::kLastKind), 9, 1, "why"}).ok());
  EXPECT_TRUE(check(kLimits, BeatLetter{5}).ok());
}

TEST(RankLetterChecks, ANoteOfAnUnknownKindOrNodeIsRefused) {
  const auto next = static_cast<std::uint8_t>(static_cast<int>(NodeEvent::kLastKind) + 1);
  expect_refused(NoteLetter{next, 1, 1, ""}, "unknown kind " + std::to_string(next));
  expect_refused(NoteLetter{255, 1, 1, ""}, "unknown kind 255");
  expect_refused(NoteLetter{0, 10, 1, ""}, "a note about node 10 of 10");
}

TEST(RankLetterChecks, NewsOfARankThatThereIsNotAreRefused) {
  for (const std::uint32_t rank : {0U, 4U, 0xFFFFFFFFU}) {
    EndLetter end;
    end.lost = {1, rank};

    expect_refused(LostLetter{rank, ""}, "which must be between 1 and 3");
    expect_refused(end, "which must be between 1 and 3");
  }
}

TEST(RankLetterChecks, NegativeTimesAndTiersThatThereAreNotAreRefused) {
  for (std::int64_t RankNumbers::* const time :
       {&RankNumbers::train_ns, &RankNumbers::merge_ns, &RankNumbers::send_ns, &RankNumbers::wait_ns}) {
    RankNumbers numbers;
    numbers.*time = -1;
    expect_refused(numbers, "a time of -1 ns");
  }
  RankNumbers merged;
  merged.merge_ns_by_tier = {{0, -1}};
  expect_refused(merged, "a time of -1 ns");
  merged.merge_ns_by_tier = {{3, 1}};
  expect_refused(merged, "numbers of tier 3, the tree has 2");
  RankNumbers sent;
  sent.tiers = {{1, {1, 1, 1, std::numeric_limits<std::int64_t>::min(), 1}}};
  expect_refused(sent, "must not be negative");
  sent.tiers = {{0xFFFFFFFFU, {}}};
  expect_refused(sent, "numbers of tier 4294967295");
}

TEST(RankLetterChecks, EdgesThatTheTreeHasNotAreRefused) {
  for (const std::uint32_t child : {0U, 10U, 0xFFFFFFFFU}) {
    EdgesLetter edges;
    edges.edges = {{child, {}}};
    expect_refused(edges, "which must be between 1 and 9");
  }
  EdgesLetter edges;
  edges.edges = {{1, {1, 1, 1, 1, -5}}};
  expect_refused(edges, "a time of -5 ns");
}

TEST(RankLetterChecks, SumsOfTimesStayWithinTheirRange) {
  using std::chrono::nanoseconds;
  EXPECT_EQ(saturating_sum(nanoseconds(3), nanoseconds(-5)).count(), -2);
  EXPECT_EQ(saturating_sum(nanoseconds(kLongest), nanoseconds(1)), nanoseconds::max());
  EXPECT_EQ(saturating_sum(nanoseconds::min(), nanoseconds(-1)), nanoseconds::min());
  EdgeTraffic traffic{1, 1, 1, nanoseconds(kLongest), nanoseconds(kLongest)};
  traffic += traffic;
  EXPECT_EQ(traffic.send_time, nanoseconds::max());
  EXPECT_EQ(traffic.wait_time, nanoseconds::max());
}

TEST(RankLetterChecks, AFailureOfAnyNumberIsOneOfTheTable) {
  for (int number = 0; number < 256; ++number) {
    const Code code = failure_from(static_cast<std::uint8_t>(number));
    const bool known = number >= 1 && number <= static_cast<int>(Code::kInternal);

    EXPECT_EQ(static_cast<int>(code), known ? number : static_cast<int>(Code::kInternal));
    EXPECT_NE(exit_code(code), 0);
  }
}

}  // namespace
}  // namespace tributary::internal
