// SPDX-License-Identifier: Apache-2.0
#include "tributary/training/training_time.hpp"
#include "tributary/base/duration.hpp"
#include "tributary/nodes/tree.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace tributary {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

TEST(SimulatedTime, ConversionsAndSumsStopAtTheEndOfTime) {
  EXPECT_EQ(to_nanoseconds(1.5), milliseconds(1500));
  EXPECT_EQ(to_nanoseconds(9.2e9), nanoseconds(9'200'000'000'000'000'000));
  for (const double seconds : {9.3e9, 1e300, std::numeric_limits<double>::infinity()}) {
    EXPECT_EQ(to_nanoseconds(seconds), kEndOfTime) << seconds;
  }
  for (const double seconds : {0.0, -1.0, -1e300, std::numeric_limits<double>::quiet_NaN()}) {
    EXPECT_EQ(to_nanoseconds(seconds), nanoseconds{0}) << seconds;
  }
  EXPECT_EQ(later_by(milliseconds(1), milliseconds(2)), milliseconds(3));
  EXPECT_EQ(later_by(kEndOfTime, nanoseconds{1}), kEndOfTime);
  EXPECT_EQ(later_by(nanoseconds{1}, kEndOfTime), kEndOfTime);
}

TEST(SimulatedTime, ATransferTakesLatencyAndBytesByBandwidth) {
  EXPECT_EQ(transfer_time({}, 1'000'000), nanoseconds{0});
  EXPECT_EQ(transfer_time({1e6, milliseconds(20)}, 500'000), milliseconds(520));
  EXPECT_EQ(transfer_time({1e-300, milliseconds(20)}, 1), kEndOfTime);
}

TEST(SimulatedTime, TrainingTakesWhatTheTaskGoesThrough) {
  Configuration configuration;
  configuration.simulation.compute_seconds_per_sample = 0.001;
  configuration.trainer.batch_size = 32;
  configuration.trainer.epochs = 3;
  EXPECT_EQ(training_time(configuration, 1.0, 100), milliseconds(300));

  // 100 samples are four batches: 32, 32, 32 and 4.
  configuration.trainer.steps = 2;
  EXPECT_EQ(training_time(configuration, 1.0, 100), milliseconds(64));
  configuration.trainer.steps = 9;
  EXPECT_EQ(training_time(configuration, 1.0, 100), milliseconds(2 * 100 + 32));
  configuration.trainer.steps = 5;
  EXPECT_EQ(training_time(configuration, 1.0, 10), milliseconds(50));
  EXPECT_EQ(training_time(configuration, 1.0, 0), milliseconds(0));

  configuration.algorithm.kind = AlgorithmConfig::Kind::kFedSgd;
  EXPECT_EQ(training_time(configuration, 1.0, 100), milliseconds(100));

  configuration.simulation.compute_seconds_per_sample = 1e300;
  EXPECT_EQ(training_time(configuration, 1.0, 100), kEndOfTime);
}

TEST(SimulatedTime, SlowDevicesTakeLongerToTrainAndToMeasure) {
  Configuration configuration;
  configuration.simulation.compute_seconds_per_sample = 0.001;
  configuration.trainer.epochs = 3;
  EXPECT_EQ(training_time(configuration, 2.5, 100), milliseconds(750));
  EXPECT_EQ(evaluation_time(configuration, 2.5, 100), milliseconds(250)) << "each sample once";
  configuration.simulation.compute_seconds_per_sample = 0.0;
  EXPECT_EQ(evaluation_time(configuration, 2.5, 100), milliseconds(0));
}

}  // namespace
}  // namespace tributary
