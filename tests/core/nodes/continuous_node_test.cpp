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
  root.on_published(context, false);
  context.published.reset();

  root.on_message(context, NodeId{2}, report(NodeId{2}, task_of(first, NodeId{2}), 2.0F));

  ASSERT_TRUE(context.published);
  EXPECT_EQ(context.published_model, (std::vector<float>{3.0F, 3.0F}));
  EXPECT_EQ(context.published->staleness.most, 1U);
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
  const auto keys = [&context] {
    std::map<NodeId, TaskKey> found;
    for (const auto& [to, task] : context.take<TaskMessage>()) { found[to] = task.key; }
    return found;
  }();
  TaskMessage known;
  known.key = keys.at(NodeId{1});
  known.attempt = Attempt{1};
  root.on_message(context, NodeId{1}, report(NodeId{1}, known, 1.0F));
  context.sent.clear();

  root.on_message(context, NodeId{2}, WorkingMessage{.key = keys.at(NodeId{2}), .known = false});

  const auto anew = context.take<TaskMessage>();
  ASSERT_EQ(anew.size(), 1U);
  EXPECT_GT(anew[0].second.key, keys.at(NodeId{2}));
  EXPECT_EQ(anew[0].second.version, Version{1}) << "a change of the new model must not pass for one of the old";
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

  root.on_published(context, false);

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
  root.on_published(context, false);
  ASSERT_TRUE(context.outcome);
  EXPECT_TRUE(context.outcome->ok());
  EXPECT_TRUE(context.timers.empty());
}

}  // namespace
}  // namespace tributary
