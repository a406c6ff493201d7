// SPDX-License-Identifier: Apache-2.0
// Nodes with a continuous policy, event by event, without a driver.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <vector>

#include "support/node_recorder.hpp"
#include "support/small_nodes.hpp"
#include "tributary/aggregators/buffered.hpp"
#include "tributary/nodes/inner_node.hpp"

namespace tributary {
namespace {

using testing::Recorder;
using testing::report;
using testing::settings;

InnerNode continuous_root(Tree::Children children, PolicySettings policy, std::uint32_t buffer) {
  InnerNodeSettings made = settings(NodeId{0}, NodeId{0}, children);
  made.rounds = 100;
  policy.discount = PolicySettings::Discount::kConstant;
  made.policy = std::make_unique<BufferedPolicy>(policy, buffer);
  made.scale = ExactScale::fine(Weight::from(100).value(), 100, made.policy->discount_bits());
  return InnerNode(std::move(made),
                   RootState{.round = {}, .version = {}, .model = std::make_shared<std::vector<float>>(2, 0.0F)});
}

const TaskMessage& task_of(const std::vector<std::pair<NodeId, TaskMessage>>& tasks, NodeId child) {
  return std::ranges::find(tasks, child, &std::pair<NodeId, TaskMessage>::first)->second;
}

TEST(InnerNode, AContinuousTaskOutlivesCommits) {
  Recorder context;
  InnerNode root = continuous_root({1, 2}, {}, 1);
  root.on_start(context);
  const auto first = context.take<TaskMessage>();
  ASSERT_EQ(first.size(), 2U);
  EXPECT_NE(first[0].second.key, first[1].second.key) << "each child has a task of its own";
  root.on_message(context, NodeId{1}, report(NodeId{1}, task_of(first, NodeId{1}), 1.0F));
  ASSERT_TRUE(context.published);
  const auto second = context.take<TaskMessage>();
  ASSERT_EQ(second.size(), 1U) << "only whoever has nothing to do is asked";
  EXPECT_EQ(second[0].second.version, Version{1});
  root.on_published(context, false, Version{UINT64_MAX});
  context.published.reset();

  root.on_message(context, NodeId{2}, report(NodeId{2}, task_of(first, NodeId{2}), 2.0F));

  ASSERT_TRUE(context.published);
  EXPECT_EQ(context.published_model, (std::vector<float>{3.0F, 3.0F}));
  EXPECT_EQ(context.published->staleness.most, 1U);
}

// W <- (1 - a) W + a x_i, x_i being the base that the client had and its change.
TEST(InnerNode, AModelIsMixedWithTheOneThatTheClientMade) {
  Recorder context;
  InnerNode root = continuous_root({1, 2}, {.mixing = 0.5}, 1);
  root.on_start(context);
  auto first = context.take<TaskMessage>();
  root.on_message(context, NodeId{1}, report(NodeId{1}, task_of(first, NodeId{1}), 4.0F));
  ASSERT_TRUE(context.published);
  EXPECT_EQ(context.published_model, (std::vector<float>{2.0F, 2.0F}));
  root.on_published(context, false, Version{UINT64_MAX});
  context.published.reset();
  const Message late = report(NodeId{2}, task_of(first, NodeId{2}), 1.0F);
  first.clear();  // nobody but the node holds its base

  root.on_message(context, NodeId{2}, late);

  ASSERT_TRUE(context.published);
  EXPECT_EQ(context.published_model, (std::vector<float>{1.5F, 1.5F})) << "0.5 * 2 + 0.5 * (0 + 1)";
}

TEST(InnerNode, AContinuousTaskIsSentAgainWithItsModelWhileThatExists) {
  Recorder context;
  InnerNode root = continuous_root({1, 2}, {}, 1);
  root.on_start(context);
  auto first = context.take<TaskMessage>();
  const TaskKey key = task_of(first, NodeId{2}).key;
  root.on_message(context, NodeId{1}, report(NodeId{1}, task_of(first, NodeId{1}), 1.0F));
  context.sent.clear();

  root.on_message(context, NodeId{2}, WorkingMessage{.key = key, .known = false});
  {
    const auto again = context.take<TaskMessage>();
    ASSERT_EQ(again.size(), 1U);
    EXPECT_EQ(again[0].second.key, key);
    EXPECT_EQ(again[0].second.version, Version{0});
    EXPECT_EQ(*again[0].second.model, (std::vector<float>{0.0F, 0.0F}));
  }

  first.clear();  // nobody holds the model of version 0 any more
  root.on_message(context, NodeId{2}, WorkingMessage{.key = key, .known = false});
  const auto anew = context.take<TaskMessage>();
  ASSERT_EQ(anew.size(), 1U);
  EXPECT_GT(anew[0].second.key, key);
  EXPECT_EQ(anew[0].second.version, Version{1});
  EXPECT_EQ(*anew[0].second.model, (std::vector<float>{1.0F, 1.0F}));
}

// A root that nobody else reads from moves its model where it is: what it was is gone.
TEST(InnerNode, AContinuousTaskWhoseModelWasMovedInPlaceStartsFromThePresentOne) {
  Recorder context;
  InnerNode root = continuous_root({1, 2}, {}, 1);
  root.on_start(context);
  std::map<NodeId, TaskMessage> open;
  const auto look = [&context, &open] {
    for (auto& [to, task] : context.take<TaskMessage>()) {
      task.model.reset();
      open[to] = std::move(task);
    }
  };
  look();
  // The first commit is published, and so kept; the second makes a model that the third moves.
  for (const std::uint32_t child : {1U, 1U, 2U}) {
    root.on_message(context, NodeId{child}, report(NodeId{child}, open.at(NodeId{child}), 1.0F));
    look();
  }
  const TaskMessage before = open.at(NodeId{1});
  EXPECT_EQ(before.version, Version{2});

  root.on_message(context, NodeId{1}, WorkingMessage{.key = before.key, .known = false});

  const auto anew = context.take<TaskMessage>();
  ASSERT_EQ(anew.size(), 1U);
  EXPECT_GT(anew[0].second.key, before.key);
  EXPECT_EQ(anew[0].second.version, Version{3}) << "a change of the new model must not pass for one of the old";
}

// Of one client, whom it asks again after each of its updates.
InnerNode continuous_aggregator(bool own_model) {
  InnerNodeSettings made = settings(NodeId{1}, NodeId{0}, {2, 1});
  made.own_model = own_model;
  made.policy = std::make_unique<BufferedPolicy>(PolicySettings{.discount = PolicySettings::Discount::kConstant}, 1);
  return InnerNode(std::move(made));
}

TaskMessage parents_task(TaskKey key, std::uint64_t version, float value, TaskKey decided) {
  return {.key = key,
          .attempt = Attempt{1},
          .version = Version{version},
          .global_round = Round{version + 1},
          .decided = decided,
          .model = std::make_shared<const std::vector<float>>(2, value)};
}

class UndecidedAnswer : public ::testing::TestWithParam<bool> {
 protected:
  // The client's change of 1 is merged and sent to the parent as the answer to task 1.
  UndecidedAnswer() {
    aggregator_.on_message(context_, NodeId{0}, parents_task({0, 1}, 0, 10.0F, {}));
    const TaskMessage first = context_.take<TaskMessage>().at(0).second;
    aggregator_.on_message(context_, NodeId{2}, report(NodeId{2}, first, 1.0F));
    const auto answers = context_.take<UpdateMessage>();
    EXPECT_EQ(answers.size(), 1U);
    sent_ = answers.at(0).second.update;
  }
  // What is answered at once to a task whose parent tells what it has decided on.
  std::vector<std::pair<NodeId, UpdateMessage>> answers_to(TaskKey key, TaskKey decided) {
    context_.notes.clear();
    context_.sent.clear();
    aggregator_.on_message(context_, NodeId{0}, parents_task(key, 5, 20.0F, decided));
    return context_.take<UpdateMessage>();
  }

  Recorder context_;
  InnerNode aggregator_ = continuous_aggregator(GetParam());
  Update sent_;
};

TEST_P(UndecidedAnswer, IsSentAgainUnderTheNextTask) {
  const auto answers = answers_to({0, 2}, {});

  ASSERT_EQ(answers.size(), 1U);
  EXPECT_EQ(answers[0].second.key, (TaskKey{0, 2}));
  EXPECT_EQ(answers[0].second.update.id.number, 2U);
  EXPECT_EQ(answers[0].second.update.bases, sent_.bases);
  EXPECT_EQ(answers[0].second.update.weight, sent_.weight);
  EXPECT_EQ(answers[0].second.update.segments[0].payload.bytes().data(), sent_.segments[0].payload.bytes().data());
}

// 20 of the parent, 1 that was sent and is not decided, and 1 that is merged now.
TEST_P(UndecidedAnswer, IsInTheModelThatChildrenAreGivenWhereTheNodeMovesOne) {
  if (!GetParam()) { return; }
  TaskMessage second;
  second.key = {0, 2};
  second.version = Version{2};
  answers_to({0, 2}, {});

  aggregator_.on_message(context_, NodeId{2}, report(NodeId{2}, second, 1.0F));

  const auto tasks = context_.take<TaskMessage>();
  ASSERT_EQ(tasks.size(), 1U);
  EXPECT_EQ(*tasks[0].second.model, (std::vector<float>{22.0F, 22.0F}));
}

TEST_P(UndecidedAnswer, ThatWasDecidedIsNotSentAgain) {
  EXPECT_TRUE(answers_to({0, 2}, {0, 1}).empty());
  EXPECT_TRUE(context_.notes.empty());
}

TEST_P(UndecidedAnswer, OfALaterPhaseOfTheSameParentIsSentAgain) {
  EXPECT_EQ(answers_to({1, 1}, {}).size(), 1U) << "it repeats its round, and knows what it has counted";
}

TEST_P(UndecidedAnswer, IsGivenUpAndNotedWhereTheParentHasStartedAnew) {
  EXPECT_TRUE(answers_to({1U << 16U, 1}, {}).empty()) << "it may have counted it before";
  ASSERT_EQ(context_.notes.size(), 1U);
  EXPECT_EQ(context_.notes[0].kind, NodeEvent::Kind::kLate);
}

INSTANTIATE_TEST_SUITE_P(EdgeModels, UndecidedAnswer, ::testing::Bool(),
                         [](const auto& edge_model) { return edge_model.param ? "Own" : "Forward"; });

// An aggregator that answers after three commits; of its two clients the first has made a change of 1, and the second
// works, when the parent's model goes from 10 to 20.
struct Adopting {
  explicit Adopting(Adoption adoption) : node(make(adoption)) {
    node.on_message(context, NodeId{0}, parents_task({0, 1}, 0, 10.0F, {}));
    before = context.take<TaskMessage>();
    EXPECT_EQ(before.size(), 2U);
    node.on_message(context, NodeId{2}, report(NodeId{2}, task_of(before, NodeId{2}), 1.0F));
    EXPECT_EQ(context.take<TaskMessage>().size(), 1U);
    node.on_message(context, NodeId{0}, parents_task({0, 2}, 1, 20.0F, {}));
    at_adoption = context.take<TaskMessage>();
  }
  static InnerNode make(Adoption adoption) {
    InnerNodeSettings made = settings(NodeId{1}, NodeId{0}, {2, 2});
    made.local_rounds = 3;
    made.adoption = adoption;
    made.policy = std::make_unique<BufferedPolicy>(PolicySettings{.discount = PolicySettings::Discount::kConstant}, 1);
    return InnerNode(std::move(made));
  }
  // What the second client is given after its change of 2, made from the model of before.
  std::vector<float> model_after_the_second() {
    node.on_message(context, NodeId{3}, report(NodeId{3}, task_of(before, NodeId{3}), 2.0F));
    const auto tasks = context.take<TaskMessage>();
    return tasks.size() == 1 ? *tasks[0].second.model : std::vector<float>();
  }

  Recorder context;
  InnerNode node;
  std::vector<std::pair<NodeId, TaskMessage>> before;
  std::vector<std::pair<NodeId, TaskMessage>> at_adoption;
};

TEST(Adoption, RebasesWhatWasMerged) {
  Adopting aggregator(Adoption::kRebase);
  EXPECT_TRUE(aggregator.at_adoption.empty()) << "those that work are not disturbed";
  EXPECT_EQ(aggregator.model_after_the_second(), (std::vector<float>{23.0F, 23.0F})) << "20, and 1, and 2";
}

TEST(Adoption, ReplacesWhatWasMergedAndSaysSo) {
  Adopting aggregator(Adoption::kReplace);
  EXPECT_TRUE(aggregator.at_adoption.empty());
  ASSERT_EQ(aggregator.context.notes.size(), 1U);
  EXPECT_EQ(aggregator.context.notes[0].kind, NodeEvent::Kind::kLate);
  EXPECT_NE(aggregator.context.notes[0].detail.find("what 1 client had done since the last answer is discarded"),
            std::string::npos);
  EXPECT_EQ(aggregator.model_after_the_second(), (std::vector<float>{22.0F, 22.0F})) << "20, and 2";
}

TEST(Adoption, LetsChildrenBeginAgain) {
  Adopting aggregator(Adoption::kAbortChildren);
  ASSERT_EQ(aggregator.at_adoption.size(), 2U);
  for (const auto& [child, task] : aggregator.at_adoption) {
    EXPECT_GT(task.key, task_of(aggregator.before, child).key);
    EXPECT_EQ(*task.model, (std::vector<float>{21.0F, 21.0F})) << "20, and 1";
  }
  EXPECT_TRUE(aggregator.model_after_the_second().empty()) << "what was begun before is not counted";
  aggregator.before = aggregator.at_adoption;
  EXPECT_EQ(aggregator.model_after_the_second(), (std::vector<float>{23.0F, 23.0F}));
}

TEST(InnerNode, AForwardingAggregatorKeepsItsSumsUntilThereIsATaskToAnswer) {
  Recorder context;
  InnerNode aggregator = continuous_aggregator(false);
  aggregator.on_message(context, NodeId{0}, parents_task({0, 1}, 0, 10.0F, {}));
  for (const float change : {1.0F, 2.0F}) {
    const auto tasks = context.take<TaskMessage>();
    ASSERT_EQ(tasks.size(), 1U);
    aggregator.on_message(context, NodeId{2}, report(NodeId{2}, tasks[0].second, change));
    if (change == 1.0F) {
      EXPECT_TRUE(std::holds_alternative<UpdateMessage>(context.sent[1].second)) << "the answer";
      aggregator.on_message(context, NodeId{0}, AcknowledgeMessage{.key = {0, 1}, .accepted = true});
    }
  }
  EXPECT_TRUE(context.take<UpdateMessage>().empty()) << "nobody has asked for more";

  aggregator.on_message(context, NodeId{0}, parents_task({0, 2}, 1, 20.0F, {0, 1}));

  const auto answers = context.take<UpdateMessage>();
  ASSERT_EQ(answers.size(), 1U);
  EXPECT_EQ(answers[0].second.key, (TaskKey{0, 2}));
  WeightedSum sum;
  sum.begin(testing::spec(), ExactScale::fine(Weight::from(100).value(), 100));
  ASSERT_TRUE(sum.add(answers[0].second.update, 1).ok());
  sum.mean([](std::size_t, std::span<const double> means) { EXPECT_DOUBLE_EQ(means[0], 2.0); });
}

TEST(InnerNode, AnAggregatorIsToldWhatWasDecidedOfItsUpdates) {
  for (const bool told : {true, false}) {
    Recorder context;
    InnerNodeSettings made = settings(NodeId{0}, NodeId{0}, {1, 1});
    made.rounds = 100;
    made.tell_decided = told;
    made.policy = std::make_unique<BufferedPolicy>(PolicySettings{.max_staleness = 0}, 1);
    InnerNode root(std::move(made),
                   RootState{.round = {}, .version = {}, .model = std::make_shared<std::vector<float>>(2, 0.0F)});
    root.on_start(context);
    const TaskMessage first = context.take<TaskMessage>().at(0).second;
    EXPECT_EQ(first.decided, TaskKey{});

    root.on_message(context, NodeId{1}, report(NodeId{1}, first, 1.0F));
    root.on_published(context, false, Version{UINT64_MAX});
    const TaskMessage second = context.take<TaskMessage>().at(0).second;
    EXPECT_EQ(second.decided, told ? first.key : TaskKey{}) << "counted";

    TaskMessage stale = second;
    stale.version = Version{0};
    root.on_message(context, NodeId{1}, report(NodeId{1}, stale, 1.0F));
    const auto third = context.take<TaskMessage>();
    ASSERT_EQ(third.size(), 1U);
    EXPECT_EQ(third.at(0).second.decided, told ? second.key : TaskKey{}) << "refused, because it is too stale";
  }
}

// What is kept when a run halts is what its records say.
TEST(InnerNode, APublishedModelDoesNotMoveWithCommitsThatAreNotPublished) {
  Recorder context;
  InnerNode root = continuous_root({1, 3}, {}, 1);
  EXPECT_EQ(*root.published().model, (std::vector<float>{0.0F, 0.0F}));
  root.on_start(context);
  const auto tasks = context.take<TaskMessage>();

  for (const std::uint32_t child : {1U, 2U, 3U}) {
    root.on_message(context, NodeId{child}, report(NodeId{child}, task_of(tasks, NodeId{child}), 1.0F));
    EXPECT_EQ(*root.published().model, (std::vector<float>{1.0F, 1.0F}));
  }
  root.on_published(context, false, Version{UINT64_MAX});

  EXPECT_EQ(*root.published().model, (std::vector<float>{3.0F, 3.0F}));
}

// A run that would go on with a fresh optimizer would train another model, and say nothing.
TEST(InnerNode, ARootWhoseOptimizerHasLostItsStateDoesNotGoOn) {
  const auto outcome_of = [](Version version, const Snapshot& snapshot) {
    Recorder context;
    InnerNodeSettings made = settings(NodeId{0}, NodeId{0}, {1, 1});
    made.rounds = 9;
    made.optimizer = std::make_unique<FedAvgM>(ServerOptimizerSettings{});
    RootState state{.round = Round{version.value}, .version = version, .model = {}, .snapshot = snapshot};
    state.model = std::make_shared<std::vector<float>>(2, 0.0F);
    InnerNode root(std::move(made), std::move(state));
    root.on_start(context);
    return context.outcome;
  };
  Snapshot whole;
  whole.vectors["optimizer/m"] = std::make_shared<const std::vector<double>>(2, 0.5);
  Snapshot foreign = whole;
  foreign.vectors["somebody/m"] = whole.vectors["optimizer/m"];

  EXPECT_FALSE(outcome_of(Version{0}, {})) << "it begins";
  EXPECT_FALSE(outcome_of(Version{3}, whole)) << "it goes on";
  ASSERT_TRUE(outcome_of(Version{3}, {}));
  EXPECT_EQ(outcome_of(Version{3}, {})->code(), Code::kBadData);
  ASSERT_TRUE(outcome_of(Version{3}, foreign));
  EXPECT_EQ(outcome_of(Version{3}, foreign)->code(), Code::kBadData);
}

TEST(InnerNode, EachSilentChildOfAContinuousNodeIsAskedByItselfAndThenReplaced) {
  Recorder context;
  InnerNode root = continuous_root({1, 3}, {.concurrency = 1}, 1);
  root.on_start(context);
  const NodeId silent = context.take<TaskMessage>().at(0).first;
  std::vector<std::chrono::nanoseconds> pauses;
  std::vector<NodeId> asked;
  for (int question = 0; question < 9; ++question) {
    pauses.push_back(context.timers.at(TimerId::kProbe));
    context.timers.erase(TimerId::kProbe);
    context.sent.clear();
    root.on_timer(context, TimerId::kProbe);
    for (const auto& [to, message] : context.sent) {
      if (std::holds_alternative<ProbeMessage>(message)) { EXPECT_EQ(to, silent); }
      if (std::holds_alternative<TaskMessage>(message)) { asked.push_back(to); }
    }
  }

  EXPECT_EQ(pauses[0], std::chrono::seconds(1));
  EXPECT_EQ(pauses[1], std::chrono::seconds(2));
  EXPECT_EQ(*std::ranges::max_element(pauses), std::chrono::seconds(30));
  EXPECT_EQ(context.notes.back().kind, NodeEvent::Kind::kLost);
  ASSERT_EQ(asked.size(), 1U);
  EXPECT_NE(asked[0], silent);
}

TEST(InnerNode, CommitsDuringAPublicationArePublishedTogether) {
  Recorder context;
  InnerNode root = continuous_root({1, 3}, {}, 1);
  root.on_start(context);
  const auto tasks = context.take<TaskMessage>();
  for (const std::uint32_t child : {1U, 2U, 3U}) {
    root.on_message(context, NodeId{child}, report(NodeId{child}, task_of(tasks, NodeId{child}), 1.0F));
  }
  EXPECT_EQ(context.published->round, Round{1});
  context.published.reset();

  root.on_published(context, false, Version{UINT64_MAX});

  ASSERT_TRUE(context.published);
  EXPECT_EQ(context.published->round, Round{3});
  EXPECT_EQ(context.published->version, Version{3});
  EXPECT_EQ(context.published->commits, 2U);
  EXPECT_EQ(context.published->contributors, 2U);
  EXPECT_EQ(context.published->staleness.updates, 2U);
  EXPECT_EQ(context.published->state.reported, 2U);
  EXPECT_EQ(context.published->state.expected(), 2U) << "at work when the last of them ended";
  EXPECT_EQ(context.published_model, (std::vector<float>{3.0F, 3.0F}));
}

TEST(InnerNode, AContinuousRunEndsAfterItsCommitsAndCancelsWhatIsOut) {
  Recorder context;
  InnerNodeSettings made = settings(NodeId{0}, NodeId{0}, {1, 3});
  made.rounds = 1;
  made.policy = std::make_unique<BufferedPolicy>(PolicySettings{}, 1);
  InnerNode root(std::move(made),
                 RootState{.round = {}, .version = {}, .model = std::make_shared<std::vector<float>>(2, 0.0F)});
  root.on_start(context);
  const auto tasks = context.take<TaskMessage>();
  root.on_message(context, tasks[0].first, report(tasks[0].first, tasks[0].second, 1.0F));

  EXPECT_EQ(context.take<CancelMessage>().size(), 2U);
  EXPECT_FALSE(context.outcome);
  root.on_published(context, false, Version{UINT64_MAX});
  ASSERT_TRUE(context.outcome);
  EXPECT_TRUE(context.outcome->ok());
  EXPECT_TRUE(context.timers.empty());
}

}  // namespace
}  // namespace tributary
