// SPDX-License-Identifier: Apache-2.0
// Single nodes, event by event, without a driver.
#include "tributary/nodes/inner_node.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "support/node_recorder.hpp"
#include "support/small_nodes.hpp"
#include "tributary/aggregators/server_optimizers.hpp"
#include "tributary/aggregators/synchronous.hpp"
#include "tributary/aggregators/weighted_sum.hpp"
#include "tributary/nodes/client_node.hpp"

namespace tributary {
namespace {

using testing::Recorder;
using testing::report;
using testing::settings;
using testing::spec;

InnerNode make_root() {
  return InnerNode(settings(NodeId{0}, NodeId{0}, {1, 2}),
                   RootState{.round = {}, .version = {}, .model = std::make_shared<std::vector<float>>(2, 0.0F)});
}

TEST(InnerNode, ARootAsksItsChildrenAndPublishesTheirMean) {
  Recorder context;
  InnerNode root = make_root();
  root.on_start(context);
  const auto tasks = context.take<TaskMessage>();
  ASSERT_EQ(tasks.size(), 2U);

  root.on_message(context, NodeId{1}, report(NodeId{1}, tasks[0].second, 1.0F));
  EXPECT_FALSE(context.published);
  root.on_message(context, NodeId{2}, report(NodeId{2}, tasks[1].second, 3.0F));

  ASSERT_TRUE(context.published);
  EXPECT_TRUE(context.published->committed);
  EXPECT_EQ(context.published->version, Version{1});
  EXPECT_EQ(context.published_model, (std::vector<float>{2.0F, 2.0F}));
  EXPECT_FALSE(context.timers.contains(TimerId::kProbe));
}

TEST(InnerNode, ARepeatedUpdateIsAcknowledgedAndNotCounted) {
  Recorder context;
  InnerNode root = make_root();
  root.on_start(context);
  const auto tasks = context.take<TaskMessage>();
  const Message update = report(NodeId{1}, tasks[0].second, 1.0F);
  root.on_message(context, NodeId{1}, update);
  context.sent.clear();

  root.on_message(context, NodeId{1}, update);

  const auto answers = context.take<AcknowledgeMessage>();
  ASSERT_EQ(answers.size(), 1U);
  EXPECT_TRUE(answers[0].second.accepted);
  EXPECT_FALSE(context.published);
  EXPECT_EQ(context.notes.back().kind, NodeEvent::Kind::kDuplicate);
}

TEST(InnerNode, AnUpdateInSomebodyElsesNameIsRefused) {
  Recorder context;
  InnerNode root = make_root();
  root.on_start(context);
  const auto tasks = context.take<TaskMessage>();

  root.on_message(context, NodeId{1}, report(NodeId{2}, tasks[1].second, 1.0F));

  EXPECT_EQ(context.take<AcknowledgeMessage>().at(0).second.reason, "the update is not the one that was asked for");
}

TEST(InnerNode, StrangersAreIgnored) {
  Recorder context;
  InnerNode root = make_root();
  root.on_start(context);
  const auto tasks = context.take<TaskMessage>();

  root.on_message(context, NodeId{7}, report(NodeId{7}, tasks[0].second, 1.0F));

  EXPECT_TRUE(context.sent.empty());
  EXPECT_TRUE(context.notes.empty());
}

TEST(InnerNode, ASilentChildIsAskedLessAndLessOftenAndThenLost) {
  Recorder context;
  InnerNode root = make_root();
  root.on_start(context);
  std::vector<std::chrono::nanoseconds> pauses;
  for (int question = 0; question < 9; ++question) {
    pauses.push_back(context.timers.at(TimerId::kProbe));
    root.on_timer(context, TimerId::kProbe);
    if (context.published) { break; }
  }

  EXPECT_EQ(pauses[0], std::chrono::seconds(1));
  EXPECT_EQ(pauses[1], std::chrono::seconds(2));
  EXPECT_LE(*std::max_element(pauses.begin(), pauses.end()), std::chrono::seconds(30));
  ASSERT_TRUE(context.published);
  EXPECT_FALSE(context.published->committed);
  EXPECT_EQ(context.published->state.lost, 2U);
}

TEST(InnerNode, AFailureIsRetriedAndALostRetryIsRepeatedAtOnce) {
  Recorder context;
  InnerNode root = make_root();
  root.on_start(context);
  const TaskMessage first = context.take<TaskMessage>()[0].second;
  const TaskFailedMessage failure{.key = first.key, .attempt = first.attempt, .code = Code::kInternal, .reason = "no"};
  root.on_message(context, NodeId{1}, failure);
  EXPECT_EQ(context.take<TaskMessage>().at(0).second.attempt, Attempt{2});

  root.on_message(context, NodeId{1}, failure);  // the child has not seen the second task

  EXPECT_EQ(context.take<TaskMessage>().at(0).second.attempt, Attempt{2});
}

// The same task would end in the same way: asking again costs hours and changes nothing.
TEST(InnerNode, AFailureThatWillHappenAgainIsNotRetriedAndItsCodeReachesTheEnd) {
  for (const auto& [code, ends_with] : {std::pair{Code::kBadData, Code::kBadData},
                                        {Code::kConfiguration, Code::kConfiguration},
                                        {Code::kInvalidArgument, Code::kInvalidArgument}}) {
    Recorder context;
    InnerNode aggregator(settings(NodeId{1}, NodeId{0}, {3, 2}));
    const TaskMessage task{.key = {.incarnation = 0, .number = 1},
                           .attempt = Attempt{1},
                           .model = std::make_shared<const std::vector<float>>(2, 0.5F)};
    aggregator.on_message(context, NodeId{0}, task);
    const TaskMessage asked = context.take<TaskMessage>().at(0).second;

    aggregator.on_message(context, NodeId{3},
                          TaskFailedMessage{.key = asked.key, .attempt = asked.attempt, .code = code, .reason = "nan"});

    for (const auto& [to, message] : context.sent) { EXPECT_FALSE(std::holds_alternative<TaskMessage>(message)); }
    const auto failed = context.take<TaskFailedMessage>();
    ASSERT_EQ(failed.size(), 1U);
    EXPECT_EQ(failed[0].second.code, ends_with);
    EXPECT_EQ(failed[0].second.reason, "nan; so none of 2 children reported, and 2 were needed");
  }
}

TEST(InnerNode, ARunThatEndedUntrainedStaysAFailure) {
  Recorder context;
  InnerNodeSettings made = settings(NodeId{0}, NodeId{0}, {1, 2});
  made.rounds = 3;
  InnerNode root(std::move(made), RootState{Round{3}, {}, std::make_shared<std::vector<float>>(2, 0.5F)});

  root.on_start(context);

  ASSERT_TRUE(context.outcome);
  EXPECT_EQ(context.outcome->message(), "no round was committed, and the model is as it was");
}

TEST(InnerNode, LosingATaskDoesNotUseUpItsRetries) {
  Recorder context;
  InnerNode root = make_root();
  root.on_start(context);
  for (int restart = 0; restart < 5; ++restart) { root.on_message(context, NodeId{1}, HelloMessage{}); }
  const TaskMessage latest = context.take<TaskMessage>().back().second;
  EXPECT_EQ(latest.attempt, Attempt{6});

  root.on_message(context, NodeId{1}, TaskFailedMessage{.key = latest.key, .attempt = latest.attempt, .reason = "no"});

  EXPECT_EQ(context.take<TaskMessage>().at(0).second.attempt, Attempt{7});
}

TEST(InnerNode, AnAggregatorForwardsTheSumAndRepeatsItUntilItIsHeard) {
  Recorder context;
  InnerNode aggregator(settings(NodeId{1}, NodeId{0}, {3, 2}));
  const auto model = std::make_shared<const std::vector<float>>(2, 0.5F);
  const TaskMessage task{.key = {.incarnation = 0, .number = 1}, .attempt = Attempt{1}, .model = model};
  aggregator.on_message(context, NodeId{0}, task);
  const auto tasks = context.take<TaskMessage>();
  EXPECT_EQ(tasks.at(0).second.model, model) << "the same bytes go down";
  aggregator.on_message(context, NodeId{3}, report(NodeId{3}, tasks[0].second, 1.0F));
  aggregator.on_message(context, NodeId{4}, report(NodeId{4}, tasks[1].second, 2.0F));
  const auto sums = context.take<UpdateMessage>();
  ASSERT_EQ(sums.size(), 1U);
  EXPECT_EQ(sums[0].first, NodeId{0});
  EXPECT_EQ(sums[0].second.update.contributors, 2U);

  aggregator.on_timer(context, TimerId::kResend);
  EXPECT_EQ(context.take<UpdateMessage>().size(), 1U);
  aggregator.on_message(context, NodeId{0}, AcknowledgeMessage{.key = task.key, .accepted = true});
  EXPECT_FALSE(context.timers.contains(TimerId::kResend));
  aggregator.on_timer(context, TimerId::kResend);
  EXPECT_TRUE(context.take<UpdateMessage>().empty());
}

TEST(InnerNode, ACancelledAggregatorCancelsItsChildren) {
  Recorder context;
  InnerNode aggregator(settings(NodeId{1}, NodeId{0}, {3, 2}));
  const TaskMessage task{.key = {.incarnation = 0, .number = 1},
                         .attempt = Attempt{1},
                         .model = std::make_shared<const std::vector<float>>(2, 0.5F)};
  aggregator.on_message(context, NodeId{0}, task);
  context.sent.clear();

  aggregator.on_message(context, NodeId{0}, CancelMessage{task.key});

  EXPECT_EQ(context.take<CancelMessage>().size(), 2U);
  EXPECT_TRUE(context.timers.empty());
  EXPECT_EQ(task.model.use_count(), 1) << "the model is let go";
}

TEST(InnerNode, AChildThatWeighsMoreThanItAnnouncedIsRefusedWhoeverComesFirst) {
  for (const bool greedy_first : {true, false}) {
    Recorder context;
    InnerNodeSettings made = settings(NodeId{0}, NodeId{0}, {1, 2});
    const auto bound = [](double weight) { return Weight::from(weight).value(); };
    made.weight_bounds = std::make_shared<const std::vector<Weight>>(std::vector{bound(2), bound(1), bound(1)});
    made.scale = ExactScale::fine(bound(2), 2);
    made.policy = std::make_unique<SynchronousPolicy>(PolicySettings{.quorum = 0.5, .deadline_s = 10.0});
    InnerNode root(std::move(made), RootState{{}, {}, std::make_shared<std::vector<float>>(2, 0.0F)});
    root.on_start(context);
    const auto tasks = context.take<TaskMessage>();
    UpdateMessage greedy = std::get<UpdateMessage>(report(NodeId{1}, tasks[0].second, 8.0F));
    greedy.update.weight = bound(1.5);
    const Message modest = report(NodeId{2}, tasks[1].second, 3.0F);

    root.on_message(context, NodeId{greedy_first ? 1U : 2U}, greedy_first ? Message(greedy) : modest);
    root.on_message(context, NodeId{greedy_first ? 2U : 1U}, greedy_first ? modest : Message(greedy));

    std::vector<std::string> reasons;
    for (const auto& [to, answer] : context.take<AcknowledgeMessage>()) {
      if (!answer.accepted) { reasons.push_back(answer.reason); }
    }
    EXPECT_THAT(reasons,
                ::testing::ElementsAre("the update weighs 1.5, and 1 was announced as the most of this child"));
    EXPECT_EQ(context.published->state.reported, 1U) << greedy_first;
  }
}

// A round says how finely its sums resolve an average change: with what was announced for the children that it asks.
TEST(InnerNode, TheGridOfAStarFollowsTheChildrenThatARoundAsks) {
  class Last final : public TierPolicy {
   public:
    Decision open(TierContext& context) override {
      context.choose({.members = {1, 2}, .target = 2, .quorum = 2});
      context.ask(1);
      context.ask(2);
      return Decision::kWait;
    }
    Decision on_event(TierContext& context, const TierEvent& /*event*/) override {
      return context.state().reported == 2 ? Decision::kCommit : Decision::kWait;
    }
    [[nodiscard]] std::uint32_t largest_target(std::uint32_t /*children*/) const noexcept override { return 2; }
    [[nodiscard]] bool counts_all() const noexcept override { return true; }
  };
  const auto bound = [](double weight) { return Weight::from(weight).value(); };
  std::vector<double> resolutions;
  for (const bool follows : {true, false}) {
    Recorder context;
    InnerNodeSettings made = settings(NodeId{0}, NodeId{0}, {1, 3});
    made.weight_bounds =
        std::make_shared<const std::vector<Weight>>(std::vector{bound(1e8), bound(1e8), bound(1), bound(1)});
    made.scale = ExactScale::fine(bound(1e8 + 1), 2);
    if (follows) { made.scale_of_round = &ExactScale::fine; }
    made.policy = std::make_unique<Last>();
    InnerNode root(std::move(made), RootState{{}, {}, std::make_shared<std::vector<float>>(2, 0.0F)});
    root.on_start(context);
    for (const auto& [to, task] : context.take<TaskMessage>()) {
      root.on_message(context, to, report(to, task, 1e-7F));
    }

    ASSERT_TRUE(context.published);
    resolutions.push_back(context.published->resolution);
    if (follows) { EXPECT_NEAR(context.published_model[0], 1e-7F, 1e-10F); }
  }
  EXPECT_LE(resolutions[0], 0x1p-33);
  EXPECT_GT(resolutions[1], 1e-4) << "that of a cohort with the heavy child";
}

TEST(InnerNode, ARoundOfNoWeightIsAbandonedInsteadOfDivided) {
  class Content final : public TierPolicy {
   public:
    Decision open(TierContext& context) override {
      context.choose({.members = {0, 1}});
      context.ask(0);
      context.ask(1);
      return Decision::kCommit;
    }
    Decision on_event(TierContext& /*context*/, const TierEvent& /*event*/) override { return Decision::kCommit; }
    [[nodiscard]] std::uint32_t largest_target(std::uint32_t children) const noexcept override { return children; }
    [[nodiscard]] bool counts_all() const noexcept override { return false; }
  };
  Recorder context;
  InnerNodeSettings made = settings(NodeId{0}, NodeId{0}, {1, 2});
  made.policy = std::make_unique<Content>();
  InnerNode root(std::move(made), RootState{{}, {}, std::make_shared<std::vector<float>>(2, 0.5F)});

  root.on_start(context);

  ASSERT_TRUE(context.published);
  EXPECT_FALSE(context.published->committed);
  EXPECT_EQ(context.published_model, (std::vector<float>{0.5F, 0.5F}));
}

TEST(InnerNode, AChildThatStartsAgainAndAgainIsGivenUp) {
  Recorder context;
  InnerNodeSettings made = settings(NodeId{0}, NodeId{0}, {1, 2});
  made.policy = std::make_unique<SynchronousPolicy>(PolicySettings{.quorum = 0.5, .deadline_s = 10.0});
  InnerNode root(std::move(made), RootState{{}, {}, std::make_shared<std::vector<float>>(2, 0.0F)});
  root.on_start(context);
  int starts = 0;
  while (context.notes.empty() && starts < 1000) {
    root.on_message(context, NodeId{1}, HelloMessage{});
    ++starts;
  }
  EXPECT_EQ(starts, 17);
  EXPECT_EQ(context.notes.at(0).detail, "started again 17 times during one task");

  // The same without a word at the start: it knew the task, and then does not.
  const TaskKey key = context.take<TaskMessage>().at(0).second.key;
  for (int i = 0; i < 17; ++i) {
    root.on_message(context, NodeId{2}, WorkingMessage{key, true});
    root.on_message(context, NodeId{2}, WorkingMessage{key, false});
  }

  ASSERT_TRUE(context.published);
  EXPECT_FALSE(context.published->committed);
  EXPECT_EQ(context.published->state.failed, 2U);
}

TEST(InnerNode, ATaskThatIsStillOnItsWayIsAskedForWithoutEnd) {
  Recorder context;
  InnerNode root = make_root();
  root.on_start(context);
  const TaskKey key = context.take<TaskMessage>().at(0).second.key;

  for (int i = 0; i < 100; ++i) { root.on_message(context, NodeId{1}, WorkingMessage{key, false}); }

  EXPECT_EQ(context.take<TaskMessage>().size(), 100U);
  EXPECT_TRUE(context.notes.empty());
}

TaskMessage task_with(std::chrono::nanoseconds remaining) {
  return {.key = {.incarnation = 0, .number = 1},
          .attempt = Attempt{1},
          .model = std::make_shared<const std::vector<float>>(2, 0.5F),
          .remaining = remaining};
}

TEST(InnerNode, ADeadlineIsNeverRoundedAway) {
  for (const std::chrono::nanoseconds remaining : {std::chrono::nanoseconds{1}, std::chrono::nanoseconds{3}}) {
    Recorder context;
    InnerNode aggregator(settings(NodeId{1}, NodeId{0}, {3, 2}));

    aggregator.on_message(context, NodeId{0}, task_with(remaining));

    EXPECT_GE(context.timers.at(TimerId::kHardDeadline).count(), 1);
    for (const auto& [to, task] : context.take<TaskMessage>()) { EXPECT_GE(task.remaining.count(), 1); }
  }
}

TEST(InnerNode, ATaskHandedOutAfterTheDeadlineEndsAtTheHardDeadline) {
  Recorder context;
  InnerNodeSettings made = settings(NodeId{0}, NodeId{0}, {1, 2});
  made.policy = std::make_unique<SynchronousPolicy>(PolicySettings{.deadline_s = 10.0});
  InnerNode root(std::move(made), RootState{{}, {}, std::make_shared<std::vector<float>>(2, 0.0F)});
  root.on_start(context);
  context.timers.erase(TimerId::kDeadline);
  context.timers[TimerId::kHardDeadline] = std::chrono::seconds(7);
  root.on_timer(context, TimerId::kDeadline);
  context.sent.clear();

  root.on_message(context, NodeId{1}, HelloMessage{});

  EXPECT_EQ(context.take<TaskMessage>().at(0).second.remaining, std::chrono::seconds(7));
}

TEST(InnerNode, AnAggregatorLeavesWhatItsLinkNeeds) {
  const auto hard_deadline = [](std::chrono::nanoseconds way) {
    Recorder context;
    InnerNodeSettings made = settings(NodeId{1}, NodeId{0}, {3, 2});
    made.way = way;
    InnerNode aggregator(std::move(made));
    aggregator.on_message(context, NodeId{0}, task_with(std::chrono::seconds(100)));
    return context.timers.at(TimerId::kHardDeadline);
  };

  EXPECT_EQ(hard_deadline(std::chrono::seconds(0)), std::chrono::seconds(90)) << "nothing known: a tenth";
  EXPECT_EQ(hard_deadline(std::chrono::milliseconds(10)), std::chrono::milliseconds(97'990));
  EXPECT_EQ(hard_deadline(std::chrono::seconds(40)), std::chrono::seconds(58));
  EXPECT_EQ(hard_deadline(std::chrono::seconds(200)), std::chrono::nanoseconds(1)) << "in vain, but bounded";
}

// Three local rounds of cohorts of two among three clients: what each round measured alone is kept, and who took part
// is counted once.
TEST(InnerNode, LocalRoundsKeepWhatAnyOfThemMeasured) {
  Recorder context;
  InnerNodeSettings made = settings(NodeId{1}, NodeId{0}, {3, 3});
  made.policy = std::make_unique<SynchronousPolicy>(PolicySettings{.cohort_count = 2});
  made.local_rounds = 3;
  InnerNode aggregator(std::move(made));
  TaskMessage first = task_with(std::chrono::nanoseconds{0});
  first.evaluate_first = true;
  aggregator.on_message(context, NodeId{0}, first);
  std::set<std::uint32_t> asked;
  for (int round = 0; round < 3; ++round) {
    const auto tasks = context.take<TaskMessage>();
    ASSERT_EQ(tasks.size(), 2U);
    for (const auto& [child, task] : tasks) {
      asked.insert(child.value);
      UpdateMessage answer = std::get<UpdateMessage>(report(child, task, 0.5F));
      answer.update.scalars["loss"].add(3.0 - round, answer.update.weight);
      if (task.evaluate_first) { answer.update.scalars["base_accuracy"].add(0.25, answer.update.weight); }
      aggregator.on_message(context, child, answer);
    }
  }

  const Update sent = context.take<UpdateMessage>().at(0).second.update;

  EXPECT_EQ(sent.contributors, asked.size());
  EXPECT_EQ(sent.scalars.at("base_accuracy").mean(), 0.25);
  EXPECT_EQ(sent.scalars.at("loss").mean(), 1.0) << "of the last local round";
  EXPECT_EQ(sent.weight.value(), 2.0);
}

TEST(ClientNode, AnswersUntilItIsHeardAndThenForgets) {
  Recorder context;
  ClientNode client(NodeId{1}, NodeId{0}, spec(), {});
  const TaskMessage task{.key = {.incarnation = 0, .number = 1},
                         .attempt = Attempt{1},
                         .model = std::make_shared<const std::vector<float>>(2, 0.5F)};
  client.on_message(context, NodeId{0}, task);
  ASSERT_TRUE(context.training);
  client.on_message(context, NodeId{0}, ProbeMessage{task.key});
  EXPECT_TRUE(context.take<WorkingMessage>().at(0).second.known);
  ClientUpdate work;
  work.delta = Payload::floats(std::make_shared<const std::vector<float>>(2, 1.0F));
  work.weight = Weight::from(3).value();
  client.on_trained(context, task.key, work);
  EXPECT_EQ(context.take<UpdateMessage>().size(), 1U);
  client.on_message(context, NodeId{0}, task);  // repeated: the answer again, no second training
  EXPECT_EQ(context.take<UpdateMessage>().size(), 1U);

  client.on_message(context, NodeId{0}, AcknowledgeMessage{.key = task.key, .accepted = true});

  EXPECT_TRUE(client.idle());
  client.on_message(context, NodeId{0}, ProbeMessage{{.incarnation = 0, .number = 2}});
  EXPECT_FALSE(context.take<WorkingMessage>().at(0).second.known);
}

TEST(ClientNode, ANewerTaskReplacesTheOneUnderWay) {
  Recorder context;
  ClientNode client(NodeId{1}, NodeId{0}, spec(), {});
  const auto model = std::make_shared<const std::vector<float>>(2, 0.5F);
  const TaskMessage old{.key = {.incarnation = 0, .number = 5}, .attempt = Attempt{1}, .model = model};
  const TaskMessage repeated_round{.key = {.incarnation = 1, .number = 4}, .attempt = Attempt{1}, .model = model};
  client.on_message(context, NodeId{0}, old);

  client.on_message(context, NodeId{0}, repeated_round);
  EXPECT_EQ(context.training->key, repeated_round.key);
  client.on_message(context, NodeId{0}, old);
  EXPECT_EQ(context.training->key, repeated_round.key);
  client.on_trained(context, old.key, internal_error("too late"));

  EXPECT_TRUE(context.take<TaskFailedMessage>().empty());
}

TEST(ClientNode, ListensToItsParentAloneAndReportsTheTaskThatItHas) {
  Recorder context;
  ClientNode client(NodeId{1}, NodeId{0}, spec(), {});
  const TaskMessage task{.key = {.incarnation = 0, .number = 1},
                         .attempt = Attempt{1},
                         .model = std::make_shared<const std::vector<float>>(2, 0.5F)};
  client.on_message(context, NodeId{7}, task);
  EXPECT_FALSE(context.training);
  client.on_message(context, NodeId{0}, task);
  ClientUpdate work;
  work.delta = Payload::floats(std::make_shared<const std::vector<float>>(2, 1.0F));
  work.weight = Weight::from(3).value();

  client.on_trained(context, {.incarnation = 0, .number = 2}, work);

  EXPECT_TRUE(context.take<UpdateMessage>().empty());
}

// The quorum has closed the round when the last answer comes.
TEST(InnerNode, AnUpdateOfAClosedRoundIsLateAndNotCounted) {
  Recorder context;
  InnerNodeSettings made = settings(NodeId{0}, NodeId{0}, {1, 2});
  made.policy = std::make_unique<SynchronousPolicy>(PolicySettings{.quorum = 0.5, .deadline_s = 1.0});
  InnerNode root(std::move(made), RootState{{}, {}, std::make_shared<std::vector<float>>(2, 0.0F)});
  root.on_start(context);
  const auto tasks = context.take<TaskMessage>();
  root.on_message(context, NodeId{1}, report(NodeId{1}, tasks[0].second, 1.0F));
  root.on_timer(context, TimerId::kDeadline);
  ASSERT_TRUE(context.published);
  context.sent.clear();

  root.on_message(context, NodeId{2}, report(NodeId{2}, tasks[1].second, 3.0F));

  const auto answers = context.take<AcknowledgeMessage>();
  ASSERT_EQ(answers.size(), 1U);
  EXPECT_FALSE(answers[0].second.accepted);
  EXPECT_EQ(answers[0].second.reason, "the round has closed");
}

// Nobody answers in three rounds: the root gives up, unless it is told to stop in the last of them.
TEST(InnerNode, AWishToStopInAnAbandonedRoundIsFollowed) {
  for (const bool stop : {false, true}) {
    Recorder context;
    InnerNodeSettings made = settings(NodeId{0}, NodeId{0}, {1, 2});
    made.rounds = 9;
    InnerNode root(std::move(made),
                   RootState{.round = {}, .version = {}, .model = std::make_shared<std::vector<float>>(2, 0.0F)});
    root.on_start(context);
    for (std::uint64_t round = 1; round <= 3; ++round) {
      for (const std::uint32_t child : {1U, 2U}) { root.on_unreachable(context, NodeId{child}, "gone"); }
      ASSERT_TRUE(context.published);
      EXPECT_EQ(context.published->round, Round{round}) << "the records hold every abandoned round";
      EXPECT_FALSE(context.published->committed);
      EXPECT_FALSE(context.outcome);
      root.on_published(context, stop && round == 3, Version{UINT64_MAX});
    }
    ASSERT_TRUE(context.outcome);
    EXPECT_EQ(context.outcome->code(), stop ? Code::kOk : Code::kUnavailable);
  }
}

TEST(InnerNode, AChildThatTheDeadlineCutsOffIsNoted) {
  Recorder context;
  InnerNodeSettings made = settings(NodeId{0}, NodeId{0}, {1, 2});
  PolicySettings tier;
  tier.deadline_s = 5.0;
  tier.quorum = 0.5;
  made.policy = std::make_unique<SynchronousPolicy>(tier);
  InnerNode root(std::move(made),
                 RootState{.round = {}, .version = {}, .model = std::make_shared<std::vector<float>>(2, 0.0F)});
  root.on_start(context);
  const auto tasks = context.take<TaskMessage>();
  root.on_message(context, NodeId{1}, report(NodeId{1}, tasks[0].second, 1.0F));

  root.on_timer(context, TimerId::kDeadline);

  ASSERT_TRUE(context.published);
  EXPECT_EQ(context.published->late, 1U);
  ASSERT_EQ(context.notes.size(), 1U);
  EXPECT_EQ(context.notes[0].kind, NodeEvent::Kind::kCutOff);
  EXPECT_EQ(context.notes[0].node, NodeId{2});
  EXPECT_EQ(to_string(context.notes[0].kind), "cut-off");
}

}  // namespace
}  // namespace tributary
