// SPDX-License-Identifier: Apache-2.0
// Inner nodes whose clients measure models, event by event.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "support/federation.hpp"
#include "support/node_recorder.hpp"
#include "support/small_nodes.hpp"
#include "tributary/nodes/client_node.hpp"
#include "tributary/nodes/inner_node.hpp"

namespace tributary {
namespace {

using ::testing::HasSubstr;
using testing::Recorder;
using testing::report;
using testing::spec;

// The root 0, aggregators 1 and 2, and two clients below each. Client c holds out as many samples as its number says.
const Tree& tree() {
  static const Tree kTree = testing::make_tree({2, 2, 2, 0, 0, 0, 0});
  return kTree;
}

InnerNodeSettings settings(NodeId self) {
  InnerNodeSettings made = testing::settings(self, tree().parent(self), tree().children(self));
  made.tree = &tree();
  made.rounds = 3;
  made.evaluation.every = 1;
  made.evaluation.samples =
      std::make_shared<const std::vector<std::uint64_t>>(std::vector<std::uint64_t>{18, 7, 11, 3, 4, 5, 6});
  return made;
}

RootState start() {
  return {.round = {}, .version = {}, .model = std::make_shared<std::vector<float>>(2, 0.0F)};
}

UpdateMessage measured(NodeId from, const TaskMessage& task, double samples, double loss) {
  ClientUpdate made = make_evaluation_update({.samples = 1, .metrics = {{"loss", loss}}}).value();
  made.weight = Weight::from(samples).value();
  Update update = make_update(spec(), std::move(made));
  update.bases = VersionSpread::of(task.version.value);
  update.id = {.node = from, .incarnation = task.key.incarnation, .number = task.key.number, .attempt = task.attempt};
  return {.key = task.key, .update = std::move(update)};
}

// A root with its first round trained, so that it asks for an evaluation; `tasks` are those that it has sent for it.
struct EvaluatingRoot {
  explicit EvaluatingRoot(InnerNodeSettings settings) : node(std::move(settings), start()) {
    node.on_start(context);
    for (const auto& [to, task] : context.take<TaskMessage>()) {
      EXPECT_EQ(task.key.kind, TaskKind::kTrain);
      node.on_message(context, to, report(to, task, 1.0F));
    }
    for (const auto& [to, task] : context.take<TaskMessage>()) { tasks.push_back(task); }
  }
  [[nodiscard]] std::string answer_to(NodeId from, Message message) {
    context.sent.clear();
    node.on_message(context, from, std::move(message));
    const auto answers = context.take<AcknowledgeMessage>();
    return answers.empty() ? "no answer" : answers.front().second.accepted ? "" : answers.front().second.reason;
  }

  Recorder context;
  InnerNode node;
  std::vector<TaskMessage> tasks;
};

TEST(InnerNodeEvaluation, ARootPublishesWhatClientsHaveMeasuredOfTheModelThatItHasCommitted) {
  EvaluatingRoot root(settings(NodeId{0}));

  ASSERT_EQ(root.tasks.size(), 2U);
  EXPECT_FALSE(root.context.published) << "before anything is measured";
  for (const TaskMessage& task : root.tasks) {
    EXPECT_EQ(task.key, (TaskKey{0, 1, TaskKind::kEvaluate}));
    EXPECT_EQ(task.version, Version{1});
    EXPECT_EQ(*task.model, (std::vector<float>{1.0F, 1.0F}));
    EXPECT_EQ(task.broadcast, nullptr);
  }
  EXPECT_EQ(root.answer_to(NodeId{1}, measured(NodeId{1}, root.tasks[0], 7, 1.0)), "");
  EXPECT_FALSE(root.context.published);
  EXPECT_EQ(root.answer_to(NodeId{2}, measured(NodeId{2}, root.tasks[1], 1, 5.0)), "");

  ASSERT_TRUE(root.context.published);
  const RoundReport& round = *root.context.published;
  EXPECT_EQ(round.version, Version{1});
  EXPECT_TRUE(round.committed);
  EXPECT_EQ(round.state.reported, 2U);
  ASSERT_TRUE(round.evaluation);
  EXPECT_EQ(round.evaluation->contributors, 2U);
  EXPECT_EQ(round.evaluation->samples, Weight::from(8).value());
  EXPECT_EQ(round.evaluation->scalars.at("loss").mean(), 1.5);
  EXPECT_TRUE(root.context.timers.empty());
  root.node.on_published(root.context, false, Version{1});
  const auto next = root.context.take<TaskMessage>();
  ASSERT_EQ(next.size(), 2U);
  EXPECT_EQ(next[0].second.key, (TaskKey{0, 2, TaskKind::kTrain}));
}

TEST(InnerNodeEvaluation, KeysOfEvaluationsLieBetweenThoseOfTwoRounds) {
  EXPECT_LT((TaskKey{0, 1, TaskKind::kTrain}), (TaskKey{0, 1, TaskKind::kEvaluate}));
  EXPECT_LT((TaskKey{0, 1, TaskKind::kEvaluate}), (TaskKey{0, 2, TaskKind::kTrain}));
}

// A run that is stopped then must not keep a model of a round that was never published.
TEST(InnerNodeEvaluation, UntilItIsPublishedTheModelIsNotTheRootsResult) {
  EvaluatingRoot root(settings(NodeId{0}));

  ASSERT_TRUE(root.node.published().model);
  EXPECT_EQ(*root.node.published().model, (std::vector<float>{0.0F, 0.0F}));
  EXPECT_EQ(root.answer_to(NodeId{1}, measured(NodeId{1}, root.tasks[0], 7, 1.0)), "");
  EXPECT_EQ(root.answer_to(NodeId{2}, measured(NodeId{2}, root.tasks[1], 7, 1.0)), "");
  EXPECT_EQ(*root.node.published().model, (std::vector<float>{1.0F, 1.0F}));
}

TEST(InnerNodeEvaluation, WhatIsNoMeasurementIsRefused) {
  EvaluatingRoot root(settings(NodeId{0}));
  const TaskMessage& task = root.tasks[0];
  const NodeId child{1};

  UpdateMessage too_many = measured(child, task, 7.5, 1.0);
  EXPECT_THAT(root.answer_to(child, too_many), HasSubstr("on 7.5 samples, and 7 at most"));
  EvaluatingRoot second(settings(NodeId{0}));
  UpdateMessage none = measured(child, task, 1, 1.0);
  none.update.weight = {};
  EXPECT_THAT(second.answer_to(child, none), HasSubstr("on 0 samples"));
  EvaluatingRoot third(settings(NodeId{0}));
  UpdateMessage with_vectors = measured(child, task, 1, 1.0);
  with_vectors.update.segments.push_back(
      {"delta", Payload::floats(std::make_shared<const std::vector<float>>(2, 1.0F)), {}});
  EXPECT_THAT(third.answer_to(child, with_vectors), HasSubstr("carries vectors"));
  EvaluatingRoot fourth(settings(NodeId{0}));
  UpdateMessage of_another_model = measured(child, task, 1, 1.0);
  of_another_model.update.fingerprint = {};
  EXPECT_THAT(fourth.answer_to(child, of_another_model), HasSubstr("the update is for the model"));
  EvaluatingRoot fifth(settings(NodeId{0}));
  UpdateMessage of_another_child = measured(NodeId{2}, task, 1, 1.0);
  EXPECT_THAT(fifth.answer_to(child, of_another_child), HasSubstr("not the one that was asked for"));
  // The answer to the round's task, late.
  EvaluatingRoot sixth(settings(NodeId{0}));
  TaskMessage of_round = task;
  of_round.key.kind = TaskKind::kTrain;
  EXPECT_EQ(sixth.answer_to(child, report(child, of_round, 1.0F)), "the round has closed");
  EXPECT_EQ(sixth.answer_to(NodeId{2}, measured(NodeId{2}, sixth.tasks[1], 11, 1.0)), "");
  EXPECT_FALSE(sixth.context.published);
}

TEST(InnerNodeEvaluation, AnUpdateOfARoundNeedsAChangeOfTheModel) {
  Recorder context;
  InnerNode root(settings(NodeId{0}), start());
  root.on_start(context);
  const auto tasks = context.take<TaskMessage>();

  UpdateMessage empty = measured(NodeId{1}, tasks[0].second, 1, 1.0);
  root.on_message(context, NodeId{1}, empty);

  EXPECT_THAT(context.take<AcknowledgeMessage>().at(0).second.reason, HasSubstr("no change of the model"));
}

TEST(InnerNodeEvaluation, ChildrenThatFailOrAreSilentAreLeftOut) {
  EvaluatingRoot root(settings(NodeId{0}));
  root.node.on_message(root.context, NodeId{1},
                       TaskFailedMessage{root.tasks[0].key, root.tasks[0].attempt, Code::kBadData, "no"});
  EXPECT_FALSE(root.context.published);
  root.node.on_unreachable(root.context, NodeId{2}, "its process is gone");

  ASSERT_TRUE(root.context.published);
  ASSERT_TRUE(root.context.published->evaluation);
  EXPECT_TRUE(root.context.published->committed) << "an evaluation never costs a round";
  EXPECT_EQ(root.context.published->evaluation->contributors, 0U);
  EXPECT_EQ(root.context.published->evaluation->state.failed, 1U);
  EXPECT_EQ(root.context.published->evaluation->state.lost, 1U);
}

TEST(InnerNodeEvaluation, AtTheDeadlineItGoesOnWithThoseThatHaveAnswered) {
  InnerNodeSettings made = settings(NodeId{0});
  made.evaluation.deadline = std::chrono::seconds(5);
  EvaluatingRoot root(std::move(made));
  EXPECT_EQ(root.context.timers.at(TimerId::kDeadline), std::chrono::seconds(5));
  EXPECT_EQ(root.answer_to(NodeId{2}, measured(NodeId{2}, root.tasks[0], 2, 3.0)), "") << "tasks differ in nothing";
  root.context.sent.clear();

  root.node.on_timer(root.context, TimerId::kDeadline);

  ASSERT_TRUE(root.context.published);
  EXPECT_EQ(root.context.published->evaluation->contributors, 1U);
  const auto cancelled = root.context.take<CancelMessage>();
  ASSERT_EQ(cancelled.size(), 1U);
  EXPECT_EQ(cancelled[0].first, NodeId{1});
  EXPECT_EQ(cancelled[0].second.key, root.tasks[0].key);
  EXPECT_EQ(root.context.notes.back().kind, NodeEvent::Kind::kCutOff);
}

TEST(InnerNodeEvaluation, AnAggregatorPassesTheQuestionOnAndSumsUpTheAnswers) {
  Recorder context;
  InnerNodeSettings made = settings(NodeId{1});
  made.local_rounds = 2;
  InnerNode aggregator(std::move(made));
  const TaskMessage task{.key = {.incarnation = 0, .number = 4, .kind = TaskKind::kEvaluate},
                         .version = Version{4},
                         .global_round = Round{4},
                         .model = std::make_shared<const std::vector<float>>(2, 9.0F)};
  aggregator.on_message(context, NodeId{0}, task);
  const auto asked = context.take<TaskMessage>();
  ASSERT_EQ(asked.size(), 2U);
  for (const auto& [to, passed_on] : asked) {
    EXPECT_EQ(passed_on.key.kind, TaskKind::kEvaluate);
    EXPECT_EQ(passed_on.key.number, 8U) << "after both local rounds of the parent's fourth";
    EXPECT_EQ(passed_on.global_round, Round{4});
    EXPECT_EQ(passed_on.model, task.model) << "as it came";
  }

  aggregator.on_message(context, NodeId{3}, measured(NodeId{3}, asked[0].second, 3, 1.0));
  aggregator.on_message(context, NodeId{4}, measured(NodeId{4}, asked[1].second, 1, 5.0));

  const auto sent = context.take<UpdateMessage>();
  ASSERT_EQ(sent.size(), 1U);
  EXPECT_EQ(sent[0].first, NodeId{0});
  const Update& update = sent[0].second.update;
  EXPECT_EQ(sent[0].second.key, task.key);
  EXPECT_TRUE(update.segments.empty());
  EXPECT_EQ(update.weight, Weight::from(4).value());
  EXPECT_EQ(update.contributors, 2U);
  EXPECT_EQ(update.scalars.at("loss").mean(), 2.0);
}

TEST(InnerNodeEvaluation, AnAggregatorWithoutAnAnswerSaysThatItHasFailed) {
  Recorder context;
  InnerNode aggregator(settings(NodeId{1}));
  const TaskMessage task{.key = {.incarnation = 0, .number = 1, .kind = TaskKind::kEvaluate},
                         .model = std::make_shared<const std::vector<float>>(2, 9.0F)};
  aggregator.on_message(context, NodeId{0}, task);
  for (const auto& [to, asked] : context.take<TaskMessage>()) {
    aggregator.on_message(context, to, TaskFailedMessage{asked.key, asked.attempt, Code::kBadData, "no"});
  }

  const auto failed = context.take<TaskFailedMessage>();
  ASSERT_EQ(failed.size(), 1U);
  EXPECT_EQ(failed[0].second.key, task.key);
  EXPECT_EQ(failed[0].second.reason, "no; so none of 2 children reported, and 1 was needed");
}

// A task of the next round replaces it, and the other way round.
TEST(InnerNodeEvaluation, AnAggregatorTurnsToTheNewerTask) {
  Recorder context;
  InnerNode aggregator(settings(NodeId{1}));
  TaskMessage task{.key = {.incarnation = 0, .number = 1, .kind = TaskKind::kTrain},
                   .model = std::make_shared<const std::vector<float>>(2, 9.0F)};
  aggregator.on_message(context, NodeId{0}, task);
  const auto trained = context.take<TaskMessage>();
  task.key.kind = TaskKind::kEvaluate;
  aggregator.on_message(context, NodeId{0}, task);
  EXPECT_EQ(std::ranges::count_if(context.sent,
                                  [](const auto& sent) { return std::holds_alternative<CancelMessage>(sent.second); }),
            2);
  const auto evaluated = context.take<TaskMessage>();
  ASSERT_EQ(evaluated.size(), 2U);
  EXPECT_GT(evaluated[0].second.key, trained[0].second.key);
  task.key = {.incarnation = 0, .number = 2, .kind = TaskKind::kTrain};
  aggregator.on_message(context, NodeId{0}, task);
  const auto next = context.take<TaskMessage>();
  ASSERT_EQ(next.size(), 2U);
  EXPECT_GT(next[0].second.key, evaluated[0].second.key);

  aggregator.on_message(context, NodeId{3}, report(NodeId{3}, next[0].second, 1.0F));
  aggregator.on_message(context, NodeId{4}, report(NodeId{4}, next[1].second, 3.0F));

  const auto sent = context.take<UpdateMessage>();
  ASSERT_EQ(sent.size(), 1U);
  EXPECT_EQ(sent[0].second.update.segments.size(), 1U);
  // The same evaluation again, of a parent that started anew from before it: under keys that are later still.
  task.key = {.incarnation = 1U << 16U, .number = 1, .kind = TaskKind::kEvaluate};
  aggregator.on_message(context, NodeId{0}, task);
  const auto again = context.take<TaskMessage>();
  ASSERT_EQ(again.size(), 2U);
  EXPECT_GT(again[0].second.key, next[0].second.key);
}

TEST(InnerNodeEvaluation, OfTheClientsTheShareIsAskedAndNobodyWithoutSamples) {
  constexpr std::uint32_t kClients = 40;
  const Tree star = testing::make_tree(testing::balanced_counts(kClients, 1));
  auto samples = std::make_shared<std::vector<std::uint64_t>>(kClients + 1, 1);
  for (std::uint32_t client = 1; client <= 10; ++client) { (*samples)[client] = 0; }
  std::vector<std::vector<std::uint32_t>> asked;
  for (const double fraction : {0.1, 0.1 + 1e-12, 1.0}) {
    InnerNodeSettings made = testing::settings(NodeId{0}, NodeId{0}, star.children(NodeId{0}));
    made.tree = &star;
    made.evaluation = {.every = 1, .fraction = fraction, .samples = samples};
    Recorder context;
    InnerNode root(std::move(made), start());
    root.on_start(context);
    for (std::uint64_t round = 1; round <= 2; ++round) {
      for (const auto& [to, task] : context.take<TaskMessage>()) {
        root.on_message(context, to, report(to, task, 1.0F));
      }
      std::vector<std::uint32_t>& here = asked.emplace_back();
      for (const auto& [to, task] : context.take<TaskMessage>()) {
        here.push_back(to.value);
        root.on_message(context, to, measured(to, task, 1, 1.0));
      }
      EXPECT_GT(*std::ranges::min_element(here), 10U);
      root.on_published(context, false, Version{round});
    }
  }
  EXPECT_EQ(asked[0].size(), 3U);
  EXPECT_EQ(asked[2].size(), 3U) << "no more for a rounding error";
  EXPECT_EQ(asked[4].size(), 30U);
  EXPECT_NE(asked[0], asked[1]) << "drawn anew";
  EXPECT_EQ(asked[0], asked[2]) << "from the seed";
}

TEST(InnerNodeEvaluation, OnlySomeRoundsAndTheLastAreEvaluated) {
  InnerNodeSettings made = settings(NodeId{0});
  made.rounds = 5;
  made.evaluation.every = 2;
  Recorder context;
  InnerNode root(std::move(made), start());
  root.on_start(context);
  std::vector<std::uint64_t> evaluated;
  for (std::uint64_t round = 1; round <= 5; ++round) {
    for (const auto& [to, task] : context.take<TaskMessage>()) { root.on_message(context, to, report(to, task, 1.0F)); }
    const auto tasks = context.take<TaskMessage>();
    if (!tasks.empty()) { evaluated.push_back(round); }
    for (const auto& [to, task] : tasks) { root.on_message(context, to, measured(to, task, 1, 1.0)); }
    ASSERT_TRUE(context.published);
    EXPECT_EQ(context.published->evaluation.has_value(), !tasks.empty());
    root.on_published(context, false, Version{round});
  }
  EXPECT_EQ(evaluated, (std::vector<std::uint64_t>{2, 4, 5}));
}

TEST(ClientNodeEvaluation, AClientMeasuresAndItsStateIsNotAskedFor) {
  Recorder context;
  ClientNode client(NodeId{3}, NodeId{1}, spec(), {});
  const TaskMessage task{.key = {.incarnation = 0, .number = 1, .kind = TaskKind::kEvaluate},
                         .model = std::make_shared<const std::vector<float>>(2, 9.0F),
                         .epoch = 7};
  client.on_message(context, NodeId{1}, task);
  ASSERT_TRUE(context.training);
  EXPECT_EQ(context.training->key, task.key);
  EXPECT_EQ(context.training->state, nullptr);

  client.on_trained(context, task.key, make_evaluation_update({.samples = 5, .metrics = {{"f1", 0.5}}}));

  const auto sent = context.take<UpdateMessage>();
  ASSERT_EQ(sent.size(), 1U);
  EXPECT_TRUE(sent[0].second.update.segments.empty());
  EXPECT_TRUE(sent[0].second.update.members.empty());
  EXPECT_EQ(sent[0].second.update.weight, Weight::from(5).value());
  EXPECT_EQ(sent[0].second.update.scalars.at("f1").mean(), 0.5);
}

TEST(ClientNodeEvaluation, AMeasurementOnNothingIsNone) {
  EXPECT_EQ(make_evaluation_update({.samples = 0, .metrics = {}}).status().code(), Code::kBadData);
  EXPECT_EQ(make_evaluation_update({.samples = ~std::uint64_t{0}, .metrics = {}}).status().code(), Code::kBadData);
  Metrics many;
  for (std::size_t i = 0; i <= kMostClientScalars; ++i) { many[std::to_string(i)] = 1.0; }
  EXPECT_EQ(make_evaluation_update({.samples = 1, .metrics = many}).status().code(), Code::kInvalidArgument);
}

}  // namespace
}  // namespace tributary
