// SPDX-License-Identifier: Apache-2.0
#include "tributary/nodes/member_ledger.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string_view>
#include <vector>

namespace tributary {
namespace {

constexpr NodeId kClient{5};

// By a client of whose increments those from `first` to 9 are undecided.
std::vector<SequenceFate> asked(MemberLedger& ledger, std::uint64_t first,
                                const std::vector<std::uint64_t>& sequences) {
  std::vector<std::uint64_t> undecided;
  for (std::uint64_t sequence = first; sequence < 10; ++sequence) { undecided.push_back(sequence); }
  return ledger.settle({kClient, 0, undecided}, sequences);
}

TEST(MemberLedger, CountsForGoodOnceTheVersionIsDurable) {
  MemberLedger ledger;
  ledger.count(std::vector<Member>{{kClient, 1}}, Version{3});
  ledger.count(std::vector<Member>{{kClient, 2}}, Version{4});

  EXPECT_EQ(asked(ledger, 1, {1, 2}), (std::vector<SequenceFate>{{1, Fate::kHeld}, {2, Fate::kHeld}}));
  ledger.make_durable(Version{3});
  EXPECT_EQ(asked(ledger, 1, {1, 2}), (std::vector<SequenceFate>{{1, Fate::kCounted}, {2, Fate::kHeld}}));
}

TEST(MemberLedger, NeverCountsWhatItHasGivenUp) {
  MemberLedger ledger;
  const std::vector<Member> late{{kClient, 1}};
  ASSERT_TRUE(ledger.check(late).ok());

  EXPECT_EQ(asked(ledger, 1, {1}), (std::vector<SequenceFate>{{1, Fate::kDropped}}));
  EXPECT_THAT(ledger.check(late).message(), ::testing::HasSubstr("has been given up"));
  EXPECT_TRUE(ledger.check(std::vector<Member>{{kClient, 2}}).ok());
  EXPECT_TRUE(ledger.check(std::vector<Member>{{NodeId{6}, 1}}).ok());
}

TEST(MemberLedger, CountsNothingTwice) {
  MemberLedger ledger;
  const std::vector<Member> members{{kClient, 1}};
  ledger.count(members, Version{1});
  EXPECT_THAT(ledger.check(members).message(), ::testing::HasSubstr("has been counted before"));
  ledger.make_durable(Version{1});
  EXPECT_FALSE(ledger.check(members).ok());
}

// A question may be repeated, be late, and be about a part of what is undecided.
TEST(MemberLedger, ForgetsOnlyWhatTheClientHasHeardOf) {
  MemberLedger ledger;
  ledger.count(std::vector<Member>{{kClient, 1}, {kClient, 2}}, Version{1});
  EXPECT_EQ(asked(ledger, 1, {2}), (std::vector<SequenceFate>{{2, Fate::kHeld}}));
  EXPECT_EQ(asked(ledger, 1, {1}), (std::vector<SequenceFate>{{1, Fate::kHeld}}));
  EXPECT_EQ(asked(ledger, 2, {2}), (std::vector<SequenceFate>{{2, Fate::kHeld}}));

  EXPECT_TRUE(asked(ledger, 1, {1}).empty()) << "an old question, answered long ago";
  EXPECT_THAT(ledger.check(std::vector<Member>{{kClient, 1}}).message(), ::testing::HasSubstr("has lost its state"));
}

TEST(MemberLedger, GoesOnFromWhatWasSavedWithoutWhatCameAfter) {
  MemberLedger ledger;
  ledger.set_epoch(77);
  ledger.count(std::vector<Member>{{kClient, 1}, {NodeId{9}, 4}}, Version{1});
  asked(ledger, 1, {1, 2});
  const Snapshot saved = ledger.save();
  ledger.count(std::vector<Member>{{kClient, 3}}, Version{2});

  MemberLedger restored;
  ASSERT_TRUE(restored.restore(saved).ok());

  EXPECT_EQ(restored.epoch(), 77U);
  EXPECT_EQ(asked(restored, 1, {1, 2, 3}),
            (std::vector<SequenceFate>{{1, Fate::kCounted}, {2, Fate::kDropped}, {3, Fate::kDropped}}));
  EXPECT_FALSE(restored.check(std::vector<Member>{{NodeId{9}, 4}}).ok());
}

TEST(MemberLedger, AgreesWithAClientThatKnowsJustWhatWasCounted) {
  MemberLedger ledger;
  using List = std::vector<std::uint64_t>;
  const auto agrees = [&ledger](std::uint64_t settled, const List& undecided) {
    return ledger.agrees({kClient, settled, undecided});
  };
  EXPECT_TRUE(agrees(0, {}));
  EXPECT_TRUE(agrees(0, {4}));
  EXPECT_FALSE(agrees(4, {})) << "it has settled what this root has never counted";
  ledger.count(std::vector<Member>{{kClient, 4}, {kClient, 6}}, Version{1});
  EXPECT_TRUE(agrees(0, {4, 5, 6}));
  EXPECT_TRUE(agrees(4, {5, 6}));
  EXPECT_TRUE(agrees(6, {7}));
  EXPECT_FALSE(agrees(0, {})) << "its state is lost";
  EXPECT_FALSE(agrees(4, {})) << "its state is an older one";
  EXPECT_FALSE(agrees(7, {})) << "its state is a newer one";

  const List later{7, 8};
  ledger.settle({kClient, 6, later}, later);
  EXPECT_TRUE(agrees(6, later)) << "also of what is forgotten in detail";
  EXPECT_FALSE(agrees(4, later));
  MemberLedger restored;
  ledger.set_epoch(1);
  ASSERT_TRUE(restored.restore(ledger.save()).ok());
  EXPECT_TRUE(restored.agrees({kClient, 6, later}));
  EXPECT_FALSE(restored.agrees({kClient, 0, {}}));
}

TEST(MemberLedger, TakesNoNumbersThatACheckpointCannotHold) {
  const MemberLedger ledger;
  EXPECT_FALSE(ledger.check(std::vector<Member>{{kClient, 0}}).ok());
  EXPECT_FALSE(ledger.check(std::vector<Member>{{kClient, std::uint64_t{1} << 53U}}).ok());
}

TEST(MemberLedger, RefusesWhatItDidNotSave) {
  const auto with = [](std::vector<double> words) {
    Snapshot snapshot;
    snapshot.texts.emplace("epoch", "1");
    snapshot.vectors["members"] = std::make_shared<const std::vector<double>>(std::move(words));
    return snapshot;
  };
  MemberLedger ledger;
  EXPECT_TRUE(ledger.restore(with({5, 1, 0, 2, 1, 2})).ok());
  for (const std::vector<double>& words : std::vector<std::vector<double>>{{5},
                                                                           {5, 1, 0},
                                                                           {5, 1, 0, 3, 1, 2},
                                                                           {-1, 1, 0, 0},
                                                                           {5, 0.5, 0, 0},
                                                                           {5, 1, 0, 1, 1e300},
                                                                           {0x1p33, 1, 0, 0},
                                                                           {5, 1, 0, -1},
                                                                           {5, 1, -2, 0}}) {
    EXPECT_EQ(ledger.restore(with(words)).code(), Code::kBadData);
  }
  EXPECT_EQ(ledger.restore({}).code(), Code::kBadData);
  for (const std::string_view epoch : {"", "0", "x", "12 ", "99999999999999999999999"}) {
    Snapshot odd;
    odd.texts.emplace("epoch", epoch);
    EXPECT_EQ(ledger.restore(odd).code(), Code::kBadData) << epoch;
  }
}

}  // namespace
}  // namespace tributary
