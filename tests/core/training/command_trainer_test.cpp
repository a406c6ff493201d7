// SPDX-License-Identifier: Apache-2.0
#include "command_trainer.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "support/scratch_directory.hpp"
#include "tributary/data/model_file.hpp"

namespace tributary {
namespace {

const std::filesystem::path kExample =
    std::filesystem::path(TRIBUTARY_SOURCE_DIR) / "examples/03_external_command/trainer.py";

class CommandTrainer : public ::testing::Test {
 protected:
  CommandTrainer() {
    configuration_.trainer.kind = "command";
    configuration_.base_directory = directory_.path();
    configuration_.model.initial = "start.safetensors";
    const auto spec = ParameterSpec::create({{"weight", {2}}, {"bias", {1}}}).value();
    EXPECT_TRUE(
        write_model(real_file_system(), directory_ / "start.safetensors", spec, std::vector{1.0F, 2.0F, 3.0F}).ok());
  }

  Result<std::unique_ptr<TrainerFactory>> factory() const {
    return make_command_trainer_factory({.configuration = configuration_, .train = {}, .test = {}, .partition = {}});
  }

  // Trains the initial model once, by a shell script.
  Result<TrainOutcome> train_by(const std::string& script, const std::atomic<bool>* cancel = nullptr) {
    configuration_.trainer.command = {"sh", "-c", script, "sh", "{input}", "{output}"};
    const auto made = factory().value();
    TrainTask task;
    task.client = ClientIndex{3};
    task.round = Round{9};
    task.global_round = Round{7};
    task.seed = 42;
    task.base = std::make_shared<const std::vector<float>>(made->initial_model(1).value());
    task.cancel = cancel;
    return made->create().value()->train(task);
  }

  testing::ScratchDirectory directory_;
  Configuration configuration_;
};

TEST_F(CommandTrainer, TrainsWithTheExampleInPython) {
  configuration_.trainer.command = {"python3", kExample.string(), "{input}", "{output}"};
  configuration_.trainer.options = {{"lr", "0.5"}};
  const auto made = factory().value();
  TrainTask task;
  task.client = ClientIndex{4};
  task.base = std::make_shared<const std::vector<float>>(std::vector{1.0F, 5.0F, 9.0F});

  const auto outcome = made->create().value()->train(task);

  ASSERT_TRUE(outcome.ok()) << outcome.status().to_string();
  EXPECT_EQ(*outcome->model, (std::vector{3.0F, 5.0F, 7.0F}));
  EXPECT_EQ(outcome->weight, 1.0);
  EXPECT_EQ(outcome->samples, 1U);
  EXPECT_EQ(outcome->steps, 1U);
  EXPECT_NEAR(outcome->metrics.at("loss"), (8.0 + 0.0 + 8.0) / 3.0, 1e-12);
}

TEST_F(CommandTrainer, TakesItsModelFromTheInitialFile) {
  configuration_.trainer.command = {"true", "{output}"};

  const auto made = factory().value();

  EXPECT_EQ(made->spec().parameters(), 3U);
  EXPECT_EQ(made->initial_model(1).value(), (std::vector{1.0F, 2.0F, 3.0F}));
}

TEST_F(CommandTrainer, TellsTheProgramItsTask) {
  const auto outcome = train_by(
      "grep -a -o '\"client\":\"3\"' \"$1\" > client.txt && "
      "grep -a -o '\"seed\":\"42\"' \"$1\" > seed.txt && cp \"$1\" \"$2\"");

  ASSERT_TRUE(outcome.ok()) << outcome.status().to_string();
  EXPECT_EQ(directory_.read("client.txt"), "\"client\":\"3\"\n");
  EXPECT_EQ(directory_.read("seed.txt"), "\"seed\":\"42\"\n");
  EXPECT_TRUE(outcome->metrics.empty());  // what it merely passed on is no result
  EXPECT_EQ(*outcome->model, (std::vector{1.0F, 2.0F, 3.0F}));
}

TEST_F(CommandTrainer, ReportsTheExitCodeAndTheEndOfTheOutput) {
  const auto outcome = train_by("echo 'no such sample' >&2; exit 3");

  EXPECT_EQ(outcome.status(), unavailable("client 3, round 7: sh ended with exit code 3; it printed: no such sample"));
}

TEST_F(CommandTrainer, ShowsTheLastWholeLinesOfALongOutput) {
  const auto outcome = train_by("seq 1 2000; exit 1");

  const std::string message(outcome.status().message());
  EXPECT_TRUE(message.ends_with("\n1999\n2000")) << message;
  EXPECT_LT(message.size(), 2200U);
  // From the beginning of a line, which here has four digits.
  const std::size_t first = message.find("it printed: ") + std::string("it printed: ").size();
  EXPECT_EQ(message.find('\n', first), first + 4) << message;
}

TEST_F(CommandTrainer, NamesItsFilesAsTheCommandDoes) {
  const auto outcome = train_by("echo \"cannot read $1 or write $2\"; exit 1");

  EXPECT_EQ(outcome.status(), unavailable("client 3, round 7: sh ended with exit code 1; it printed: cannot read "
                                          "{input} or write {output}"));
}

TEST_F(CommandTrainer, ReportsASignal) {
  const auto outcome = train_by("kill -SEGV $$");

  EXPECT_EQ(outcome.status().code(), Code::kUnavailable);
  EXPECT_NE(outcome.status().message().find("ended by signal 11"), std::string::npos) << outcome.status().message();
}

TEST_F(CommandTrainer, ReportsAProgramThatDoesNotExist) {
  configuration_.trainer.command = {"tributary-no-such-program", "{output}"};
  EXPECT_EQ(
      factory().status(),
      configuration_error("trainer.command: there is no program tributary-no-such-program on the PATH; one beside "
                          "the configuration is written ./tributary-no-such-program"));

  configuration_.trainer.command = {"./mine.sh", "{output}"};
  EXPECT_EQ(factory().status(),
            configuration_error("trainer.command: there is no program " + (directory_.path() / "./mine.sh").string()));
}

TEST_F(CommandTrainer, ReportsAProgramThatIsGoneWhenItIsNeeded) {
  const std::filesystem::path program = directory_ / "mine.sh";
  std::ofstream(program) << "#!/bin/sh\n";
  std::filesystem::permissions(program, std::filesystem::perms::owner_all);
  configuration_.trainer.command = {"./mine.sh", "{output}"};
  const auto made = factory().value();
  std::filesystem::remove(program);
  TrainTask task;
  task.base = std::make_shared<const std::vector<float>>(3);

  const Status status = made->create().value()->train(task).status();

  EXPECT_EQ(status.code(), Code::kUnavailable);
  EXPECT_NE(status.message().find("client 0, round 0: cannot start"), std::string::npos) << status.message();
}

TEST_F(CommandTrainer, HandsOverWhatTheProgramShouldObey) {
  configuration_.rounds = 9;
  configuration_.trainer.steps = 12;
  configuration_.trainer.batch_size = 8;
  configuration_.trainer.optimizer.lr = 0.25;
  configuration_.trainer.optimizer.momentum = 0.5;
  configuration_.trainer.options = {{"depth", "3"}};

  const auto outcome = train_by("cp \"$1\" seen.safetensors && cp \"$1\" \"$2\"");

  ASSERT_TRUE(outcome.ok()) << outcome.status().to_string();
  SafetensorsMetadata seen =
      SafetensorsFile::open(real_file_system(), directory_ / "seen.safetensors").value().metadata();
  EXPECT_EQ(seen["rounds"], "9");
  EXPECT_EQ(seen["trainer.steps"], "12");
  EXPECT_FALSE(seen.contains("trainer.epochs"));
  EXPECT_EQ(seen["trainer.batch_size"], "8");
  EXPECT_EQ(seen["trainer.optimizer.kind"], "sgd");
  EXPECT_EQ(seen["trainer.optimizer.lr"], "0.25");
  EXPECT_EQ(seen["trainer.optimizer.momentum"], "0.5");
  EXPECT_EQ(seen["algorithm.kind"], "fedavg");
  EXPECT_EQ(seen["option.depth"], "3");
  EXPECT_TRUE(outcome->metrics.empty());
}

TEST_F(CommandTrainer, NeedsAPlaceForTheOutput) {
  configuration_.trainer.command = {"true", "{input}"};

  EXPECT_EQ(factory().status(),
            configuration_error("trainer.command must hold {output}, the file that the program writes"));
}

TEST_F(CommandTrainer, KillsTheProgramAndItsChildrenAfterTheTimeout) {
  configuration_.trainer.timeout_s = 1;
  const auto start = std::chrono::steady_clock::now();

  const auto outcome = train_by("sleep 600 & echo $! > child.txt; sleep 600");

  EXPECT_EQ(outcome.status(), deadline_exceeded("client 3, round 7: sh did not end within 1 s and was killed; it "
                                                "printed nothing"));
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(30));
  // Dead, or dead and not yet reaped by whoever inherited it.
  std::ifstream state("/proc/" + std::to_string(std::atoi(directory_.read("child.txt").c_str())) + "/stat");
  std::string number, name, letter = "gone";
  state >> number >> name >> letter;
  EXPECT_TRUE(letter == "gone" || letter == "Z") << letter;
}

TEST_F(CommandTrainer, EndsTheProgramWhenTheTaskIsCancelled) {
  std::atomic<bool> cancel{false};
  std::jthread canceller([&] {
    while (!std::filesystem::exists(directory_ / "started")) { std::this_thread::yield(); }
    cancel = true;
  });

  const auto outcome = train_by("touch started; sleep 600", &cancel);

  EXPECT_EQ(outcome.status().code(), Code::kCancelled);
}

TEST_F(CommandTrainer, HandsTheEnvironmentOnButNoSecretsAndNoInput) {
  const std::vector<std::string> kept{"TRIBUTARY_TEST_KEPT", "PYTHONPATH",           "VIRTUAL_ENV",
                                      "LD_LIBRARY_PATH",     "CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS"};
  const std::vector<std::string> kept_back{
      "SECRET_OF_A_TEST",   "A_TOKEN",       "my_password", "AWS_ACCESS_KEY_ID",
      "GOOGLE_CREDENTIALS", "SSH_AUTH_SOCK", "PMIX_RANK",   "OMPI_COMM_WORLD_RANK"};
  for (const std::string& name : kept) { ASSERT_EQ(setenv(name.c_str(), "7", 1), 0); }
  for (const std::string& name : kept_back) { ASSERT_EQ(setenv(name.c_str(), "7", 1), 0); }

  const auto outcome = train_by("env > environment.txt; cat > input.txt; cp \"$1\" \"$2\"");
  for (const std::string& name : kept) { unsetenv(name.c_str()); }
  for (const std::string& name : kept_back) { unsetenv(name.c_str()); }

  ASSERT_TRUE(outcome.ok()) << outcome.status().to_string();
  const std::string environment = directory_.read("environment.txt");
  for (const std::string& name : kept) { EXPECT_NE(environment.find(name + "=7\n"), std::string::npos) << name; }
  for (const std::string& name : kept_back) { EXPECT_EQ(environment.find(name + "="), std::string::npos) << name; }
  EXPECT_EQ(directory_.read("input.txt"), "");
}

TEST_F(CommandTrainer, KeepsItsFilesPrivateAndRemovesThem) {
  const auto outcome =
      train_by("stat -c %a \"$(dirname \"$1\")\" > mode.txt; dirname \"$1\" > where.txt; cp \"$1\" \"$2\"");

  ASSERT_TRUE(outcome.ok()) << outcome.status().to_string();
  EXPECT_EQ(directory_.read("mode.txt"), "700\n");
  std::string where = directory_.read("where.txt");
  where.pop_back();
  EXPECT_FALSE(std::filesystem::exists(where));
}

TEST_F(CommandTrainer, RefusesAProgramThatLeavesNothing) {
  const auto outcome = train_by("true");

  EXPECT_EQ(outcome.status().code(), Code::kBadData);
  EXPECT_TRUE(
      outcome.status().message().starts_with("client 3, round 7: sh left no usable output: cannot read {output}: "))
      << outcome.status().message();
}

TEST_F(CommandTrainer, RefusesAModelOfAnotherShape) {
  const auto other = ParameterSpec::create({{"weight", {4}}}).value();
  ASSERT_TRUE(write_model(real_file_system(), directory_ / "other.safetensors", other, std::vector<float>(4)).ok());

  EXPECT_EQ(train_by("cp other.safetensors \"$2\"").status().code(), Code::kBadData);
}

TEST_F(CommandTrainer, RefusesAWeightThatIsNotPositive) {
  const auto spec = ParameterSpec::create({{"weight", {2}}, {"bias", {1}}}).value();
  for (const char* weight : {"0", "-1", "nan", "many"}) {
    ASSERT_TRUE(write_model(real_file_system(), directory_ / "odd.safetensors", spec, std::vector<float>(3),
                            {{"weight", weight}})
                    .ok());

    EXPECT_EQ(train_by("cp odd.safetensors \"$2\"").status().code(), Code::kBadData) << weight;
  }
}

TEST_F(CommandTrainer, AMetricThatIsNoNumberFailsNoTask) {
  const auto spec = ParameterSpec::create({{"weight", {2}}, {"bias", {1}}}).value();
  ASSERT_TRUE(write_model(real_file_system(), directory_ / "odd.safetensors", spec, std::vector<float>(3),
                          {{"auc", "nan"}, {"f1", "0.5"}})
                  .ok());

  const Result<TrainOutcome> outcome = train_by("cp odd.safetensors \"$2\"");

  ASSERT_TRUE(outcome.ok()) << outcome.status().to_string();
  EXPECT_TRUE(std::isnan(outcome->metrics.at("auc"))) << "who sums it leaves it out and says so";
  EXPECT_EQ(outcome->metrics.at("f1"), 0.5);
}

class CommandWeight : public CommandTrainer {
 protected:
  // Trains with a program that reports these numbers.
  Result<TrainOutcome> report(const SafetensorsMetadata& metadata) {
    const auto spec = ParameterSpec::create({{"weight", {2}}, {"bias", {1}}}).value();
    EXPECT_TRUE(
        write_model(real_file_system(), directory_ / "report.safetensors", spec, std::vector<float>(3), metadata).ok());
    return train_by("cp report.safetensors \"$2\"");
  }
  double weight(const SafetensorsMetadata& metadata) {
    const Result<TrainOutcome> outcome = report(metadata);
    return outcome.ok() ? outcome->weight : -1.0;
  }
  double bound() const { return factory().value()->weight_bound(ClientIndex{3}); }
};

TEST_F(CommandWeight, IsWhatTheProgramReports) {
  configuration_.trainer.weight_bound = 10.0;

  EXPECT_EQ(weight({{"samples", "10"}}), 10.0);
  EXPECT_EQ(weight({{"samples", "10"}, {"weight", "2.5"}}), 2.5);
  EXPECT_EQ(weight({}), 1.0);
  EXPECT_EQ(bound(), 10.0);
}

TEST_F(CommandWeight, IsOneWithUniformWeighting) {
  configuration_.algorithm.weighting = AlgorithmConfig::Weighting::kUniform;

  EXPECT_EQ(weight({{"samples", "10"}}), 1.0);
  EXPECT_EQ(weight({{"samples", "10"}, {"weight", "2.5"}}), 1.0);
  EXPECT_EQ(bound(), 1.0);
}

TEST_F(CommandWeight, IsCapped) {
  configuration_.algorithm.weighting = AlgorithmConfig::Weighting::kCapped;
  configuration_.algorithm.weight_cap = 4.0;

  EXPECT_EQ(weight({{"samples", "10"}}), 4.0);
  EXPECT_EQ(weight({{"samples", "3"}}), 3.0);
  EXPECT_EQ(bound(), 4.0);
  configuration_.trainer.weight_bound = 2.0;
  EXPECT_EQ(weight({{"samples", "10"}}), -1.0);
  EXPECT_EQ(bound(), 2.0);
}

TEST_F(CommandWeight, IsBoundedByOneUnlessTheConfigurationSaysMore) {
  EXPECT_EQ(report({{"samples", "10"}}).status(),
            configuration_error(
                "client 3, round 7: it reports samples 10, but one client may weigh at most 1: set "
                "trainer.weight_bound to the largest number of samples of one client, or algorithm.weighting: "
                "uniform"));
  EXPECT_EQ(
      report({{"weight", "1.5"}}).status(),
      configuration_error("client 3, round 7: it reports weight 1.5, but one client may weigh at most 1: set "
                          "trainer.weight_bound to the largest weight of one client, or algorithm.weighting: uniform"));
  EXPECT_EQ(bound(), 1.0);
}

TEST_F(CommandWeight, CannotBeThatOfNoSamples) {
  EXPECT_EQ(report({{"samples", "0"}}).status(),
            bad_data("client 3, round 7: {output}: metadata samples must be > 0, got 0"));
}

TEST_F(CommandTrainer, NeedsACommandATimeoutAndAnInitialModel) {
  configuration_.trainer.command = {};
  EXPECT_EQ(factory().status(), configuration_error("trainer.command must name a program for trainer.kind command"));
  configuration_.trainer.command = {"true", "{output}"};
  configuration_.trainer.timeout_s = 0;
  EXPECT_EQ(factory().status(), configuration_error("trainer.timeout_s must be > 0, got 0"));
  configuration_.trainer.timeout_s = 1;
  configuration_.model.initial = "";
  EXPECT_EQ(factory().status().code(), Code::kConfiguration);
  configuration_.model.initial = "missing.safetensors";
  EXPECT_EQ(factory().status().code(), Code::kNotFound);
}

}  // namespace
}  // namespace tributary
