// SPDX-License-Identifier: Apache-2.0
#include "tributary/run/time_shares.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

namespace tributary {
namespace {

Record round_of(double seconds, double train, double merge, double evaluate, double checkpoint) {
  Record round("round");
  round.set("seconds", seconds).set("train_seconds", train).set("merge_seconds", merge);
  return round.set("evaluate_seconds", evaluate).set("checkpoint_seconds", checkpoint);
}

TEST(TimeShares, TrainingIsDividedByThreadsAndTheRestIsOther) {
  TimeAccount account;
  account.set_run(Record("run").set("threads", 2));
  account.add_round(round_of(10.0, 12.0, 1.0, 0.5, 0.25));
  account.add_round(round_of(10.0, 16.0, 1.0, 0.5, 0.25));

  const TimeShares shares = account.shares();

  EXPECT_EQ(account.seconds(), 20.0);
  EXPECT_DOUBLE_EQ(shares.training, 14.0);
  EXPECT_DOUBLE_EQ(shares.merging, 2.0);
  EXPECT_DOUBLE_EQ(shares.evaluation, 1.0);
  EXPECT_DOUBLE_EQ(shares.checkpoints, 0.5);
  EXPECT_DOUBLE_EQ(shares.other, 2.5);
}

TEST(TimeShares, SeveralProcessesShareTrainingAndMerging) {
  TimeAccount account;
  account.add_round(round_of(10.0, 32.0, 4.0, 0.0, 0.0));
  for (int process = 0; process < 4; ++process) { account.add_process(Record("where").set("threads", 1)); }

  const TimeShares shares = account.shares();

  EXPECT_DOUBLE_EQ(shares.training, 8.0);
  EXPECT_DOUBLE_EQ(shares.merging, 1.0);
  EXPECT_DOUBLE_EQ(shares.other, 1.0);
}

TEST(TimeShares, UntilItsProcessesAreKnownARunIsDividedByWhatItBeganWith) {
  TimeAccount account;
  account.set_run(Record("run").set("threads", 2).set("processes", 4));
  account.add_round(round_of(10.0, 64.0, 4.0, 0.0, 0.0));

  EXPECT_DOUBLE_EQ(account.shares().training, 8.0);
  EXPECT_DOUBLE_EQ(account.shares().merging, 1.0);
}

TEST(TimeShares, NothingIsNegativeAndAllTogetherIsTheTimeThatPassed) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const Record& round : {round_of(2.0, 9.0, -3.0, nan, 0.5), round_of(1.0, 1.0, 5.0, 5.0, 5.0),
                              round_of(-1.0, 1.0, 1.0, 1.0, 1.0), Record("round")}) {
    const TimeShares shares = TimeAccount().shares_of(round);

    for (const double share : {shares.training, shares.merging, shares.evaluation, shares.checkpoints, shares.other}) {
      EXPECT_GE(share, 0.0);
    }
    EXPECT_DOUBLE_EQ(shares.training + shares.merging + shares.evaluation + shares.checkpoints + shares.other,
                     std::max(0.0, round.number("seconds")));
  }
}

}  // namespace
}  // namespace tributary
