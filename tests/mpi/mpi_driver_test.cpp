// SPDX-License-Identifier: Apache-2.0
// What the MPI driver promises beyond the contract of all drivers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>

#include "mpi_main.hpp"
#include "support/fake_trainer.hpp"
#include "support/federation.hpp"
#include "tributary/topology/place_nodes.hpp"

namespace tributary::testing {
namespace {

struct Ran {
  Status status;
  MemoryObserver observer;
  DriverStatistics statistics;
};

// Every client moves the model by its number.
FunctionTrainerFactory trainers(std::size_t parameters) {
  return FunctionTrainerFactory(parameters, [](const TrainTask& task) -> Result<TrainOutcome> {
    auto model = std::make_shared<std::vector<float>>(*task.base);
    for (float& value : *model) { value += static_cast<float>(task.client.value); }
    return TrainOutcome{.model = std::move(model), .weight = 1.0, .samples = 1, .steps = 1, .metrics = {}};
  });
}

Ran run(const Configuration& configuration, const Tree& tree, std::size_t parameters) {
  const FunctionTrainerFactory factory = trainers(parameters);
  Ran ran{.status = {}, .observer = MemoryObserver(parameters), .statistics = {}};
  const Plan plan = make_plan(configuration, tree, factory).value();
  MpiDriver driver(session(), {.threads = 1, .silence = std::chrono::minutes(2), .place = node_placer()});
  ran.status = session().rank() == 0 ? driver.run(plan, factory, ran.observer) : driver.serve(plan, factory);
  ran.statistics = driver.statistics();
  return ran;
}

TEST(MpiDriver, AModelGoesToARankOnceHoweverManyOfItsClientsAreThere) {
  constexpr std::uint64_t kRounds = 3;
  constexpr std::size_t kParameters = 50000;
  const std::uint64_t model = kParameters * sizeof(float);

  const Ran ran = run(rounds(kRounds), make_tree(balanced_counts(64, 1)), kParameters);

  ASSERT_TRUE(ran.status.ok()) << ran.status.message();
  if (session().rank() != 0) { return; }
  ASSERT_EQ(ran.statistics.processes.size(), static_cast<std::size_t>(session().size()));
  const std::uint64_t others = static_cast<std::uint64_t>(session().size()) - 1;
  const ProcessStatistics& root = ran.statistics.processes[0];
  EXPECT_GE(root.bytes_sent, kRounds * others * model);
  EXPECT_LE(root.bytes_sent, kRounds * others * model + kRounds * 64 * 2000) << "and small letters";
  std::uint64_t updates = 0;
  for (std::size_t rank = 1; rank <= others; ++rank) {
    const ProcessStatistics& process = ran.statistics.processes[rank];
    updates += process.bytes_sent / model;
    EXPECT_GE(process.bytes_received, kRounds * model);
    EXPECT_LE(process.bytes_received, kRounds * model + kRounds * 64 * 2000);
  }
  EXPECT_LE(updates, kRounds * 64);
}

TEST(MpiDriver, RanksWithoutANodeWaitAndLeaveWithTheOthers) {
  const Ran ran = run(rounds(2), make_tree({1, 0}), 10);

  ASSERT_TRUE(ran.status.ok()) << ran.status.message();
  if (session().rank() != 0) { return; }
  EXPECT_EQ(ran.observer.reports.size(), 2U);
  std::uint32_t nodes = 0;
  for (const ProcessStatistics& process : ran.statistics.processes) {
    nodes += process.nodes;
    EXPECT_FALSE(process.lost);
    EXPECT_FALSE(process.host.empty());
  }
  EXPECT_EQ(nodes, 2U);
}

TEST(MpiDriver, ACodeThatARankDoesNotKnowIsStillAFailureThere) {
  const FunctionTrainerFactory factory = trainers(4);
  MemoryObserver observer(4);
  observer.on_published = [](const auto&, const auto&, auto&, const auto&) -> Result<bool> {
    return Status(static_cast<Code>(200), "of a later version");
  };
  const Plan plan = make_plan(rounds(3), make_tree(balanced_counts(4, 1)), factory).value();
  MpiDriver driver(session(), {.threads = 1, .silence = std::chrono::minutes(2), .place = node_placer()});

  const Status status = session().rank() == 0 ? driver.run(plan, factory, observer) : driver.serve(plan, factory);

  EXPECT_THAT(status.message(), ::testing::HasSubstr("of a later version"));
  if (session().rank() != 0) { EXPECT_EQ(static_cast<int>(status.code()), static_cast<int>(Code::kInternal)); }
}

TEST(MpiDriver, ARunThatIsAskedToStopAtOnceKeepsTheNewestPublishedModel) {
  std::atomic<bool> stop{false};
  const FunctionTrainerFactory factory = trainers(4);
  Ran ran{.status = {}, .observer = MemoryObserver(4), .statistics = {}};
  ran.observer.on_published = [&stop](const RoundReport& report, const ModelValues&, ModelEvaluator&,
                                      const DriverStatistics&) -> Result<bool> {
    if (report.round.value == 3) { stop = true; }
    return false;
  };
  const Plan plan = make_plan(rounds(1'000'000), make_tree(balanced_counts(4, 1)), factory).value();
  MpiDriver driver(session(),
                   {.threads = 1, .silence = std::chrono::minutes(2), .place = node_placer(), .stop_now = &stop});

  const Status status = session().rank() == 0 ? driver.run(plan, factory, ran.observer) : driver.serve(plan, factory);

  EXPECT_TRUE(status.ok()) << status.message();
  if (session().rank() == 0) {
    ASSERT_TRUE(ran.observer.halted_model);
    EXPECT_EQ(*ran.observer.halted_model, ran.observer.models.rbegin()->second);
    EXPECT_LT(ran.observer.order.back(), 1'000'000U);
  }
}

TEST(MpiDriver, NeedsToBeToldHowNodesArePlaced) {
  const FunctionTrainerFactory factory = noisy_pull(10);
  const Plan plan = make_plan(rounds(1), make_tree(balanced_counts(2, 1)), factory).value();
  MpiDriver driver(session(), {.threads = 1});

  const Status refused = session().rank() == 0 ? [&] {
    MemoryObserver observer(10);
    return driver.run(plan, factory, observer);
  }()
                                               : driver.serve(plan, factory);

  EXPECT_EQ(refused.code(), Code::kInvalidArgument) << refused.to_string();
}

}  // namespace
}  // namespace tributary::testing
