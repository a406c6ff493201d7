// SPDX-License-Identifier: Apache-2.0
// What a run leaves on disk when it is killed, loses power or fails at any single operation, and what a resume makes of
// it: the files lie in memory, so that every moment can be tried.
#include <gtest/gtest.h>

#include <limits>
#include <map>
#include <string>
#include <vector>

#include "support/fake_trainer.hpp"
#include "support/faulty_file_system.hpp"
#include "support/federation.hpp"
#include "support/scratch_directory.hpp"
#include "tributary/data/model_file.hpp"
#include "tributary/run/federation.hpp"
#include "tributary/simulation/driver.hpp"

namespace tributary::testing {
namespace {

constexpr std::size_t kParameters = 6;
constexpr std::uint64_t kRounds = 5;

// A sink that remembers, and fails on demand.
class Listener final : public RecordSink {
 public:
  Status write(const Record& record) override {
    written.push_back(record);
    return {};
  }
  Status replay(const Record& record) override {
    replayed.push_back(record);
    return replay_error;
  }
  Status flush() override { return {}; }

  [[nodiscard]] std::vector<std::string> warnings() const {
    std::vector<std::string> texts;
    for (const Record& record : written) {
      if (record.event() == "warning") { texts.emplace_back(record.text("text")); }
    }
    return texts;
  }

  std::vector<Record> written;
  std::vector<Record> replayed;
  Status replay_error;
};

Configuration five_rounds() {
  Configuration configuration = rounds(kRounds);
  configuration.checkpoint.keep = 1;
  configuration.data.source = DataConfig::Source::kNone;
  return configuration;
}

struct World {
  explicit World(Configuration wanted = five_rounds())
      : configuration(std::move(wanted)), plan(make_plan(configuration, make_tree(balanced_counts(2, 2)), factory)) {}

  Result<FederationOutcome> run(FileSystem& files, bool resume) {
    listener = Listener();
    return run_with(files, resume, listener);
  }
  Result<FederationOutcome> run_with(FileSystem& files, bool resume, RecordSink& sink) {
    FederationOptions options;
    options.directory = directory;
    options.resume = resume;
    options.files = &files;
    options.sinks.push_back(&sink);
    options.stop = &stop;
    TRIBUTARY_ASSIGN_OR_RETURN(const std::unique_ptr<Federation> federation,
                               Federation::open(*plan, factory, std::move(options)));
    SimulationDriver driver({.threads = 1, .simulation = configuration.simulation});
    return federation->run(driver);
  }
  [[nodiscard]] std::vector<Record> records(FileSystem& files, std::string_view event) const {
    std::vector<Record> found;
    const Result<std::vector<Record>> all = read_records(files, directory / "records.jsonl");
    for (const Record& record : all.ok() ? *all : std::vector<Record>()) {
      if (record.event() == event) { found.push_back(record); }
    }
    return found;
  }
  [[nodiscard]] std::vector<float> model(FileSystem& files) const {
    return read_model(files, directory / "model.safetensors", plan->spec()).value();
  }

  std::filesystem::path directory = "/run";
  Configuration configuration;
  FunctionTrainerFactory factory = noisy_pull(kParameters);
  Result<Plan> plan;
  Listener listener;
  std::atomic<bool> stop{false};
};

std::string content(FileSystem& files, const std::filesystem::path& path) {
  const auto bytes = read_file(files, path, 1U << 24U).value();
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// All that a run has left, by path.
std::map<std::string, std::string> everything(FaultyFileSystem& files) {
  std::map<std::string, std::string> found;
  for (const std::string& path : files.paths()) { found[path] = content(files, path); }
  return found;
}

// Kills a run at its operation `moment`, resumes, and looks at what there is. False: it ended before that.
bool dies_and_is_resumed(std::size_t moment, const std::function<void(FaultyFileSystem&)>& death,
                         const std::vector<float>& expected, const Configuration& configuration = five_rounds()) {
  World world(configuration);
  FaultyFileSystem files;
  files.fail_at(moment, FaultyFileSystem::After::kDead);
  const bool finished = world.run(files, false).ok();
  death(files);
  const bool begun = files.kind("/run/configuration.yaml").value() != FileSystem::Kind::kNothing;

  const Result<FederationOutcome> outcome = world.run(files, begun);

  EXPECT_TRUE(outcome.ok()) << moment << ": " << outcome.status().message();
  if (!outcome.ok()) { return !finished; }
  EXPECT_EQ(world.model(files), expected) << moment;
  std::vector<std::uint64_t> numbers;
  for (const Record& record : world.records(files, "round")) {
    numbers.push_back(static_cast<std::uint64_t>(record.number("round")));
  }
  EXPECT_EQ(numbers, (std::vector<std::uint64_t>{1, 2, 3, 4, 5})) << moment;
  EXPECT_EQ(read_records(files, "/run/records.jsonl")->back().event(), "end") << moment;
  std::vector<std::string> left = files.paths();
  // Who dies between writing the last checkpoint and removing the one before leaves both.
  std::erase(left, "/run/checkpoints/checkpoint-00000004.safetensors");
  EXPECT_EQ(left, (std::vector<std::string>{"/run/checkpoints/checkpoint-00000005.safetensors",
                                            "/run/configuration.yaml", "/run/model.safetensors", "/run/records.jsonl"}))
      << moment;
  return !finished;
}

std::vector<float> undisturbed(const Configuration& configuration = five_rounds()) {
  World world(configuration);
  FaultyFileSystem files;
  EXPECT_TRUE(world.run(files, false).ok());
  return world.model(files);
}

TEST(FederationFiles, KilledAtEveryOperationItGoesOnToTheSameModelAndLeavesNoTemporaries) {
  const std::vector<float> expected = undisturbed();
  std::size_t moment = 0;
  while (dies_and_is_resumed(moment, [](FaultyFileSystem& files) { files.kill(); }, expected)) { ++moment; }
  EXPECT_GT(moment, 60U) << "the run has so many operations on files";
}

// Its state is in the checkpoint, of the same moment as the model.
TEST(FederationFiles, KilledAtEveryOperationAServerOptimizerGoesOnWhereItWas) {
  std::vector<std::vector<float>> models;
  for (const char* const kind : {"sgd", "fedavgm", "fedyogi"}) {
    Configuration configuration = five_rounds();
    configuration.server_optimizer.kind = kind;
    const std::vector<float> expected = undisturbed(configuration);
    std::size_t moment = 0;
    const auto kill = [](FaultyFileSystem& files) { files.kill(); };
    while (dies_and_is_resumed(moment, kill, expected, configuration)) { ++moment; }
    EXPECT_GT(moment, 60U);
    models.push_back(expected);
  }
  EXPECT_NE(models[0], models[1]);
  EXPECT_NE(models[0], models[2]);
}

// As one whose model is not finite: the one before it is as good as ever.
TEST(FederationFiles, ACheckpointWhoseStateCannotBeUsedIsPassedOver) {
  Configuration configuration = five_rounds();
  configuration.server_optimizer.kind = "fedyogi";
  configuration.checkpoint.keep = 2;
  World world(configuration);
  FaultyFileSystem files;
  ASSERT_TRUE(world.run(files, false).ok());
  const std::vector<float> expected = world.model(files);
  CheckpointStore store(files, "/run/checkpoints", 2);
  for (const bool lost : {true, false}) {
    const Checkpoint newest = store.load_latest(world.plan->spec()).value();
    CheckpointState state = newest.state;
    if (lost) {
      state.snapshot = {};
    } else {
      state.snapshot.vectors["optimizer/v"] = std::make_shared<const std::vector<double>>(kParameters, -1.0);
    }
    ASSERT_TRUE(store.save(world.plan->spec(), newest.values, state).ok());
    ASSERT_TRUE(files.remove("/run/model.safetensors").ok());

    const Result<FederationOutcome> outcome = world.run(files, true);

    ASSERT_TRUE(outcome.ok()) << outcome.status().message();
    EXPECT_EQ(world.model(files), expected);
    const std::vector<std::string> warnings = world.listener.warnings();
    ASSERT_FALSE(warnings.empty());
    EXPECT_NE(warnings[0].find(lost ? "m is missing in the state" : "v of the server optimizer is -1 at index 0"),
              std::string::npos)
        << warnings[0];
  }
}

TEST(FederationFiles, APowerCutAtEveryOperationLosesNoRunEither) {
  const std::vector<float> expected = undisturbed();
  for (const auto names : {FaultyFileSystem::Names::kForgotten, FaultyFileSystem::Names::kKept}) {
    const auto cut = [names](FaultyFileSystem& files) { files.power_cut(names); };
    std::size_t moment = 0;
    while (dies_and_is_resumed(moment, cut, expected)) { ++moment; }
  }
}

TEST(FederationFiles, AnOperationThatFailsOnceNeverLosesAnEarlierCheckpoint) {
  const std::vector<float> expected = undisturbed();
  for (std::size_t moment = 0;; ++moment) {
    World world;
    FaultyFileSystem files;
    files.fail_at(moment, FaultyFileSystem::After::kGoesOn);
    const Result<FederationOutcome> first = world.run(files, false);
    const bool reached = files.operations() > moment;
    files.never_fail();
    if (!first.ok()) {
      EXPECT_EQ(first.status().code(), Code::kIo) << moment << ": " << first.status().message();
      const bool begun = files.kind("/run/configuration.yaml").value() != FileSystem::Kind::kNothing;
      const Result<FederationOutcome> second = world.run(files, begun);
      ASSERT_TRUE(second.ok()) << moment << ": " << second.status().message();
    }
    EXPECT_EQ(world.model(files), expected) << moment;
    if (!reached) { break; }
  }
}

TEST(FederationFiles, ARefusedResumeChangesNothing) {
  World world;
  FaultyFileSystem files;
  ASSERT_TRUE(world.run(files, false).ok());
  // Lines that were written after the checkpoint, as after a kill.
  const auto line =
      std::as_bytes(std::span(std::string_view("{\"schema\":1,\"event\":\"warning\",\"text\":\"kept\"}\n")));
  ASSERT_TRUE(files.append("/run/records.jsonl").value()->write({&line, 1}).ok());
  const auto before = everything(files);

  Listener deaf;
  deaf.replay_error = io_error("cannot write the table of rounds");
  EXPECT_EQ(world.run_with(files, true, deaf).status(), deaf.replay_error);
  EXPECT_EQ(everything(files), before);

  World other;
  other.configuration.rounds = 9;
  other.plan = make_plan(other.configuration, make_tree(balanced_counts(2, 2)), other.factory);
  const Status refused = other.run(files, true).status();
  EXPECT_EQ(refused.code(), Code::kInvalidArgument);
  EXPECT_NE(refused.message().find("Changed: rounds is 9, it was 5."), std::string::npos) << refused.message();
  EXPECT_EQ(everything(files), before);
}

TEST(FederationFiles, AResumeBeforeTheFirstCheckpointIsRefusedToo) {
  World world;
  FaultyFileSystem files;
  ASSERT_TRUE(world.run(files, false).ok());
  const std::vector<float> expected = world.model(files);
  ASSERT_TRUE(files.remove("/run/checkpoints/checkpoint-00000005.safetensors").ok());
  World other;
  other.configuration.server_optimizer.lr = 0.25;
  other.plan = make_plan(other.configuration, make_tree(balanced_counts(2, 2)), other.factory);
  World taller;
  taller.plan = make_plan(taller.configuration, make_tree(balanced_counts(2, 3)), taller.factory);

  for (const bool with_records : {true, false}) {
    if (!with_records) { ASSERT_TRUE(files.remove("/run/records.jsonl").ok()); }
    const auto before = everything(files);
    const Status refused = other.run(files, true).status();
    EXPECT_EQ(refused.code(), Code::kInvalidArgument);
    EXPECT_TRUE(refused.message().starts_with("/run holds a run of another configuration")) << refused.message();
    EXPECT_NE(refused.message().find("Changed: server_optimizer.lr is 0.25, it was 1"), std::string::npos)
        << refused.message();
    // The text of the configuration does not tell the tree, the first record does.
    if (with_records) { EXPECT_EQ(taller.run(files, true).status().code(), Code::kInvalidArgument); }
    EXPECT_EQ(everything(files), before);
  }

  ASSERT_TRUE(world.run(files, true).ok());
  EXPECT_EQ(world.model(files), expected);
}

// As a rank of a job that is not ready: the root has been restored, and the run does not begin.
class RefusingDriver final : public Driver {
 public:
  Status run(const AgreedPlan& /*plan*/, const TrainerFactory& /*factory*/, RunObserver& observer) override {
    TRIBUTARY_RETURN_IF_ERROR(observer.restore().status());
    return deadline_exceeded("rank 3 did not come");
  }
  [[nodiscard]] const DriverStatistics& statistics() const noexcept override { return statistics_; }
  [[nodiscard]] std::string_view name() const noexcept override { return "refusing"; }
  [[nodiscard]] std::uint32_t threads() const noexcept override { return 1; }

 private:
  DriverStatistics statistics_;
};

TEST(FederationFiles, AResumeThatAnotherRankRefusesChangesNothing) {
  World world;
  FaultyFileSystem files;
  ASSERT_TRUE(world.run(files, false).ok());
  const auto before = everything(files);
  FederationOptions options;
  options.directory = world.directory;
  options.resume = true;
  options.files = &files;
  RefusingDriver driver;

  EXPECT_EQ(Federation::open(*world.plan, world.factory, std::move(options)).value()->run(driver).status().code(),
            Code::kDeadlineExceeded);

  EXPECT_EQ(everything(files), before) << "the records have neither been cut nor given another end";
}

TEST(FederationFiles, OnlyOneOwnerAtATime) {
  World world;
  FaultyFileSystem files;
  ASSERT_TRUE(world.run(files, false).ok());
  const LockAttempt other = files.lock("/run/run.lock", "process 7 since long ago on host elsewhere").value();

  for (const bool resume : {false, true}) {
    const Status refused = world.run(files, resume).status();
    EXPECT_EQ(refused, invalid_argument("/run is in use by process 7 since long ago on host elsewhere: wait until that "
                                        "has ended, or name another directory"));
  }
}

TEST(FederationFiles, ShorterRecordsGoOnFromTheCheckpointThatFits) {
  World world;
  world.configuration.checkpoint.keep = 3;
  world.plan = make_plan(world.configuration, make_tree(balanced_counts(2, 2)), world.factory);
  FaultyFileSystem files;
  ASSERT_TRUE(world.run(files, false).ok());
  const std::vector<float> expected = world.model(files);
  const std::uint64_t after_4 =
      inspect_checkpoint(files, "/run/checkpoints/checkpoint-00000004.safetensors")->state.records_bytes;
  ASSERT_TRUE(files.truncate("/run/records.jsonl", after_4 + 7).ok());
  ASSERT_TRUE(files.remove("/run/model.safetensors").ok());

  const Result<FederationOutcome> outcome = world.run(files, true);

  ASSERT_TRUE(outcome.ok()) << outcome.status().message();
  EXPECT_EQ(world.model(files), expected);
  ASSERT_EQ(world.listener.warnings().size(), 1U);
  EXPECT_NE(world.listener.warnings()[0].find("checkpoint-00000005.safetensors: passed over: /run/records.jsonl: has "),
            std::string::npos)
      << world.listener.warnings()[0];
  EXPECT_EQ(world.records(files, "round").size(), kRounds);

  ASSERT_TRUE(files.truncate("/run/records.jsonl", 3).ok());
  EXPECT_EQ(world.run(files, true).status().code(), Code::kBadData);
  EXPECT_EQ(content(files, "/run/records.jsonl").size(), 3U);
}

TEST(FederationFiles, AFinishedRunIsNotRestoredTwiceAndNoRootDied) {
  World world;
  FaultyFileSystem files;
  ASSERT_TRUE(world.run(files, false).ok());
  const std::vector<float> expected = world.model(files);
  ASSERT_TRUE(files.remove("/run/model.safetensors").ok());

  ASSERT_TRUE(world.run(files, true).ok());

  EXPECT_EQ(world.model(files), expected);
  EXPECT_TRUE(world.listener.warnings().empty()) << world.listener.warnings()[0];
  EXPECT_EQ(world.records(files, "run").size(), 2U);
  EXPECT_EQ(world.records(files, "run").back().number("resumed_after"), 5.0);
  EXPECT_EQ(world.listener.replayed.front().event(), "run");
}

TEST(FederationFiles, AModelThatIsNotFiniteIsNeverCommittedSavedOrCalledFinished) {
  World world;
  world.factory = FunctionTrainerFactory(kParameters, [](const TrainTask& task) -> Result<TrainOutcome> {
    auto model = std::make_shared<std::vector<float>>(*task.base);
    (*model)[2] = task.round.value < 3 ? 1.0F : -1.0F;
    return TrainOutcome{.model = std::move(model), .weight = 1.0, .metrics = {}};
  });
  world.configuration.server_optimizer.lr = 1.0;
  world.plan = make_plan(world.configuration, make_tree(balanced_counts(2, 2)), world.factory);
  FaultyFileSystem files;
  ASSERT_TRUE(world.run(files, false).ok());

  World huge(world.configuration);
  huge.directory = "/huge";
  huge.factory = world.factory;
  huge.configuration.server_optimizer.lr = 1e300;
  huge.plan = make_plan(huge.configuration, make_tree(balanced_counts(2, 2)), huge.factory);
  const Status diverged = huge.run(files, false).status();

  EXPECT_EQ(diverged.code(), Code::kBadData);
  EXPECT_TRUE(diverged.message().starts_with(
      "the training has diverged in round 1: after the step of the server tensor weight has 1 of 6 values that are not "
      "finite, the first is inf at index 2. Lower server_optimizer.lr (1e+300) or the learning rate of the clients"))
      << diverged.message();
  EXPECT_EQ(files.kind("/huge/model.safetensors").value(), FileSystem::Kind::kNothing);
  EXPECT_EQ(files.list("/huge/checkpoints").status().code(), Code::kNotFound);
  EXPECT_EQ(huge.records(files, "round").size(), 0U);
  ASSERT_EQ(huge.records(files, "end").size(), 1U);
  EXPECT_EQ(huge.records(files, "end")[0].text("outcome"), "failed");
}

TEST(FederationFiles, AModelThatDivergesLateKeepsItsLastGoodCheckpoint) {
  // The step makes 3e38 of the first round's change, and of the second's twice that, which is too much for a float.
  World world;
  world.factory = FunctionTrainerFactory(kParameters, [](const TrainTask& task) -> Result<TrainOutcome> {
    auto model = std::make_shared<std::vector<float>>(*task.base);
    (*model)[task.round.value] += static_cast<float>(task.round.value);
    return TrainOutcome{.model = std::move(model), .weight = 1.0, .metrics = {}};
  });
  world.configuration.server_optimizer.lr = 3e38;
  world.plan = make_plan(world.configuration, make_tree(balanced_counts(2, 2)), world.factory);
  FaultyFileSystem files;

  const Status diverged = world.run(files, false).status();

  EXPECT_EQ(diverged.code(), Code::kBadData) << diverged.message();
  EXPECT_NE(diverged.message().find("in round 2"), std::string::npos) << diverged.message();
  EXPECT_NE(diverged.message().find("the last good model is that of round 1, in /run/checkpoints"), std::string::npos)
      << diverged.message();
  EXPECT_EQ(inspect_checkpoint(files, "/run/checkpoints/checkpoint-00000001.safetensors")->state.round, Round{1});
}

TEST(FederationFiles, AStartModelThatIsNotFiniteIsRefusedBeforeAnyRound) {
  class FromNowhere final : public TrainerFactory {
   public:
    [[nodiscard]] const ParameterSpec& spec() const noexcept override { return inner_.spec(); }
    [[nodiscard]] Result<std::vector<float>> initial_model(std::uint64_t /*seed*/) const override {
      return std::vector<float>(kParameters, std::numeric_limits<float>::quiet_NaN());
    }
    [[nodiscard]] double weight_bound(ClientIndex client) const override { return inner_.weight_bound(client); }
    [[nodiscard]] Result<std::unique_ptr<Trainer>> create() const override { return inner_.create(); }

   private:
    FunctionTrainerFactory inner_ = noisy_pull(kParameters);
  };
  const FromNowhere factory;
  const Result<Plan> plan = make_plan(five_rounds(), make_tree(balanced_counts(2, 1)), factory);
  FaultyFileSystem files;
  FederationOptions options;
  options.directory = "/run";
  options.files = &files;
  SimulationDriver driver({.threads = 1});

  const Status refused = Federation::open(*plan, factory, std::move(options)).value()->run(driver).status();

  EXPECT_EQ(refused.code(), Code::kBadData);
  EXPECT_NE(refused.message().find("tensor weight has 6 of 6 values that are not finite"), std::string::npos);
}

TEST(FederationFiles, AStopWishedForInAnAbandonedRoundIsAnInterruption) {
  World world;
  world.factory = FunctionTrainerFactory(kParameters, [&world](const TrainTask& task) -> Result<TrainOutcome> {
    if (task.global_round.value == 3) { world.stop = true; }
    return unavailable("no data today");
  });
  world.plan = make_plan(world.configuration, make_tree(balanced_counts(2, 2)), world.factory);
  FaultyFileSystem files;

  const Result<FederationOutcome> outcome = world.run(files, false);

  ASSERT_TRUE(outcome.ok()) << outcome.status().message();
  EXPECT_EQ(outcome->kind, FederationOutcome::Kind::kInterrupted);
  EXPECT_EQ(outcome->round, Round{3});
}

// Below an aggregator that does three rounds in each of the root's, faults belong to the root's round.
TEST(FederationFiles, FaultsCarryTheRoundOfTheRoot) {
  World world(five_rounds());
  world.configuration.tiers[1].local_rounds = 3;
  world.factory = FunctionTrainerFactory(kParameters, [](const TrainTask& task) -> Result<TrainOutcome> {
    if (task.client.value == 1) { return unavailable(std::to_string(task.global_round.value)); }
    return TrainOutcome{.model = task.base, .weight = 1.0, .metrics = {}};
  });
  world.configuration.default_tier.quorum = 0.5;
  world.configuration.tiers[1].quorum = 0.5;
  world.plan = make_plan(world.configuration, make_tree(balanced_counts(2, 2)), world.factory);
  FaultyFileSystem files;
  ASSERT_TRUE(world.run(files, false).ok());

  const std::vector<Record> faults = world.records(files, "fault");

  std::map<std::uint64_t, int> by_round;
  for (const Record& fault : faults) {
    EXPECT_EQ(std::to_string(static_cast<int>(fault.number("round"))), fault.text("detail").substr(0, 1));
    ++by_round[static_cast<std::uint64_t>(fault.number("round"))];
  }
  ASSERT_EQ(by_round.size(), kRounds);
  for (const auto& [round, count] : by_round) { EXPECT_EQ(count, by_round[1]) << round; }
}

TEST(FederationFiles, AResumeWithOtherDataIsRefusedByTheNameOfTheFile) {
  const ScratchDirectory scratch;
  World world;
  world.directory = scratch / "run";
  world.configuration.data.source = DataConfig::Source::kCsv;
  world.configuration.data.train = scratch.write("train.csv", "x,label\n1,0\n").string();
  world.plan = make_plan(world.configuration, make_tree(balanced_counts(2, 2)), world.factory);
  ASSERT_TRUE(world.run(real_file_system(), false).ok());
  const std::string records = scratch.read("run/records.jsonl");

  scratch.write("train.csv", "x,label\n1,1\n");
  const Status refused = world.run(real_file_system(), true).status();

  EXPECT_EQ(refused.code(), Code::kInvalidArgument);
  EXPECT_TRUE(refused.message().starts_with("data.train (" + (scratch / "train.csv").string() + ") has changed: "))
      << refused.message();
  EXPECT_EQ(scratch.read("run/records.jsonl"), records);
  scratch.write("train.csv", "x,label\n1,0\n");
  EXPECT_TRUE(world.run(real_file_system(), true).ok());
}

// A program that is told to write a file beside the run changes it in every part of the run.
TEST(FederationFiles, AFileThatTheProgramWritesDoesNotKeepARunFromGoingOn) {
  const ScratchDirectory scratch;
  World world;
  world.directory = scratch / "run";
  world.configuration.trainer.command = {scratch.write("train.py", "").string(),
                                         "--log=" + (scratch / "t.log").string()};
  world.plan = make_plan(world.configuration, make_tree(balanced_counts(2, 2)), world.factory);
  world.factory = FunctionTrainerFactory(kParameters, [&world](const TrainTask& task) -> Result<TrainOutcome> {
    world.stop = true;
    return TrainOutcome{.model = task.base, .weight = 1.0, .metrics = {}};
  });

  for (const char* const part : {"1", "2", "3", "4"}) {
    world.stop = false;
    const Result<FederationOutcome> outcome = world.run(real_file_system(), *part != '1');
    ASSERT_TRUE(outcome.ok()) << part << ": " << outcome.status().message();
    scratch.write("t.log", part);
  }
  scratch.write("train.py", "other");
  EXPECT_EQ(world.run(real_file_system(), true).status().code(), Code::kInvalidArgument);
}

}  // namespace
}  // namespace tributary::testing
