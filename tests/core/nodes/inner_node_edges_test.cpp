// SPDX-License-Identifier: Apache-2.0
// Inner nodes of a method whose states are settled on each edge of the tree, event by event.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "support/federation.hpp"
#include "support/node_recorder.hpp"
#include "support/small_nodes.hpp"
#include "tributary/aggregators/mtgc.hpp"
#include "tributary/nodes/inner_node.hpp"

namespace tributary {
namespace {

using testing::Recorder;
using testing::spec;
using Agreement = DecisionMessage::Agreement;

constexpr std::uint64_t kEpoch = 1000;

// The root 0, aggregators 1 and 2, and two clients below each, that weigh 1.
const Tree& tree() {
  static const Tree kTree = testing::make_tree({2, 2, 2, 0, 0, 0, 0});
  return kTree;
}

InnerNodeSettings settings(NodeId self, std::uint32_t incarnation = 0) {
  InnerNodeSettings made = testing::settings(self, tree().parent(self), tree().children(self));
  made.incarnation = incarnation;
  made.tree = &tree();
  made.method = std::make_shared<Mtgc>(LocalMethodSettings{.grid_bits = 20});
  made.keeps_states = true;
  made.increments = {.names = {"control"}, .scale = ExactScale::of_increments(Weight::from(100).value(), 100)};
  auto registered = std::make_shared<std::vector<Weight>>(7, Weight::from(1).value());
  (*registered)[0] = Weight::from(4).value();
  (*registered)[1] = (*registered)[2] = Weight::from(2).value();
  made.weight_bounds = registered;
  made.registered = std::move(registered);
  return made;
}

Payload floats(std::vector<float> values) {
  return Payload::floats(std::make_shared<const std::vector<float>>(std::move(values)));
}

TaskMessage task_of_root(std::uint64_t number, std::uint64_t epoch = kEpoch, float variate = 0.0F) {
  return {.key = {.incarnation = 0, .number = number},
          .version = Version{number - 1},
          .global_round = Round{number},
          .model = std::make_shared<const std::vector<float>>(2, 0.0F),
          .broadcast = std::make_shared<const std::vector<Segment>>(
              std::vector<Segment>{{"control", floats({variate, variate}), {}}}),
          .epoch = epoch};
}

// What a child answers: its change, what its state grows by, and how many increments it has made.
Message update_of(NodeId from, const TaskMessage& task, float change, float increment, std::uint64_t sequence,
                  double weight = 1.0) {
  ClientUpdate made;
  made.delta = floats({change, change});
  made.weight = Weight::from(weight).value();
  made.metrics["local_rate_sum"] = 0.5;
  made.increments = {{"control", floats({increment, increment}), {}}};
  Update update = make_update(spec(), std::move(made));
  update.bases = VersionSpread::of(task.version.value);
  update.members = {{from, sequence}};
  update.epoch = task.epoch;
  update.id = {.node = from, .incarnation = task.key.incarnation, .number = task.key.number, .attempt = task.attempt};
  return UpdateMessage{.key = task.key, .update = std::move(update)};
}

DecisionMessage decision(const InquiryMessage& inquiry, Agreement agreement, Fate fate = Fate::kCounted) {
  DecisionMessage made{.client = inquiry.client,
                       .epoch = inquiry.epoch,
                       .agreement = agreement,
                       .settled = inquiry.settled,
                       .newest = inquiry.undecided.empty() ? inquiry.settled : inquiry.undecided.back(),
                       .fates = {}};
  for (const std::uint64_t sequence : inquiry.sequences) { made.fates.push_back({sequence, fate}); }
  return made;
}

std::vector<float> variate_in(const TaskMessage& task) {
  return *task.broadcast->front().payload.shared_floats();
}

class Edges : public ::testing::Test {
 protected:
  // Gives the aggregator a task and answers its question; what its children are given.
  std::vector<std::pair<NodeId, TaskMessage>> begin(InnerNode& node, const TaskMessage& task) {
    node.on_message(context, NodeId{0}, task);
    const auto asked = context.take<InquiryMessage>();
    EXPECT_EQ(asked.size(), 1U);
    if (asked.empty()) { return {}; }
    inquiry = asked.front().second;
    node.on_message(context, NodeId{0}, decision(inquiry, Agreement::kAgrees));
    return context.take<TaskMessage>();
  }

  // The answer to a round in which both children change the model so.
  UpdateMessage round(InnerNode& node, const TaskMessage& task, float change, float increment, std::uint64_t sequence) {
    const auto tasks = begin(node, task);
    EXPECT_EQ(tasks.size(), 2U);
    for (const auto& [child, given] : tasks) {
      node.on_message(context, child, update_of(child, given, change, increment, sequence));
    }
    const auto answers = context.take<UpdateMessage>();
    EXPECT_EQ(answers.size(), 1U);
    return answers.empty() ? UpdateMessage{} : answers.front().second;
  }

  Recorder context;
  InquiryMessage inquiry;
};

TEST_F(Edges, AnAggregatorHearsOfItsOwnStateBeforeItAsksItsChildren) {
  InnerNode node(settings(NodeId{1}));
  node.on_message(context, NodeId{0}, task_of_root(1, kEpoch, 0.25F));

  EXPECT_TRUE(context.take<TaskMessage>().empty());
  ASSERT_TRUE(context.timers.contains(TimerId::kProbe));
  node.on_timer(context, TimerId::kProbe);  // nobody has answered
  const auto asked = context.take<InquiryMessage>();
  ASSERT_EQ(asked.size(), 1U);
  EXPECT_EQ(asked[0].first, NodeId{0});
  EXPECT_EQ(asked[0].second.client, NodeId{1});
  EXPECT_EQ(asked[0].second.epoch, kEpoch);

  node.on_message(context, NodeId{0}, decision(asked[0].second, Agreement::kAgrees));
  const auto tasks = context.take<TaskMessage>();
  ASSERT_EQ(tasks.size(), 2U);
  EXPECT_EQ(variate_in(tasks[0].second), (std::vector<float>{0.25F, 0.25F}));
}

TEST_F(Edges, ItsAnswerHoldsWhatItsOwnStateGrowsByAndNothingOfItsChildrens) {
  InnerNode node(settings(NodeId{1}));
  const UpdateMessage answer = round(node, task_of_root(1, kEpoch, 0.25F), -0.5F, 3.0F, 1);

  ASSERT_EQ(answer.update.segments.size(), 2U);
  EXPECT_EQ(answer.update.members, (std::vector<Member>{{NodeId{1}, 1}}));
  EXPECT_EQ(answer.update.epoch, kEpoch);
  const Segment& own = answer.update.segments[1];
  EXPECT_EQ(own.weight, Weight::from(2).value()) << "of all its clients";
  // -v - D / (lr T) = -0.25 + 0.5 / 0.5
  EXPECT_EQ(*own.payload.shared_floats(), (std::vector<float>{0.75F, 0.75F}));
  EXPECT_EQ(answer.update.scalars.at("local_rate_sum").mean(), 0.5);

  // c(q) = 3; v_q = 3 + (0.25 - 0.75)
  const auto tasks = begin(node, task_of_root(2, kEpoch, 0.25F));
  EXPECT_EQ(inquiry.sequences, (std::vector<std::uint64_t>{1}));
  ASSERT_EQ(tasks.size(), 2U);
  EXPECT_EQ(variate_in(tasks[0].second), (std::vector<float>{2.5F, 2.5F}));
}

TEST_F(Edges, TheWorkOfAllLocalRoundsMakesOneIncrement) {
  InnerNodeSettings made = settings(NodeId{1});
  made.local_rounds = 2;
  InnerNode node(std::move(made));
  auto tasks = begin(node, task_of_root(1));
  for (std::uint64_t sequence = 1; sequence <= 2; ++sequence) {
    ASSERT_EQ(tasks.size(), 2U);
    for (const auto& [child, given] : tasks) {
      node.on_message(context, child, update_of(child, given, -0.5F, 2.0F, sequence));
    }
    if (sequence == 2) { break; }
    tasks = context.take<TaskMessage>();
    ASSERT_EQ(tasks.size(), 2U);
    EXPECT_EQ(variate_in(tasks[0].second), (std::vector<float>{2.0F, 2.0F})) << "its children's mean moves with each";
  }
  const auto answers = context.take<UpdateMessage>();
  ASSERT_EQ(answers.size(), 1U);
  EXPECT_EQ(*answers[0].second.update.segments[1].payload.shared_floats(), (std::vector<float>{1.0F, 1.0F}));
  EXPECT_EQ(answers[0].second.update.scalars.at("local_rate_sum").mean(), 1.0);
}

// Its parent's half moves only with what was counted there.
TEST_F(Edges, AnIncrementThatTheParentDroppedIsNoPartOfItsState) {
  InnerNode node(settings(NodeId{1}));
  round(node, task_of_root(1), -0.5F, 0.0F, 1);
  node.on_message(context, NodeId{0}, task_of_root(2));
  const InquiryMessage asked = context.take<InquiryMessage>().at(0).second;
  node.on_message(context, NodeId{0}, decision(asked, Agreement::kAgrees, Fate::kDropped));
  EXPECT_EQ(variate_in(context.take<TaskMessage>().at(0).second), (std::vector<float>{0.0F, 0.0F}));
}

TEST_F(Edges, OneThatWasStartedAgainKnowsNoStateAndGivesItsChildrenAnother) {
  InnerNode before(settings(NodeId{1}));
  const std::uint64_t old_epoch = begin(before, task_of_root(1)).at(0).second.epoch;
  InnerNode again(settings(NodeId{1}, 1));
  EXPECT_GT(begin(again, task_of_root(2)).at(0).second.epoch, old_epoch)
      << "what the dead one's children had sent is not asked for, though the parent has counted nothing yet";

  InnerNode after(settings(NodeId{1}, 1));
  after.on_message(context, NodeId{0}, task_of_root(2));
  const InquiryMessage asked = context.take<InquiryMessage>().at(0).second;
  EXPECT_EQ(asked.settled, 0U);
  after.on_message(context, NodeId{0}, decision(asked, Agreement::kDiffers));
  const auto failed = context.take<TaskFailedMessage>();
  ASSERT_EQ(failed.size(), 1U);
  EXPECT_EQ(failed[0].second.code, Code::kBadData);

  const auto tasks = begin(after, task_of_root(3, kEpoch + 1));
  ASSERT_EQ(tasks.size(), 2U);
  EXPECT_GT(tasks[0].second.epoch, old_epoch);
  for (const auto& [child, given] : tasks) { after.on_message(context, child, update_of(child, given, 1.0F, 0.0F, 1)); }
  const auto answers = context.take<UpdateMessage>();
  ASSERT_EQ(answers.size(), 1U);
  EXPECT_GT(answers[0].second.update.members.at(0).sequence, 1U) << "numbers that the dead one may have used";
}

TEST_F(Edges, AParentWhoseChildHasLostItsStateBeginsAnewWithAllOfThem) {
  InnerNode node(settings(NodeId{1}));
  round(node, task_of_root(1), -0.5F, 3.0F, 1);
  const auto tasks = begin(node, task_of_root(2));
  ASSERT_EQ(tasks.size(), 2U);
  const auto& [child, given] = tasks[0];
  const TaskFailedMessage lost{
      .key = given.key, .attempt = given.attempt, .code = Code::kBadData, .reason = "has lost its state"};

  node.on_message(context, child, lost);  // a failure as any other, so far
  const TaskMessage again = given;
  EXPECT_TRUE(context.take<TaskMessage>().empty());
  EXPECT_EQ(variate_in(again).at(0), 3.0F - 1.0F);

  InnerNode other(settings(NodeId{1}));
  round(other, task_of_root(1), -0.5F, 3.0F, 1);
  const auto second = begin(other, task_of_root(2));
  ASSERT_EQ(second.size(), 2U);
  other.on_message(context, child, InquiryMessage{.client = child, .epoch = second[0].second.epoch});
  EXPECT_EQ(context.take<DecisionMessage>().at(0).second.agreement, Agreement::kDiffers);
  TaskFailedMessage found = lost;
  found.key = second[0].second.key;
  other.on_message(context, child, found);

  const auto anew = context.take<TaskMessage>();
  ASSERT_EQ(anew.size(), 2U);
  EXPECT_GT(anew[0].second.key, second[0].second.key);
  EXPECT_GT(anew[0].second.epoch, second[0].second.epoch);
  EXPECT_EQ(variate_in(anew[0].second), (std::vector<float>{-1.0F, -1.0F})) << "v of the parent less its own: 0 - 1";
}

// Its file is of a beginning that this node does not know of: from then on everybody's is of a later one.
TEST_F(Edges, AStateOfALaterBeginningLetsAllBeginAfterIt) {
  InnerNode node(settings(NodeId{1}));
  const auto tasks = begin(node, task_of_root(1));
  ASSERT_EQ(tasks.size(), 2U);
  const auto& [child, given] = tasks[0];
  const TaskFailedMessage lost{.key = given.key, .attempt = given.attempt, .code = Code::kBadData, .reason = "differs"};

  node.on_message(context, child, InquiryMessage{.client = child, .epoch = kEpoch + 500, .settled = 3});
  const auto answers = context.take<DecisionMessage>();
  ASSERT_EQ(answers.size(), 1U);
  EXPECT_EQ(answers[0].second.agreement, Agreement::kDiffers);
  EXPECT_EQ(answers[0].second.epoch, kEpoch + 500);
  EXPECT_EQ(answers[0].second.settled, 3U);
  node.on_message(context, child, lost);

  const auto anew = context.take<TaskMessage>();
  ASSERT_EQ(anew.size(), 2U);
  EXPECT_EQ(anew[0].second.epoch, kEpoch + 501);
  EXPECT_EQ(context.notes.back().kind, NodeEvent::Kind::kAnew);
  EXPECT_EQ(begin(node, task_of_root(2)).at(0).second.epoch, kEpoch + 501) << "and stays there";
}

TEST_F(Edges, AChildThatTellsOfAnEpochWithoutEndIsNotBelieved) {
  InnerNode node(settings(NodeId{1}));
  const auto tasks = begin(node, task_of_root(1));
  const auto& [child, given] = tasks[0];
  node.on_message(context, child, InquiryMessage{.client = child, .epoch = UINT64_MAX});
  context.sent.clear();
  node.on_message(
      context, child,
      TaskFailedMessage{.key = given.key, .attempt = given.attempt, .code = Code::kBadData, .reason = "differs"});
  EXPECT_TRUE(context.take<TaskMessage>().empty());
}

// What was counted of it would draw the others for ever to where it stood last.
TEST_F(Edges, AChildThatIsGoneIsLeftBehind) {
  InnerNodeSettings made = settings(NodeId{1});
  made.policy = std::make_unique<SynchronousPolicy>(PolicySettings{.quorum = 0.5, .deadline_s = 10.0});
  InnerNode node(std::move(made));
  float last = 0.0F;
  std::uint64_t anew = 0;
  for (std::uint64_t number = 1; number <= 6; ++number) {
    const auto tasks = begin(node, task_of_root(number));
    ASSERT_EQ(tasks.size(), 2U);
    last = variate_in(tasks[0].second).at(0);
    node.on_message(context, NodeId{3}, update_of(NodeId{3}, tasks[0].second, 0.0F, number == 1 ? 2.0F : 0.0F, number));
    if (number == 1) {
      node.on_message(context, NodeId{4}, update_of(NodeId{4}, tasks[1].second, 0.0F, 4.0F, 1));
    } else {
      node.on_unreachable(context, NodeId{4}, "its rank is lost");
      node.on_timer(context, TimerId::kDeadline);
    }
    ASSERT_EQ(context.take<UpdateMessage>().size(), 1U) << number;
    anew = static_cast<std::uint64_t>(std::ranges::count(context.notes, NodeEvent::Kind::kAnew, &NodeEvent::kind));
    if (number < 5) { EXPECT_EQ(anew, 0U) << number; }
  }
  EXPECT_EQ(anew, 1U) << "once, and not again for the same child";
  EXPECT_EQ(last, 0.0F) << "nothing is left of the one that is gone";
}

// It trains, and that is what its state is about.
TEST_F(Edges, AChildThatIsSilentWhenItShouldMeasureIsNotGone) {
  InnerNodeSettings made = settings(NodeId{1});
  made.evaluation.samples = std::make_shared<const std::vector<std::uint64_t>>(7, 1);
  InnerNode node(std::move(made));
  for (std::uint64_t number = 1; number <= 6; ++number) {
    const auto tasks = begin(node, task_of_root(number));
    ASSERT_EQ(tasks.size(), 2U);
    for (const auto& [child, task] : tasks) {
      node.on_message(context, child, update_of(child, task, 0.0F, 1.0F, number));
    }
    TaskMessage evaluation = task_of_root(number);
    evaluation.key.kind = TaskKind::kEvaluate;
    node.on_message(context, NodeId{0}, evaluation);
    for (const auto& [child, task] : context.take<TaskMessage>()) {
      EXPECT_EQ(task.key.kind, TaskKind::kEvaluate);
      node.on_unreachable(context, child, "its rank is lost");
    }
    EXPECT_EQ(context.take<TaskFailedMessage>().size(), 1U);
  }
  EXPECT_EQ(std::ranges::count(context.notes, NodeEvent::Kind::kAnew, &NodeEvent::kind), 0);
}

TEST_F(Edges, WhatItsQuestionTakesIsPartOfTheTimeThatTheParentGives) {
  InnerNode node(settings(NodeId{1}));
  TaskMessage task = task_of_root(1);
  task.remaining = std::chrono::seconds(10);
  node.on_message(context, NodeId{0}, task);
  ASSERT_EQ(context.timers.at(TimerId::kHardDeadline), std::chrono::seconds(10));
  context.timers[TimerId::kHardDeadline] = std::chrono::seconds(6);  // so much later comes the answer
  node.on_message(context, NodeId{0}, decision(context.take<InquiryMessage>().at(0).second, Agreement::kAgrees));
  EXPECT_LT(context.timers.at(TimerId::kHardDeadline), std::chrono::seconds(6));
  EXPECT_GT(context.timers.at(TimerId::kHardDeadline), std::chrono::seconds(5));

  InnerNode silent(settings(NodeId{1}));
  silent.on_message(context, NodeId{0}, task);
  context.sent.clear();
  silent.on_timer(context, TimerId::kHardDeadline);
  EXPECT_EQ(context.take<TaskFailedMessage>().at(0).second.code, Code::kUnavailable);
}

TEST_F(Edges, AChildSpeaksForItselfAndWithAllItsWeight) {
  const auto why_refused = [this](const std::function<UpdateMessage(const TaskMessage&)>& update) {
    InnerNode root(settings(NodeId{0}), RootState{.round = {},
                                                  .version = {},
                                                  .model = std::make_shared<std::vector<float>>(2, 0.0F),
                                                  .snapshot = {},
                                                  .epoch = kEpoch,
                                                  .world = nullptr});
    root.on_start(context);
    const TaskMessage task = context.take<TaskMessage>().at(0).second;
    EXPECT_EQ(task.epoch, kEpoch);
    root.on_message(context, NodeId{1}, update(task));
    return context.take<AcknowledgeMessage>().at(0).second.reason;
  };
  const auto right = [](const TaskMessage& task) {
    UpdateMessage made = std::get<UpdateMessage>(update_of(NodeId{1}, task, 1.0F, 1.0F, 1));
    made.update.segments[1].weight = Weight::from(2).value();
    return made;
  };
  EXPECT_EQ(why_refused(right), "");
  EXPECT_THAT(why_refused([&right](const TaskMessage& task) {
                UpdateMessage of_another = right(task);
                of_another.update.members = {{NodeId{3}, 1}};
                return of_another;
              }),
              ::testing::HasSubstr("of its sender's state alone"));
  EXPECT_THAT(why_refused([&right](const TaskMessage& task) {
                UpdateMessage light = right(task);
                light.update.segments[1].weight = {};
                return light;
              }),
              ::testing::HasSubstr("what all its clients do together"));
}

}  // namespace
}  // namespace tributary
