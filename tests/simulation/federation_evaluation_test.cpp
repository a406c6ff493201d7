// SPDX-License-Identifier: Apache-2.0
// Models are measured while the next round trains: records and checkpoints must not show it.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <limits>
#include <mutex>
#include <thread>

#include "support/fake_trainer.hpp"
#include "support/federation.hpp"
#include "support/scratch_directory.hpp"
#include "tributary/run/federation.hpp"
#include "tributary/simulation/driver.hpp"
#include "tributary/training/training_pool.hpp"

namespace tributary::testing {
namespace {

constexpr std::uint64_t kRounds = 6;

// The newest round that a client has begun to train in.
class Newest {
 public:
  void reach(std::uint64_t round) {
    {
      const std::lock_guard lock(mutex_);
      round_ = std::max(round_, round);
    }
    changed_.notify_all();
  }
  [[nodiscard]] bool wait_for(std::uint64_t round) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(20), [&] { return round_ >= round; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t round_ = 0;
};

// Every client moves each value by 1: after round r all are r, and so is the loss. One client fails in every round.
FunctionTrainerFactory counting(Newest* newest = nullptr) {
  return FunctionTrainerFactory(5, [newest](const TrainTask& task) -> Result<TrainOutcome> {
    if (newest != nullptr) { newest->reach(task.round.value); }
    if (task.client.value == 3) { return unavailable("broken"); }
    auto model = std::make_shared<std::vector<float>>(*task.base);
    for (float& value : *model) { value += 1.0F; }
    return TrainOutcome{.model = std::move(model), .weight = 1.0, .samples = 1, .steps = 1, .metrics = {}};
  });
}

Result<Evaluation> loss_of(std::span<const float> model) {
  const double value = static_cast<double>(model[0]);
  return Evaluation{.samples = 1, .metrics = {{"loss", value}, {"accuracy", value / 100.0}}};
}

Configuration configured() {
  Configuration configuration = rounds(kRounds);
  configuration.default_tier.quorum = 0.5;
  configuration.default_tier.retries = 0;
  configuration.checkpoint.keep = 100;
  return configuration;
}

class FederationEvaluation : public ::testing::Test {
 protected:
  Result<FederationOutcome> run(const Configuration& configuration, const TrainerFactory& factory,
                                FederationOptions options, std::uint32_t threads) {
    const Tree tree = make_tree(balanced_counts(8, 1));
    const Result<Plan> plan = make_plan(configuration, tree, factory);
    if (!plan.ok()) { return plan.status(); }
    Result<std::unique_ptr<Federation>> federation = Federation::open(*plan, factory, std::move(options));
    if (!federation.ok()) { return federation.status(); }
    SimulationDriver driver({.threads = threads, .simulation = configuration.simulation});
    return (*federation)->run(driver);
  }
  Result<FederationOutcome> run(const Configuration& configuration, const TrainerFactory& factory,
                                const std::string& name, std::uint32_t threads) {
    FederationOptions options;
    options.directory = scratch_ / name;
    return run(configuration, factory, std::move(options), threads);
  }
  [[nodiscard]] std::vector<Record> records(const std::string& name) const {
    return read_records(real_file_system(), scratch_ / name / "records.jsonl").value();
  }

  ScratchDirectory scratch_;
};

TEST_F(FederationEvaluation, GoesOnWhileTheNextRoundTrains) {
  Newest newest;
  FunctionTrainerFactory factory = counting(&newest);
  std::atomic<int> overlapped{0};
  factory.set_measure([&](std::span<const float> model, std::uint32_t part) -> Result<Evaluation> {
    const auto round = static_cast<std::uint64_t>(model[0]);
    if (part == 0 && round < kRounds && newest.wait_for(round + 1)) { ++overlapped; }
    return loss_of(model);
  });

  ASSERT_TRUE(run(configured(), factory, "run", 2).ok());

  EXPECT_EQ(overlapped, static_cast<int>(kRounds) - 1);
  std::uint64_t round = 0;
  for (const Record& record : records("run")) {
    if (record.event() == "round") {
      EXPECT_EQ(record.number("round"), static_cast<double>(++round));
      EXPECT_EQ(record.number("loss"), static_cast<double>(round));
    } else if (record.event() == "tier") {
      EXPECT_EQ(record.number("round"), static_cast<double>(round));
    } else if (record.event() == "fault") {
      // It happens in the round after the newest whose records are written.
      EXPECT_EQ(record.number("round"), static_cast<double>(round + 1));
    }
  }
  EXPECT_EQ(round, kRounds);
}

TEST_F(FederationEvaluation, ProgressBeginsAgainWithEveryRound) {
  std::vector<std::uint64_t> done;
  FederationOptions options;
  options.directory = scratch_ / "run";
  options.on_progress = [&done](std::uint64_t tasks, std::uint64_t of) {
    EXPECT_EQ(of, 8U);
    done.push_back(tasks);
  };
  Configuration configuration = configured();
  configuration.rounds = 2;

  ASSERT_TRUE(run(configuration, counting(), std::move(options), 1).ok());

  EXPECT_EQ(done, (std::vector<std::uint64_t>{1, 2, 3, 4, 5, 6, 7, 8, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0}));
}

TEST_F(FederationEvaluation, ARuleToStopNeedsTheResultFirst) {
  Newest newest;
  FunctionTrainerFactory factory = counting(&newest);
  factory.set_measure([](std::span<const float> model, std::uint32_t) { return loss_of(model); });
  Configuration configuration = configured();
  configuration.evaluation.stop_at_accuracy = 0.03;

  const Result<FederationOutcome> outcome = run(configuration, factory, "run", 2);

  ASSERT_TRUE(outcome.ok()) << outcome.status().to_string();
  EXPECT_EQ(outcome->kind, FederationOutcome::Kind::kStoppedAtAccuracy);
  EXPECT_EQ(outcome->round, Round{3});
}

// Measured by sleeping, so that the processor's load does not matter.
FunctionTrainerFactory slow_to_measure() {
  FunctionTrainerFactory factory = counting();
  factory.set_measure([](std::span<const float> model, std::uint32_t) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    return loss_of(model);
  });
  return factory;
}

TEST_F(FederationEvaluation, WhatARoundWaitsForIsInItsTime) {
  Configuration configuration = configured();
  configuration.rounds = 1;
  configuration.simulation.clock = SimulationConfig::Clock::kReal;

  for (const std::uint32_t threads : {1U, 2U}) {
    const std::string name = fmt::format("run-{}", threads);
    ASSERT_TRUE(run(configuration, slow_to_measure(), name, threads).ok());
    for (const Record& record : records(name)) {
      if (record.event() != "round") { continue; }
      EXPECT_GE(record.number("evaluate_seconds"), 8 * 0.01 / (threads + 1)) << "eight parts";
      EXPECT_GE(record.number("seconds"), record.number("evaluate_seconds"));
    }
  }
}

// On the real clock the driver's own thread is one more, which waits and does not train.
TEST_F(FederationEvaluation, ThreadsThatOnlyWaitDoNotShareTheMeasuring) {
  Configuration configuration = configured();
  configuration.rounds = 2;
  configuration.simulation.clock = SimulationConfig::Clock::kReal;

  ASSERT_TRUE(run(configuration, slow_to_measure(), "run", 1).ok());

  for (const Record& record : records("run")) {
    if (record.event() == "round" && record.number("round") == 1.0) {
      EXPECT_GE(record.number("evaluate_seconds"), 8 * 0.01);
    }
  }
}

// A run that is cut off after any round and resumed there leaves what an uninterrupted one leaves.
TEST_F(FederationEvaluation, EveryCheckpointFitsTheRecords) {
  FunctionTrainerFactory factory = counting();
  factory.set_measure([](std::span<const float> model, std::uint32_t) { return loss_of(model); });
  const Configuration configuration = configured();
  const Result<FederationOutcome> whole = run(configuration, factory, "whole", 3);
  ASSERT_TRUE(whole.ok()) << whole.status().to_string();
  const auto without_times = [&](const std::string& name) {
    std::vector<std::string> lines;
    for (const Record& record : records(name)) {
      if (record.event() != "round" && record.event() != "fault") { continue; }
      lines.push_back(fmt::format("{} {} {} {} {}", record.event(), record.number("round"), record.number("loss"),
                                  record.number("reported"), record.text("node")));
    }
    return lines;
  };
  for (std::uint64_t keep = 1; keep < kRounds; ++keep) {
    const std::string name = fmt::format("cut-{}", keep);
    std::filesystem::copy(scratch_ / "whole", scratch_ / name, std::filesystem::copy_options::recursive);
    for (const auto& file : std::filesystem::directory_iterator(scratch_ / name / "checkpoints")) {
      std::string number;
      for (const char c : file.path().filename().string()) {
        if (c >= '0' && c <= '9') { number += c; }
      }
      if (std::stoull(number) > keep) { std::filesystem::remove(file.path()); }
    }
    FederationOptions options;
    options.directory = scratch_ / name;
    options.resume = true;

    const Result<FederationOutcome> resumed = run(configuration, factory, std::move(options), 2);

    ASSERT_TRUE(resumed.ok()) << resumed.status().to_string();
    EXPECT_EQ(resumed->model_file, whole->model_file) << keep;
    EXPECT_EQ(without_times(name), without_times("whole")) << keep;
  }
}

TEST_F(FederationEvaluation, WhatCannotBeMeasuredEndsTheRunAndKeepsItsReason) {
  FunctionTrainerFactory factory = counting();
  factory.set_measure([](std::span<const float> model, std::uint32_t) -> Result<Evaluation> {
    if (model[0] > 2.5F) { return bad_data("no such column"); }
    return loss_of(model);
  });

  const Result<FederationOutcome> outcome = run(configured(), factory, "run", 2);

  ASSERT_FALSE(outcome.ok());
  EXPECT_NE(outcome.status().message().find("no such column"), std::string::npos);
  EXPECT_EQ(records("run").back().text("outcome"), "failed");
  std::vector<std::uint64_t> written;
  for (const Record& record : records("run")) {
    if (record.event() == "round") { written.push_back(static_cast<std::uint64_t>(record.number("round"))); }
  }
  EXPECT_EQ(written, (std::vector<std::uint64_t>{1, 2, 3})) << "the round took place, whatever its measurement says";
}

TEST_F(FederationEvaluation, WhatIsNotANumberIsWarnedOfOnceWithItsRound) {
  FunctionTrainerFactory factory = counting();
  factory.set_measure([](std::span<const float> model, std::uint32_t) -> Result<Evaluation> {
    Evaluation evaluation = loss_of(model).value();
    if (model[0] > 2.5F) { evaluation.metrics["loss"] = std::numeric_limits<double>::infinity(); }
    return evaluation;
  });

  ASSERT_TRUE(run(configured(), factory, "run", 2).ok());

  std::vector<std::string> warnings;
  for (const Record& record : records("run")) {
    if (record.event() == "warning" && record.text("about") == "held-out loss") {
      EXPECT_EQ(record.number("round"), 3.0);
      warnings.emplace_back(record.text("text"));
    }
  }
  EXPECT_EQ(warnings,
            (std::vector<std::string>{
                "in round 3 the held-out loss is inf, not a finite number, and is recorded as null: the "
                "model's outputs for some samples are not finite, or give the right class no chance at all"}));
}

// Trains nothing: does what the root's driver would do, step by step, on one thread.
class SteppingDriver final : public Driver {
 public:
  using Steps = std::function<Status(RunObserver&, TrainingPool&)>;
  explicit SteppingDriver(Steps steps) : steps_(std::move(steps)) {}

  Status run(const AgreedPlan& /*plan*/, const TrainerFactory& factory, RunObserver& observer) override {
    TRIBUTARY_ASSIGN_OR_RETURN(const std::unique_ptr<TrainingPool> pool, TrainingPool::create(factory, 0));
    return steps_(observer, *pool);
  }
  [[nodiscard]] const DriverStatistics& statistics() const noexcept override { return statistics_; }
  [[nodiscard]] std::string_view name() const noexcept override { return "stepping"; }
  [[nodiscard]] std::uint32_t threads() const noexcept override { return 1; }

 private:
  Steps steps_;
  DriverStatistics statistics_;
};

NodeEvent failure_in(std::uint64_t round) {
  return {NodeEvent::Kind::kTaskFailed, NodeId{1}, Round{round}, "broken"};
}

// Under MPI a round is completed beside the root's thread: its model must go back there to be dropped.
TEST_F(FederationEvaluation, AMeasuredModelIsHandedBackToTheDriver) {
  FunctionTrainerFactory factory = counting();
  factory.set_measure([](std::span<const float> model, std::uint32_t) { return loss_of(model); });
  const Result<Plan> plan = make_plan(configured(), make_tree(balanced_counts(8, 1)), factory);
  FederationOptions options;
  options.directory = scratch_ / "run";
  std::vector<long> holders;
  SteppingDriver driver([&holders](RunObserver& observer, TrainingPool& pool) -> Status {
    TRIBUTARY_RETURN_IF_ERROR(observer.restore().status());
    const auto first = std::make_shared<const std::vector<float>>(5, 1.0F);
    RoundReport report;
    report.committed = true;
    report.round = Round{1};
    TRIBUTARY_RETURN_IF_ERROR(observer.published(report, first, pool, {}).status());
    report.round = Round{2};
    const auto second = std::make_shared<const std::vector<float>>(5, 2.0F);
    TRIBUTARY_RETURN_IF_ERROR(observer.published(report, second, pool, {}).status());
    holders.push_back(first.use_count());
    pool.drop_released();
    holders.push_back(first.use_count());
    return unavailable("enough");
  });

  EXPECT_EQ(Federation::open(*plan, factory, std::move(options)).value()->run(driver).status().code(),
            Code::kUnavailable);
  EXPECT_EQ(holders, (std::vector<long>{2, 1}));
}

// As under MPI after SIGTERM: the run halts in the middle of its second round.
class HaltedFederation : public FederationEvaluation {
 protected:
  Result<FederationOutcome> run_and_halt(const FunctionTrainerFactory& factory, bool resume) {
    Configuration configuration = configured();
    configuration.checkpoint.every = 0;  // the halt alone saves
    const Result<Plan> plan = make_plan(configuration, make_tree(balanced_counts(8, 1)), factory);
    FederationOptions options;
    options.directory = scratch_ / "run";
    options.resume = resume;
    SteppingDriver driver([](RunObserver& observer, TrainingPool& pool) -> Status {
      TRIBUTARY_ASSIGN_OR_RETURN(const RootState start, observer.restore());
      const std::uint64_t round = start.round.value + 1;
      const auto model = std::make_shared<const std::vector<float>>(5, static_cast<float>(round));
      observer.noted(failure_in(round));
      RoundReport report;
      report.round = Round{round};
      report.version = Version{round};
      report.committed = true;
      TRIBUTARY_RETURN_IF_ERROR(observer.published(report, model, pool, {}).status());
      observer.noted(failure_in(round + 1));
      return observer.halted(model, nullptr);
    });
    return Federation::open(*plan, factory, std::move(options)).value()->run(driver);
  }
  // "round 1", "fault 2", in the order of the file.
  [[nodiscard]] std::vector<std::string> story() const {
    std::vector<std::string> lines;
    for (const Record& record : records("run")) {
      if (record.event() != "round" && record.event() != "fault") { continue; }
      lines.push_back(fmt::format("{} {}", record.event(), record.number("round")));
    }
    return lines;
  }
};

TEST_F(HaltedFederation, FaultsOfTheRoundThatIsCutOffDoNotStandTwice) {
  FunctionTrainerFactory factory = counting();
  factory.set_measure([](std::span<const float> model, std::uint32_t) { return loss_of(model); });
  ASSERT_TRUE(run_and_halt(factory, false).ok());
  EXPECT_EQ(story(), (std::vector<std::string>{"fault 1", "round 1", "fault 2"}));

  ASSERT_TRUE(run_and_halt(factory, true).ok());

  EXPECT_EQ(story(), (std::vector<std::string>{"fault 1", "round 1", "fault 2", "round 2", "fault 3"}));
}

TEST_F(HaltedFederation, AModelThatCannotBeMeasuredIsKept) {
  FunctionTrainerFactory factory = counting();
  factory.set_measure(
      [](std::span<const float>, std::uint32_t) -> Result<Evaluation> { return bad_data("no column"); });

  const Result<FederationOutcome> outcome = run_and_halt(factory, false);

  EXPECT_EQ(outcome.status().code(), Code::kBadData);
  EXPECT_EQ(story(), (std::vector<std::string>{"fault 1", "round 1", "fault 2"}));
  const auto kept =
      inspect_checkpoint(real_file_system(), scratch_ / "run/checkpoints/checkpoint-00000001.safetensors");
  ASSERT_TRUE(kept.ok()) << kept.status().message();
  EXPECT_EQ(kept->state.round, Round{1});
}

// The grid of the round's sums is far too coarse for its updates.
Status publish_wasteful(RunObserver& observer, TrainingPool& pool, std::uint64_t round) {
  RoundReport report;
  report.round = Round{round};
  report.version = Version{round};
  report.committed = true;
  report.weight = Weight::from(1.0).value();
  report.weight_bound = Weight::from(1000.0).value();
  report.resolution = 1e-6;
  return observer.published(report, std::make_shared<const std::vector<float>>(5, 1.0F), pool, {}).status();
}

TEST_F(FederationEvaluation, WarningsStandOnceWhateverIsTakenBackOrResumed) {
  Configuration configuration = configured();
  configuration.checkpoint.every = 2;
  FunctionTrainerFactory factory = counting();
  const Result<Plan> plan = make_plan(configuration, make_tree(balanced_counts(8, 1)), factory);
  const auto run_steps = [&](bool resume, SteppingDriver::Steps steps) {
    FederationOptions options;
    options.directory = scratch_ / "run";
    options.resume = resume;
    SteppingDriver driver(std::move(steps));
    return Federation::open(*plan, factory, std::move(options)).value()->run(driver).status();
  };
  const auto rounds_of_warnings = [&] {
    std::vector<double> found;
    for (const Record& record : records("run")) {
      if (record.event() == "warning" && record.text("about") == "weight") { found.push_back(record.number("round")); }
    }
    return found;
  };

  // The root dies after its first round, which was not saved.
  const Status begun = run_steps(false, [](RunObserver& observer, TrainingPool& pool) -> Status {
    TRIBUTARY_RETURN_IF_ERROR(observer.restore().status());
    TRIBUTARY_RETURN_IF_ERROR(publish_wasteful(observer, pool, 1));
    TRIBUTARY_RETURN_IF_ERROR(observer.restore().status());
    TRIBUTARY_RETURN_IF_ERROR(publish_wasteful(observer, pool, 1));
    TRIBUTARY_RETURN_IF_ERROR(publish_wasteful(observer, pool, 2));
    return unavailable("the power is gone");
  });
  EXPECT_EQ(begun.code(), Code::kUnavailable) << begun.message();
  EXPECT_EQ(rounds_of_warnings(), std::vector<double>{1.0});

  const Status resumed = run_steps(true, [](RunObserver& observer, TrainingPool& pool) -> Status {
    TRIBUTARY_RETURN_IF_ERROR(observer.restore().status());
    TRIBUTARY_RETURN_IF_ERROR(publish_wasteful(observer, pool, 3));
    return unavailable("again");
  });
  EXPECT_EQ(resumed.code(), Code::kUnavailable) << resumed.message();
  EXPECT_EQ(rounds_of_warnings(), std::vector<double>{1.0});
}

}  // namespace
}  // namespace tributary::testing
