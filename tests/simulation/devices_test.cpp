// SPDX-License-Identifier: Apache-2.0
// Devices that come, go and leave in the middle of a task, by the virtual clock.
#include <gtest/gtest.h>

#include <chrono>
#include <optional>

#include "support/fake_trainer.hpp"
#include "support/simulate.hpp"

namespace tributary {
namespace {

using namespace std::chrono_literals;
using testing::Simulated;

testing::FunctionTrainerFactory adder() {
  return testing::FunctionTrainerFactory(1, [](const TrainTask& task) -> Result<TrainOutcome> {
    auto model = std::make_shared<std::vector<float>>(*task.base);
    (*model)[0] += 1.0F;
    return TrainOutcome{.model = std::move(model), .weight = 1.0, .samples = 1, .metrics = {}};
  });
}

SimulationSettings working(std::chrono::nanoseconds time) {
  return {.compute_time = [time](ClientIndex) { return time; }};
}

// The round takes the wait of the one that was away, and its work.
TEST(SimulatedDevices, ATaskWaitsForItsDevice) {
  SimulationSettings settings = working(3s);
  settings.until_available = [](ClientIndex client, std::chrono::nanoseconds now) -> std::chrono::nanoseconds {
    return client.value == 1 && now < 10s ? 10s - now : 0ns;
  };
  const Simulated run =
      testing::simulate(testing::rounds(2), testing::make_tree({2, 0, 0}), adder(), std::move(settings));
  ASSERT_TRUE(run.status.ok()) << run.status.message();
  EXPECT_EQ(run.observer.clocks.at(1), 13s);
  EXPECT_EQ(run.observer.clocks.at(2), 16s);
  EXPECT_EQ(run.observer.model()[0], 2.0F);
  EXPECT_NEAR(run.statistics.work_seconds, 12.0, 1e-9) << "waiting is not working";
}

TEST(SimulatedDevices, ATaskWhoseDeviceLeavesFailsThenAndIsHandedOutAgain) {
  SimulationSettings settings = working(8s);
  settings.leaves_after = [](ClientIndex client, Round round, std::uint32_t attempt) -> std::optional<double> {
    return client.value == 0 && round.value == 1 && attempt < 3 ? std::optional(0.25) : std::nullopt;
  };
  const Simulated run =
      testing::simulate(testing::rounds(2), testing::make_tree({2, 0, 0}), adder(), std::move(settings));
  ASSERT_TRUE(run.status.ok()) << run.status.message();
  EXPECT_EQ(run.observer.clocks.at(1), 2s + 2s + 8s);
  EXPECT_EQ(run.observer.clocks.at(2), 20s);
  EXPECT_EQ(run.observer.notes.at(NodeEvent::Kind::kTaskFailed), 2);
  EXPECT_EQ(run.observer.model()[0], 2.0F);
  EXPECT_NEAR(run.statistics.work_seconds, 2.0 + 2.0 + 8.0 + 8.0 + 16.0, 1e-9);
}

TEST(SimulatedDevices, ADeviceThatAlwaysLeavesIsGivenUp) {
  SimulationSettings settings = working(8s);
  settings.leaves_after = [](ClientIndex client, Round, std::uint32_t) -> std::optional<double> {
    return client.value == 0 ? std::optional(0.5) : std::nullopt;
  };
  Configuration configuration = testing::rounds(2);
  configuration.default_tier.quorum = 0.5;
  configuration.default_tier.deadline_s = 60.0;
  const Simulated run = testing::simulate(configuration, testing::make_tree({2, 0, 0}), adder(), std::move(settings));
  ASSERT_TRUE(run.status.ok()) << run.status.message();
  EXPECT_EQ(run.observer.reports.at(1).state.failed, 1U);
  EXPECT_EQ(run.observer.model()[0], 2.0F);
}

// A round that closes while a device is away takes its task back; nobody has worked.
TEST(SimulatedDevices, ATaskThatIsTakenBackWhileItWaitsIsNoWork) {
  SimulationSettings settings = working(1s);
  settings.until_available = [](ClientIndex client, std::chrono::nanoseconds) -> std::chrono::nanoseconds {
    return client.value == 1 ? 1000s : 0s;
  };
  Configuration configuration = testing::rounds(1);
  configuration.default_tier.quorum = 0.5;
  configuration.default_tier.deadline_s = 5.0;
  const Simulated run = testing::simulate(configuration, testing::make_tree({2, 0, 0}), adder(), std::move(settings));
  ASSERT_TRUE(run.status.ok()) << run.status.message();
  EXPECT_EQ(run.observer.clocks.at(1), 5s);
  EXPECT_NEAR(run.statistics.work_seconds, 1.0, 1e-9);
}

TEST(SimulatedDevices, DoNotDependOnThreads) {
  const auto model_with = [](std::uint32_t threads) {
    SimulationSettings settings = working(1s);
    settings.threads = threads;
    settings.leaves_after = [](ClientIndex client, Round round, std::uint32_t attempt) -> std::optional<double> {
      return (client.value + round.value + attempt) % 3 == 0 ? std::optional(0.1) : std::nullopt;
    };
    settings.until_available = [](ClientIndex client, std::chrono::nanoseconds now) -> std::chrono::nanoseconds {
      return (now / 1s + client.value) % 4 == 0 ? 2s : 0s;
    };
    Configuration configuration = testing::rounds(30);
    configuration.default_tier.policy = "buffered";
    configuration.default_tier.buffer = 2;
    const auto factory = testing::noisy_pull(8);
    const Simulated run =
        testing::simulate(configuration, testing::make_tree({6, 0, 0, 0, 0, 0, 0}), factory, std::move(settings));
    EXPECT_TRUE(run.status.ok()) << run.status.message();
    return run.observer.model();
  };
  EXPECT_EQ(model_with(1), model_with(3));
}

}  // namespace
}  // namespace tributary
