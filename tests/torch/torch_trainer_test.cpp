// SPDX-License-Identifier: Apache-2.0
#include "tributary/torch/torch_trainer.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <thread>

#include "torch/federation_for_tests.hpp"

namespace tributary {
namespace {

using testing::task_for;
using testing::TestFederation;
using testing::train_once;

double distance(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    sum += std::pow(static_cast<double>(a[i]) - static_cast<double>(b[i]), 2);
  }
  return std::sqrt(sum);
}

// The same tasks, dealt to `threads` threads by `order`, each thread with one trainer for all its tasks.
std::map<std::uint32_t, std::vector<float>> train_all(const TrainerFactory& factory,
                                                      const std::vector<std::uint32_t>& order, std::size_t threads) {
  const std::vector<float> base = factory.initial_model(1).value();
  std::vector<std::vector<float>> models(order.size());
  std::vector<std::jthread> workers;
  for (std::size_t t = 0; t < threads; ++t) {
    workers.emplace_back([&, t] {
      const auto trainer = factory.create().value();
      for (std::size_t i = t; i < order.size(); i += threads) {
        models[order[i]] = *trainer->train(task_for(order[i], base)).value().model;
      }
    });
  }
  workers.clear();
  std::map<std::uint32_t, std::vector<float>> by_client;
  for (const std::uint32_t client : order) { by_client[client] = models[client]; }
  return by_client;
}

class EveryModel : public ::testing::TestWithParam<const char*> {
 protected:
  static TestFederation federation() {
    TestFederation made("lenet5", 4, 120);
    const std::string model = GetParam();
    if (model.ends_with(".pt")) {
      made.configuration.model.torchscript = std::string(TRIBUTARY_FIXTURES) + "/" + model;
    } else {
      made.configuration.model.kind = model;
    }
    return made;
  }
};

TEST_P(EveryModel, GivesTheSameBitsOnAnyThreadInAnyOrderOnAnyTrainer) {
  const auto factory = federation().factory().value();

  const auto alone = train_all(*factory, {0, 1, 2, 3}, 1);

  EXPECT_EQ(train_all(*factory, {0, 1, 2, 3}, 2), alone);
  EXPECT_EQ(train_all(*factory, {3, 1, 0, 2}, 2), alone);
  EXPECT_EQ(train_all(*factory, {2, 0, 3, 1}, 4), alone);  // every trainer fresh
  EXPECT_EQ(train_all(*federation().factory().value(), {1, 3, 2, 0}, 1), alone);
}

TEST_P(EveryModel, GivesTheSameBitsAfterOtherWork) {
  const auto factory = federation().factory().value();
  const std::vector<float> base = factory->initial_model(1).value();
  const auto trainer = factory->create().value();
  TrainTask measured = task_for(0, base);
  measured.evaluate_first = true;

  const auto fresh = *trainer->train(task_for(0, base)).value().model;
  ASSERT_TRUE(trainer->train(task_for(1, fresh)).ok());
  ASSERT_TRUE(trainer->evaluate(fresh, 0, 1).ok());
  const TrainOutcome again = trainer->train(measured).value();

  EXPECT_GT(distance(fresh, base), 1e-2);
  EXPECT_EQ(*again.model, fresh);
  EXPECT_GT(again.metrics.at("base_loss"), 0.0);
}

INSTANTIATE_TEST_SUITE_P(TorchTrainer, EveryModel, ::testing::Values("logistic", "mlp", "lenet5", "small.pt"),
                         [](const auto& model) {
                           std::string name = model.param;
                           return name.substr(0, name.find('.'));
                         });

TEST(TorchTrainer, DrawsOtherBatchesFromAnotherSeed) {
  const TestFederation federation("logistic");
  const auto base = federation.factory().value()->initial_model(1).value();
  TrainTask other = task_for(0, base);
  other.seed += 1;

  EXPECT_NE(*train_once(federation, task_for(0, base)).model, *train_once(federation, other).model);
}

TEST(TorchTrainer, TakesOneFullGradientStepForFedSgd) {
  for (const char* model : {"logistic", "mlp"}) {
    TestFederation federation(model, 1, 600);  // more than one part of a full batch
    federation.configuration.algorithm.kind = AlgorithmConfig::Kind::kFedSgd;
    federation.configuration.trainer.optimizer.momentum = 0.9;  // has no meaning for a single step and no effect
    TestFederation whole(model, 1, 600);
    whole.configuration.trainer.batch_size = 600;
    const auto base = federation.factory().value()->initial_model(1).value();

    const TrainOutcome sgd = train_once(federation, task_for(0, base));
    const TrainOutcome average = train_once(whole, task_for(0, base));

    EXPECT_EQ(sgd.steps, 1U);
    ASSERT_EQ(average.steps, 1U);
    EXPECT_GT(distance(*sgd.model, base), 1e-3);
    EXPECT_LT(distance(*sgd.model, *average.model), 1e-6) << model;
    EXPECT_NEAR(sgd.metrics.at("loss"), average.metrics.at("loss"), 1e-6);
  }
}

TEST(TorchTrainer, FedSgdOfClientsIsFedSgdOfTheirUnion) {
  TestFederation parts("lenet5", 3, 60);
  TestFederation whole("lenet5", 1, 60);
  parts.configuration.algorithm.kind = whole.configuration.algorithm.kind = AlgorithmConfig::Kind::kFedSgd;
  const auto factory = parts.factory().value();
  const auto trainer = factory->create().value();
  const auto base = factory->initial_model(1).value();

  std::vector<double> sum(base.size());
  double weight = 0.0;
  for (std::uint32_t client = 0; client < 3; ++client) {
    const TrainOutcome outcome = trainer->train(task_for(client, base)).value();
    weight += outcome.weight;
    for (std::size_t i = 0; i < sum.size(); ++i) {
      sum[i] += outcome.weight * static_cast<double>((*outcome.model)[i]);
    }
  }
  std::vector<float> mean(base.size());
  for (std::size_t i = 0; i < sum.size(); ++i) { mean[i] = static_cast<float>(sum[i] / weight); }

  const TrainOutcome pooled = train_once(whole, task_for(0, base));
  EXPECT_LT(distance(mean, *pooled.model), 1e-6 * distance(base, std::vector<float>(base.size())));
}

TEST(TorchTrainer, FedProxWithoutPullIsFedAvgToTheBit) {
  const TestFederation federation("lenet5");
  const auto base = federation.factory().value()->initial_model(1).value();
  TrainTask proximal = task_for(0, base);
  proximal.drift.pull = 0.0;
  proximal.drift.constant = std::make_shared<const std::vector<float>>(base.size(), 0.0F);

  EXPECT_EQ(*train_once(federation, task_for(0, base)).model, *train_once(federation, proximal).model);
}

// F_i(x) + <c, x> + mu / 2 ||x - base||^2: the step of rate lr that a drift changes, against the plain one.
TEST(TorchTrainer, ADriftAddsItsGradientToEachStep) {
  for (const std::string model : {"logistic", "lenet5"}) {
    TestFederation federation(model);
    federation.configuration.trainer.steps = 1;
    federation.configuration.trainer.optimizer.lr = 0.125;
    const auto base = federation.factory().value()->initial_model(1).value();
    TrainTask drifting = task_for(0, base);
    auto constant = std::make_shared<std::vector<float>>(base.size());
    for (std::size_t i = 0; i < base.size(); ++i) { (*constant)[i] = static_cast<float>(i % 17) * 0.0625F - 0.5F; }
    drifting.drift = {.constant = constant, .pull = 3.0};

    const std::vector<float> plain = *train_once(federation, task_for(0, base)).model;
    const TrainOutcome moved = train_once(federation, drifting);

    // The first step starts at the base, where the pull is zero.
    EXPECT_EQ(moved.learning_rate, 0.125);
    for (std::size_t i = 0; i < base.size(); ++i) {
      ASSERT_NEAR((*moved.model)[i] - plain[i], -0.125F * (*constant)[i], 2e-7F) << model << " " << i;
    }
  }
}

TEST(TorchTrainer, FedProxStaysCloserTheStrongerItPulls) {
  TestFederation federation("logistic");
  federation.configuration.trainer.epochs = 5;
  const auto base = federation.factory().value()->initial_model(1).value();

  double last = std::numeric_limits<double>::infinity();
  for (const double mu : {0.0, 0.1, 1.0, 5.0}) {
    TrainTask task = task_for(0, base);
    task.drift.pull = mu;
    const double moved = distance(*train_once(federation, task).model, base);
    EXPECT_LT(moved, last) << mu;
    last = moved;
  }
  EXPECT_GT(last, 0.0);
}

TEST(TorchTrainer, WeighsByTheConfiguredRule) {
  TestFederation federation("logistic", 3, 61);  // 21, 20 and 20 samples
  using Weighting = AlgorithmConfig::Weighting;
  const auto base = federation.factory().value()->initial_model(1).value();
  const std::map<Weighting, double> expected{
      {Weighting::kSamples, 0.0}, {Weighting::kUniform, 1.0}, {Weighting::kCapped, 7.0}};
  for (const auto& [weighting, weight] : expected) {
    federation.configuration.algorithm.weighting = weighting;
    federation.configuration.algorithm.weight_cap = 7.0;
    const auto count = static_cast<double>(federation.partition->count(ClientIndex{0}));

    const TrainOutcome outcome = train_once(federation, task_for(0, base));

    EXPECT_EQ(outcome.weight, weight == 0.0 ? count : weight);
    EXPECT_EQ(outcome.weight, federation.factory().value()->weight_bound(ClientIndex{0}));
    EXPECT_EQ(static_cast<double>(outcome.samples), count);
  }
}

TEST(TorchTrainer, CountsEpochsOrSteps) {
  TestFederation federation("logistic");  // 20 samples, batches of 8
  const auto base = federation.factory().value()->initial_model(1).value();
  federation.configuration.trainer.epochs = 2;
  EXPECT_EQ(train_once(federation, task_for(0, base)).steps, 6U);
  federation.configuration.trainer.steps = 7;
  EXPECT_EQ(train_once(federation, task_for(0, base)).steps, 7U);
}

TEST(TorchTrainer, LowersTheRateWithTheRootsRounds) {
  TestFederation federation("logistic");
  federation.configuration.trainer.optimizer.schedule = OptimizerConfig::Schedule::kExponential;
  federation.configuration.trainer.optimizer.gamma = 0.1;
  federation.configuration.trainer.steps = 1;
  const auto base = federation.factory().value()->initial_model(1).value();
  TrainTask later = task_for(0, base);
  later.global_round = Round{2};

  const double first = distance(*train_once(federation, task_for(0, base)).model, base);
  const double second = distance(*train_once(federation, later).model, base);

  EXPECT_NEAR(second / first, 0.1, 1e-3);
}

TEST(TorchTrainer, EvaluatesInPartsAsItDoesAtOnce) {
  const TestFederation federation("lenet5");
  const auto factory = federation.factory().value();
  const auto trainer = factory->create().value();
  const auto base = factory->initial_model(1).value();

  const Evaluation whole = trainer->evaluate(base, 0, 1).value();
  std::uint64_t samples = 0;
  double loss = 0.0;
  double correct = 0.0;
  for (std::uint32_t part = 0; part < 3; ++part) {
    const Evaluation some = trainer->evaluate(base, part, 3).value();
    samples += some.samples;
    loss += some.metrics.at("loss") * static_cast<double>(some.samples);
    correct += some.metrics.at("accuracy") * static_cast<double>(some.samples);
  }

  EXPECT_EQ(whole.samples, 50U);
  EXPECT_EQ(samples, 50U);
  EXPECT_NEAR(loss / 50.0, whole.metrics.at("loss"), 1e-6);
  EXPECT_NEAR(correct / 50.0, whole.metrics.at("accuracy"), 1e-9);
  EXPECT_EQ(trainer->evaluate(base, 3, 3).status().code(), Code::kInvalidArgument);
  EXPECT_EQ(trainer->evaluate({}, 0, 1).status(), invalid_argument("the model has 0 values, expected 44426"));
}

// Client 1 measures on what it holds out just what is measured on a test set of these samples, and trains on the rest.
TEST(TorchTrainer, MeasuresAtAClientWhatTheClientHoldsOut) {
  TestFederation federation("lenet5");
  auto partition = std::make_shared<Partition>(*federation.partition);
  partition->hold_out(0.3, 5);
  const std::vector<std::uint32_t> held = partition->held_out(ClientIndex{1});
  ASSERT_EQ(held.size(), 6U);
  federation.partition = partition;
  auto test = std::make_shared<Dataset>(*federation.train);
  std::vector<std::uint8_t> pixels;
  test->labels.clear();
  for (const std::uint32_t row : held) {
    const auto& all = std::get<std::vector<std::uint8_t>>(federation.train->features);
    const auto first = all.begin() + static_cast<std::ptrdiff_t>(row * federation.train->sample_size());
    pixels.insert(pixels.end(), first, first + static_cast<std::ptrdiff_t>(federation.train->sample_size()));
    test->labels.push_back(federation.train->labels[row]);
  }
  test->features = std::move(pixels);
  federation.test = test;
  const auto factory = federation.factory().value();
  const auto trainer = factory->create().value();
  const auto base = std::make_shared<const std::vector<float>>(factory->initial_model(1).value());

  const Result<Evaluation> measured = trainer->evaluate_client({.client = ClientIndex{1}, .model = base});
  const Evaluation expected = trainer->evaluate(*base, 0, 1).value();

  ASSERT_TRUE(measured.ok()) << measured.status().to_string();
  EXPECT_EQ(measured->samples, 6U);
  EXPECT_EQ(measured->metrics, expected.metrics);
  EXPECT_EQ(factory->holdout_samples(ClientIndex{1}), 6U);
  EXPECT_EQ(factory->weight_bound(ClientIndex{1}), 14.0);
  EXPECT_EQ(trainer->train(task_for(1, *base)).value().samples, 14U);
  // Nothing of a measurement is left in the network.
  const auto alone = train_once(federation, task_for(1, *base));
  EXPECT_EQ(*trainer->train(task_for(1, *base)).value().model, *alone.model);
  EXPECT_EQ(trainer->evaluate_client({.client = ClientIndex{7}, .model = base}).status().message(),
            "client 7 holds no samples out");
  EXPECT_EQ(trainer->evaluate_client({.client = ClientIndex{1}}).status().code(), Code::kInvalidArgument);
}

// An output that is not a number says nothing of the sample's class, not even that it is the first.
TEST(TorchTrainer, CountsOutputsThatAreNoNumbersAsWrong) {
  for (const char* model : {"logistic", "mlp"}) {
    const TestFederation federation(model);
    const auto factory = federation.factory().value();
    std::vector<float> values = factory->initial_model(1).value();
    values.back() = std::numeric_limits<float>::quiet_NaN();  // the bias of the last class

    const Evaluation evaluation = factory->create().value()->evaluate(values, 0, 1).value();

    EXPECT_TRUE(std::isnan(evaluation.metrics.at("loss"))) << model;
    EXPECT_EQ(evaluation.metrics.at("accuracy"), 0.0) << model;
  }
}

TEST(TorchTrainer, HonoursCancellation) {
  const TestFederation federation("lenet5");
  const std::atomic<bool> cancel{true};
  const auto factory = federation.factory().value();
  TrainTask task = task_for(0, factory->initial_model(1).value());
  task.cancel = &cancel;

  EXPECT_EQ(factory->create().value()->train(task).status().code(), Code::kCancelled);
}

TEST(TorchTrainer, ReportsDivergenceInsteadOfSendingIt) {
  TestFederation federation("lenet5");
  federation.configuration.trainer.optimizer.lr = 1e30;
  const auto factory = federation.factory().value();

  const auto outcome = factory->create().value()->train(task_for(2, factory->initial_model(1).value()));

  EXPECT_EQ(outcome.status().code(), Code::kBadData);
  EXPECT_TRUE(outcome.status().message().starts_with("client 2 diverged in round 1: its training loss is "))
      << outcome.status().message();
}

TEST(TorchTrainer, RefusesTasksThatDoNotFit) {
  const TestFederation federation("logistic");
  const auto trainer = federation.factory().value()->create().value();

  EXPECT_EQ(trainer->train(task_for(0, {1.0F})).status(), invalid_argument("the model has 1 values, expected 7850"));
  EXPECT_EQ(trainer->train(task_for(3, std::vector<float>(7850))).status(),
            invalid_argument("there is no client 3: the data is split over 3"));
  EXPECT_EQ(trainer->train({}).status(), invalid_argument("the task has no model"));
}

TEST(TorchTrainer, RefusesImpossibleConfigurations) {
  TestFederation federation("logistic");
  federation.configuration.trainer.device = "cuda";
  EXPECT_EQ(federation.factory().ok() ? Code::kUnsupported : federation.factory().status().code(), Code::kUnsupported);
  federation.configuration.trainer.device = "auto";
  EXPECT_TRUE(federation.factory().ok());
  federation.configuration.algorithm.weighting = AlgorithmConfig::Weighting::kCapped;
  EXPECT_EQ(federation.factory().status(),
            configuration_error("algorithm.weight_cap must be > 0 for weighting capped, got 0"));
  federation.train = nullptr;
  EXPECT_EQ(federation.factory().status(),
            configuration_error("trainer.kind torch needs data: data.source must not be none"));
}

TEST(TorchScript, StartsFromTheFilesValuesAndNamesItsStatistics) {
  TestFederation federation("");
  federation.configuration.model.torchscript = std::string(TRIBUTARY_FIXTURES) + "/small.pt";

  const auto factory = federation.factory().value();

  std::map<std::string, TensorKind> kinds;
  for (const TensorSpec& tensor : factory->spec().tensors()) { kinds[tensor.name] = tensor.kind; }
  EXPECT_EQ(kinds, (std::map<std::string, TensorKind>{{"conv.weight", TensorKind::kTrainable},
                                                      {"norm.weight", TensorKind::kTrainable},
                                                      {"norm.bias", TensorKind::kTrainable},
                                                      {"linear.weight", TensorKind::kTrainable},
                                                      {"linear.bias", TensorKind::kTrainable},
                                                      {"norm.running_mean", TensorKind::kRunningMean},
                                                      {"norm.running_var", TensorKind::kRunningVariance}}));
  EXPECT_EQ(factory->spec().parameters(), 3106U + 16U);
  EXPECT_EQ(factory->initial_model(1).value(), factory->initial_model(2).value());
}

TEST(TorchScript, TrainsItsStatisticsToo) {
  TestFederation federation("", 1, 200);
  federation.configuration.model.torchscript = std::string(TRIBUTARY_FIXTURES) + "/small.pt";
  federation.configuration.trainer.epochs = 4;
  federation.configuration.trainer.optimizer.weight_decay = 1e-4;
  const auto factory = federation.factory().value();
  const auto trainer = factory->create().value();
  const auto base = factory->initial_model(1).value();

  const TrainOutcome outcome = trainer->train(task_for(0, base)).value();

  const std::size_t statistics = base.size() - 16;
  EXPECT_NE(outcome.model->at(statistics), base[statistics]);
  EXPECT_GT(trainer->evaluate(*outcome.model, 0, 1).value().metrics.at("accuracy"), 0.9);
}

TEST(TorchScript, SaysWhatIsWrongWithAFile) {
  TestFederation federation("");
  federation.configuration.model.torchscript = "/nowhere/net.pt";
  EXPECT_EQ(federation.factory().status(), not_found("model.torchscript: there is no file /nowhere/net.pt"));

  federation.configuration.model.torchscript = TRIBUTARY_FIXTURES "/weights.py";
  EXPECT_EQ(federation.factory().status().code(), Code::kBadData);

  federation.configuration.model.torchscript = TRIBUTARY_FIXTURES;
  EXPECT_NE(federation.factory().status().message().find("directory"), std::string::npos)
      << federation.factory().status().message();

  federation.configuration.model.torchscript = std::string(TRIBUTARY_FIXTURES) + "/small.pt";
  auto wide = std::make_shared<Dataset>(*federation.train);
  wide->classes = 11;
  federation.train = wide;
  EXPECT_EQ(federation.factory().status().code(), Code::kConfiguration);
  EXPECT_NE(
      federation.factory().status().message().find("the model gives 10 outputs a sample, and the data has 11 classes"),
      std::string::npos)
      << federation.factory().status().message();
}

TEST(TorchInfo, IsJsonWithTheFactsThatDoctorPrints) {
  const auto info = nlohmann::json::parse(torch_info(true));

  EXPECT_FALSE(info.contains("error")) << info["error"];
  EXPECT_EQ(info["threads"], 1);
  for (const char* key : {"version", "blas", "build", "parallel", "cpu_capability"}) {
    EXPECT_FALSE(info[key].get<std::string>().empty()) << key;
  }
  EXPECT_TRUE(info["cuda"].is_boolean());
  EXPECT_GT(info["sgemm_gflops"].get<double>(), 0.1);
}

}  // namespace
}  // namespace tributary
