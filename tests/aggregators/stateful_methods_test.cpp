// SPDX-License-Identifier: Apache-2.0
// One step of SCAFFOLD, of MTGC and of FedDyn against their formulas, by hand.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "tributary/aggregators/feddyn.hpp"
#include "tributary/aggregators/mtgc.hpp"
#include "tributary/aggregators/scaffold.hpp"
#include "tributary/aggregators/weighted_sum.hpp"

namespace tributary {
namespace {

const ParameterSpec& spec() {
  static const ParameterSpec kSpec =
      ParameterSpec::create(
          {{"w", {2}}, {"mean", {1}, TensorKind::kRunningMean}, {"variance", {1}, TensorKind::kRunningVariance}})
          .value();
  return kSpec;
}

Payload floats(std::vector<float> values) {
  return Payload::floats(std::make_shared<const std::vector<float>>(std::move(values)));
}

ClientUpdate changed_by(std::vector<float> delta, double weight) {
  ClientUpdate update;
  update.delta = floats(std::move(delta));
  update.weight = Weight::from(weight).value();
  return update;
}

LocalMethodSettings settings() {
  LocalMethodSettings made;
  made.clients = 4;
  made.alpha = 0.5;
  made.grid_bits = 20;
  return made;
}

std::vector<float> list(const std::vector<float>& values) {
  return values;
}

TEST(Scaffold, StepsByTheVariateOfAllLessTheClientsOwn) {
  const Scaffold method(settings());
  const std::vector<Segment> broadcast{{"control", floats({1.0F, -2.0F, 9.0F, 9.0F}), {}}};
  const std::vector<double> state{0.25, 0.5, 7.0, 7.0};

  const Result<Drift> first = method.drift({.spec = spec(), .broadcast = broadcast, .state = {}});
  const Result<Drift> later = method.drift({.spec = spec(), .broadcast = broadcast, .state = state});
  EXPECT_TRUE(first->constant_after_clipping) << "clipped with it, the step would not tell the gradient";

  ASSERT_TRUE(first.ok() && later.ok());
  EXPECT_EQ(*first->constant, list({1.0F, -2.0F, 0.0F, 0.0F}));
  EXPECT_EQ(*later->constant, list({0.75F, -2.5F, 0.0F, 0.0F}));
  EXPECT_EQ(later->pull, 0.0);
  EXPECT_EQ(method.drift({.spec = spec(), .broadcast = {}, .state = {}}).status().code(), Code::kProtocol);
}

TEST(Scaffold, SendsWhatItsVariateGrowsBy) {
  const Scaffold method(settings());
  const std::vector<Segment> broadcast{{"control", floats({1.0F, -2.0F, 0.0F, 0.0F}), {}}};
  const MethodTask task{.spec = spec(), .broadcast = broadcast, .state = {}};
  ClientUpdate update = changed_by({-0.5F, 0.25F, 3.0F, 4.0F}, 2);

  ASSERT_TRUE(method.prepare(task, {.steps = 4, .learning_rate = 0.125}, update).ok());

  // -c - D / (4 * 0.125)
  ASSERT_EQ(update.increments.size(), 1U);
  EXPECT_EQ(*update.state, list({0.0F, 1.5F, 0.0F, 0.0F}));
  EXPECT_EQ(update.increments.front().payload.shared_floats(), update.state);
  EXPECT_EQ(update.delta.values()[0], -0.5F);
  EXPECT_EQ(method.prepare(task, {.steps = 0, .learning_rate = 0.125}, update).code(), Code::kBadData);
  EXPECT_EQ(method.prepare(task, {.steps = 4, .learning_rate = 0.0}, update).code(), Code::kBadData);
  // A schedule that ends at 0: nothing was trained, and nothing is learnt of the gradient.
  ClientUpdate rest = changed_by({0.0F, 0.0F, 3.0F, 4.0F}, 2);
  ASSERT_TRUE(method.prepare(task, {.steps = 4, .learning_rate = 0.0}, rest).ok());
  EXPECT_EQ(*rest.state, list({0.0F, 0.0F, 0.0F, 0.0F}));
}

// On the grid, so that the sums and the client add the same number.
TEST(Scaffold, SendsNothingThatTheSumsWouldRound) {
  const Scaffold method(settings());
  const std::vector<Segment> broadcast{{"control", floats({0.0F, 0.0F, 0.0F, 0.0F}), {}}};
  ClientUpdate update = changed_by({0.1F, 3e-7F, 0.0F, 0.0F}, 2);

  ASSERT_TRUE(
      method.prepare({.spec = spec(), .broadcast = broadcast, .state = {}}, {.steps = 1, .learning_rate = 1.0}, update)
          .ok());

  for (const float value : *update.state) {
    const double steps = static_cast<double>(value) * 0x1p20;
    EXPECT_EQ(steps, std::nearbyint(steps));
  }
  EXPECT_NEAR((*update.state)[0], -0.1F, 0x1p-20);
  EXPECT_EQ((*update.state)[1], 0.0F);
}

// A server's half after one round of the given updates.
Snapshot committed(MethodServer& server, const std::vector<std::pair<double, std::vector<float>>>& updates,
                   const std::string& name, std::vector<float>& model) {
  WeightedSum rule;
  IncrementSegments increments{.names = {name}, .scale = ExactScale::of_increments(Weight::from(8).value(), 4)};
  rule.begin(spec(), ExactScale::fine(Weight::from(8).value(), 4), increments);
  for (const auto& [weight, increment] : updates) {
    ClientUpdate update = changed_by({0.0F, 0.0F, 0.0F, 0.0F}, weight);
    update.increments = {{name, floats(increment), {}}};
    EXPECT_TRUE(rule.add(make_update(spec(), std::move(update)), 1).ok());
  }
  server.commit(spec(), rule, model);
  return server.save();
}

TEST(Scaffold, TheRootsVariateIsTheMeanOverAllClientsCountedOrNot) {
  const std::unique_ptr<MethodServer> server = Scaffold(settings()).make_server(Weight::from(8).value());
  std::vector<float> model(4, 5.0F);
  EXPECT_EQ(*server->broadcast(spec()).front().payload.shared_floats(), list({0.0F, 0.0F, 0.0F, 0.0F}));

  const Snapshot saved =
      committed(*server, {{2.0, {1.0F, 0.0F, 0.0F, 0.0F}}, {3.0, {2.0F, -4.0F, 0.0F, 0.0F}}}, "control", model);

  EXPECT_EQ(*server->broadcast(spec()).front().payload.shared_floats(), list({1.0F, -1.5F, 0.0F, 0.0F}));
  EXPECT_EQ(model, list({5.0F, 5.0F, 5.0F, 5.0F}));
  const std::unique_ptr<MethodServer> restored = Scaffold(settings()).make_server(Weight::from(8).value());
  ASSERT_TRUE(restored->restore(saved, 4).ok());
  EXPECT_EQ(*restored->broadcast(spec()).front().payload.shared_floats(), list({1.0F, -1.5F, 0.0F, 0.0F}));
  EXPECT_EQ(restored->restore(saved, 5).code(), Code::kBadData);
  EXPECT_EQ(restored->restore({}, 4).code(), Code::kBadData);
}

TEST(Mtgc, GivesChildrenTheirMeanAndWhatSetsTheNodeApart) {
  const Mtgc method(settings());
  const std::unique_ptr<MethodServer> own = method.make_server(Weight::from(8).value());
  std::vector<float> model(4, 0.0F);
  committed(*own, {{2.0, {1.0F, 0.0F, 0.0F, 0.0F}}, {3.0, {2.0F, -4.0F, 0.0F, 0.0F}}}, "control", model);
  const std::vector<Segment> broadcast{{"control", floats({0.5F, 2.0F, 9.0F, 9.0F}), {}}};
  const std::vector<double> state{0.25, 4.0, 7.0, 7.0};

  const auto first = method.relay({.spec = spec(), .broadcast = broadcast, .state = {}}, *own);
  const auto later = method.relay({.spec = spec(), .broadcast = broadcast, .state = state}, *own);

  // (1, -1.5) of the children, v = (0.5, 2) of the parent, and the node's own (0.25, 4).
  ASSERT_TRUE(first.ok() && later.ok());
  EXPECT_EQ(*first->front().payload.shared_floats(), list({1.5F, 0.5F, 0.0F, 0.0F}));
  EXPECT_EQ(*later->front().payload.shared_floats(), list({1.25F, -3.5F, 0.0F, 0.0F}));
  EXPECT_EQ(method.relay({.spec = spec(), .broadcast = {}, .state = {}}, *own).status().code(), Code::kProtocol);
}

TEST(Mtgc, SendsWhatAClientsAndAnAggregatorsVariateGrowsBy) {
  const Mtgc method(settings());
  const std::vector<Segment> broadcast{{"control", floats({1.0F, -2.0F, 0.0F, 0.0F}), {}}};
  const MethodTask task{.spec = spec(), .broadcast = broadcast, .state = {}};
  ClientUpdate update = changed_by({-0.5F, 0.25F, 3.0F, 4.0F}, 2);

  ASSERT_TRUE(method.prepare(task, {.steps = 4, .learning_rate = 0.125}, update).ok());
  EXPECT_EQ(*update.state, list({0.0F, 1.5F, 0.0F, 0.0F}));
  EXPECT_EQ(update.metrics.at(std::string(method.work_metric())), 0.5);

  const std::vector<float> change{-0.5F, 0.25F, 3.0F, 4.0F};
  const auto increment = method.increment(task, {.change = change, .done = 0.25});
  ASSERT_TRUE(increment.ok());
  EXPECT_EQ(**increment, list({1.0F, 1.0F, 0.0F, 0.0F}));
  EXPECT_EQ(method.increment(task, {.change = change, .done = std::nan("")}).status().code(), Code::kBadData);
}

TEST(FedDyn, PullsTowardsWhereItsChangesPoint) {
  const FedDyn method(settings());
  const std::vector<double> state{0.25, -0.5, 7.0, 7.0};

  const Result<Drift> first = method.drift({.spec = spec(), .broadcast = {}, .state = {}});
  const Result<Drift> later = method.drift({.spec = spec(), .broadcast = {}, .state = state});

  ASSERT_TRUE(first.ok() && later.ok());
  EXPECT_EQ(first->constant, nullptr);
  EXPECT_EQ(first->pull, 0.5);
  EXPECT_EQ(*later->constant, list({0.125F, -0.25F, 0.0F, 0.0F}));
  EXPECT_EQ(later->pull, 0.5);
}

TEST(FedDyn, MovesTheModelByTheMeanOfAllThatWasSentEver) {
  const std::unique_ptr<MethodServer> server = FedDyn(settings()).make_server(Weight::from(4).value());
  std::vector<float> model(4, 1.0F);

  committed(*server, {{1.0, {1.0F, 2.0F, 0.0F, 0.0F}}, {1.0, {3.0F, -2.0F, 0.0F, 0.0F}}}, "change", model);
  EXPECT_EQ(model, list({2.0F, 1.0F, 1.0F, 1.0F}));
  committed(*server, {{1.0, {-2.0F, 4.0F, 0.0F, 0.0F}}}, "change", model);
  EXPECT_EQ(model, list({2.5F, 2.0F, 1.0F, 1.0F}));
}

TEST(WeightedSum, RefusesIncrementsThatItWasNotToldOfAndMissesThoseThatItWas) {
  WeightedSum rule;
  const IncrementSegments increments{.names = {"control"},
                                     .scale = ExactScale::of_increments(Weight::from(8).value(), 4)};
  rule.begin(spec(), ExactScale::fine(Weight::from(8).value(), 4), increments);
  const auto with = [](std::vector<Segment> segments) {
    ClientUpdate update = changed_by({1.0F, 0.0F, 0.0F, 0.0F}, 2);
    update.increments = std::move(segments);
    return make_update(spec(), std::move(update));
  };
  const Segment good{"control", floats({1.0F, 1.0F, 0.0F, 0.0F}), {}};

  EXPECT_FALSE(rule.add(with({}), 1).ok());
  EXPECT_FALSE(rule.add(with({{"other", good.payload, {}}}), 1).ok());
  EXPECT_FALSE(rule.add(with({good, {"other", good.payload, {}}}), 1).ok());
  EXPECT_FALSE(rule.add(with({{"control", floats({1e9F, 0.0F, 0.0F, 0.0F}), {}}}), 1).ok());
  EXPECT_FALSE(rule.add(with({{"control", floats({1.0F}), {}}}), 1).ok());
  EXPECT_TRUE(rule.weight().zero()) << "a refused update leaves nothing behind";
  EXPECT_TRUE(rule.add(with({good}), 1).ok());
}

// A discount belongs to the change of the model alone.
TEST(WeightedSum, SumsIncrementsUndiscountedInAnyTree) {
  const IncrementSegments increments{.names = {"control"},
                                     .scale = ExactScale::of_increments(Weight::from(8).value(), 4)};
  const ExactScale scale = ExactScale::fine(Weight::from(8).value(), 4, 10);
  const auto update = [](float value, double weight) {
    ClientUpdate made = changed_by({value, 0.0F, 0.0F, 0.0F}, weight);
    made.increments = {{"control", floats({value, 0.0F, 0.0F, 0.0F}), {}}};
    return make_update(spec(), std::move(made));
  };
  WeightedSum flat;
  WeightedSum below;
  WeightedSum above;
  for (WeightedSum* const each : {&flat, &below, &above}) { each->begin(spec(), scale, increments); }
  ASSERT_TRUE(flat.add(update(0.3F, 2), 512).ok());
  ASSERT_TRUE(flat.add(update(0.7F, 3), 512).ok());
  ASSERT_TRUE(below.add(update(0.7F, 3), 1024).ok());
  ASSERT_TRUE(below.add(update(0.3F, 2), 1024).ok());
  ASSERT_TRUE(above.add(below.forward(), 512).ok());

  const auto first_of = [](const WeightedSum& rule) {
    double first = 0.0;
    rule.visit_increments("control", [&first](std::size_t, std::span<const double> sums) { first = sums[0]; });
    return first;
  };
  EXPECT_NEAR(first_of(flat), 2 * 0.3 + 3 * 0.7, 1e-6);
  EXPECT_EQ(first_of(flat), first_of(above));
}

}  // namespace
}  // namespace tributary
