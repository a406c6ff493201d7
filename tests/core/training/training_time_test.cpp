// SPDX-License-Identifier: Apache-2.0
#include "tributary/training/training_time.hpp"
#include "tributary/base/duration.hpp"
#include "tributary/nodes/tree.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

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
  EXPECT_EQ(training_time(configuration, ClientIndex{7}, 100), milliseconds(300));

  // 100 samples are four batches: 32, 32, 32 and 4.
  configuration.trainer.steps = 2;
  EXPECT_EQ(training_time(configuration, ClientIndex{7}, 100), milliseconds(64));
  configuration.trainer.steps = 9;
  EXPECT_EQ(training_time(configuration, ClientIndex{7}, 100), milliseconds(2 * 100 + 32));
  configuration.trainer.steps = 5;
  EXPECT_EQ(training_time(configuration, ClientIndex{7}, 10), milliseconds(50));
  EXPECT_EQ(training_time(configuration, ClientIndex{7}, 0), milliseconds(0));

  configuration.algorithm.kind = AlgorithmConfig::Kind::kFedSgd;
  EXPECT_EQ(training_time(configuration, ClientIndex{7}, 100), milliseconds(100));

  configuration.simulation.compute_seconds_per_sample = 1e300;
  EXPECT_EQ(training_time(configuration, ClientIndex{7}, 100), kEndOfTime);
}

using Slowness = SimulationConfig::Devices::Slowness;

std::vector<double> slownesses(const Configuration& configuration) {
  std::vector<double> all;
  for (std::uint32_t client = 0; client < 20'000; ++client) {
    all.push_back(slowness(configuration, ClientIndex{client}));
  }
  std::ranges::sort(all);
  return all;
}

TEST(Slowness, IsOneForEqualDevices) {
  const std::vector<double> all = slownesses({});

  EXPECT_EQ(all.front(), 1.0);
  EXPECT_EQ(all.back(), 1.0);
}

TEST(Slowness, OfUniformDevicesFillsItsRange) {
  Configuration configuration;
  configuration.simulation.devices = {.slowness = Slowness::kUniform, .slowest = 9.0};
  const std::vector<double> all = slownesses(configuration);

  EXPECT_GE(all.front(), 1.0);
  EXPECT_LE(all.back(), 9.0);
  EXPECT_NEAR(all[10'000], 5.0, 0.15);
  EXPECT_NEAR(all[2'000], 1.8, 0.1);
}

TEST(Slowness, OfLogNormalDevicesHasMedianOneAndItsSpread) {
  Configuration configuration;
  configuration.simulation.devices = {.slowness = Slowness::kLogNormal, .sigma = 0.8};
  const std::vector<double> all = slownesses(configuration);

  EXPECT_NEAR(all[10'000], 1.0, 0.03);
  EXPECT_NEAR(std::log(all[16'827]), 0.8, 0.03) << "one standard deviation above the median: 84.1 %";
}

TEST(Slowness, OfParetoDevicesHasAHeavyTailThatEnds) {
  Configuration configuration;
  configuration.simulation.devices = {.slowness = Slowness::kPareto, .alpha = 1.0};
  const std::vector<double> all = slownesses(configuration);

  EXPECT_GE(all.front(), 1.0);
  EXPECT_EQ(all.back(), 1000.0);
  EXPECT_NEAR(all[18'000], 10.0, 1.0) << "one in ten is slower than 10^(1/alpha)";
}

TEST(Slowness, StaysTheSameForAClientAndChangesWithTheSeed) {
  Configuration configuration;
  configuration.simulation.devices.slowness = Slowness::kLogNormal;
  configuration.simulation.compute_seconds_per_sample = 0.001;
  const double first = slowness(configuration, ClientIndex{3});
  EXPECT_EQ(slowness(configuration, ClientIndex{3}), first);
  EXPECT_NE(slowness(configuration, ClientIndex{4}), first);
  EXPECT_EQ(training_time(configuration, ClientIndex{3}, 100), to_nanoseconds(0.001 * first * 100.0));

  configuration.seed = 2;
  EXPECT_NE(slowness(configuration, ClientIndex{3}), first);
}

}  // namespace
}  // namespace tributary
