// SPDX-License-Identifier: Apache-2.0
// The runtime with a world whose every move the test decides: what nodes live, die and come back as.
#include "runtime/node_runtime.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "support/small_nodes.hpp"

namespace tributary::internal {
namespace {

using namespace std::chrono_literals;

constexpr NodeId kRoot{0};
constexpr NodeId kEdge{1};
constexpr NodeId kClient{3};  // of kEdge

// A root with two aggregators, which have two clients each.
class SmallPlan final : public AgreedPlan {
 public:
  [[nodiscard]] const Tree& tree() const noexcept override { return tree_; }
  [[nodiscard]] const ParameterSpec& spec() const noexcept override { return testing::spec(); }
  [[nodiscard]] const Digest& digest() const noexcept override { return digest_; }
  [[nodiscard]] std::uint64_t seed() const noexcept override { return 0; }
  [[nodiscard]] bool every_answer_counts() const override { return true; }
  [[nodiscard]] InnerNodeSettings inner_node(NodeId node, std::uint32_t incarnation) const override {
    InnerNodeSettings made = testing::settings(node, tree_.parent(node), tree_.children(node));
    made.incarnation = incarnation;
    return made;
  }
  [[nodiscard]] LivenessSettings client_liveness(NodeId /*client*/) const override { return {}; }
  [[nodiscard]] TrainTask train_task(NodeId node, TrainRequest request) const override {
    return {.client = tree_.client_index(node), .round = Round{request.key.number}, .base = std::move(request.base)};
  }

 private:
  Tree tree_ = Tree::create({.child_counts = {2, 2, 2, 0, 0, 0, 0}, .attributes = {}}).value();
  Digest digest_;
};

class World final : public RuntimeEnvironment {
 public:
  struct Sent {
    NodeId from;
    NodeId to;
    Message message;
  };

  [[nodiscard]] Instant now() const override { return time; }
  bool send(NodeId from, NodeId to, Message&& message, std::uint64_t /*bytes*/) override {
    sent.push_back({from, to, std::move(message)});
    return counts;
  }
  EventKey set_timer(NodeId node, TimerId timer, Instant at) override {
    const EventKey key{at, node.value, ++numbers_};
    timers.emplace(key, timer);
    return key;
  }
  void cancel_timer(const EventKey& key) override { timers.erase(key); }
  TrainingPool::JobId begin_training(NodeId node, TrainingPool::Work /*work*/) override {
    jobs.emplace(++numbers_, node);
    return numbers_;
  }
  Result<ClientUpdate> take_trained(TrainingPool::JobId job) override {
    jobs.erase(job);
    ClientUpdate update;
    update.delta = Payload::floats(std::make_shared<const std::vector<float>>(2, 1.0F));
    update.weight = Weight::from(1).value();
    return update;
  }
  void cancel_training(TrainingPool::JobId job) override { jobs.erase(job); }
  void publish(const RoundReport& report, ModelValues model) override {
    published.push_back(report);
    last_model = *model;
  }
  void finished(Status status) override { outcome = std::move(status); }
  void note(NodeEvent note) override { notes.push_back(note.kind); }

  // The messages of one type that `from` has sent, in their order.
  template <typename T>
  [[nodiscard]] std::vector<std::pair<NodeId, T>> of(NodeId from) const {
    std::vector<std::pair<NodeId, T>> found;
    for (const Sent& one : sent) {
      if (one.from == from && std::holds_alternative<T>(one.message)) {
        found.emplace_back(one.to, std::get<T>(one.message));
      }
    }
    return found;
  }

  Instant time{0};
  bool counts = true;
  std::vector<Sent> sent;
  std::map<EventKey, TimerId> timers;
  std::map<TrainingPool::JobId, NodeId> jobs;
  std::vector<RoundReport> published;
  std::vector<float> last_model;
  std::vector<NodeEvent::Kind> notes;
  std::optional<Status> outcome;

 private:
  std::uint64_t numbers_ = 0;
};

class NodeRuntimeTest : public ::testing::Test {
 protected:
  void start() {
    nodes.start_root({.round = {}, .version = {}, .model = std::make_shared<std::vector<float>>(2, 0.0F)});
  }
  // Delivers everything that is under way, training included, until nothing moves any more.
  void let_it_run() {
    while (!world.sent.empty() || !world.jobs.empty()) {
      if (!world.sent.empty()) {
        World::Sent first = std::move(world.sent.front());
        world.sent.erase(world.sent.begin());
        nodes.on_message(first.from, first.to, std::move(first.message));
      } else {
        const auto [job, node] = *world.jobs.begin();
        nodes.on_trained(node, job);
      }
    }
  }
  // Gives kEdge the task that the root has for it.
  void hand_edge_its_task() {
    const auto tasks = world.of<TaskMessage>(kRoot);
    ASSERT_FALSE(tasks.empty());
    nodes.on_message(kRoot, kEdge, tasks.front().second);
  }

  SmallPlan plan;
  World world;
  NodeRuntime nodes{plan, world};
};

TEST_F(NodeRuntimeTest, ClosesARoundAndGoesOnOnceItIsPublished) {
  start();
  let_it_run();
  ASSERT_EQ(world.published.size(), 1U);
  EXPECT_EQ(world.published[0].contributors, 4U);
  EXPECT_EQ(world.last_model, (std::vector<float>{1.0F, 1.0F}));
  EXPECT_TRUE(nodes.awaits_publication());

  nodes.on_published(false, Version{UINT64_MAX});
  let_it_run();
  nodes.on_published(false, Version{UINT64_MAX});

  EXPECT_EQ(world.published.size(), 2U);
  ASSERT_TRUE(world.outcome);
  EXPECT_TRUE(world.outcome->ok());
  EXPECT_TRUE(world.timers.empty());
}

TEST_F(NodeRuntimeTest, ANodeThatDiedAsksUnderNewKeys) {
  start();
  hand_edge_its_task();
  const auto before = world.of<TaskMessage>(kEdge);
  ASSERT_EQ(before.size(), 2U);

  nodes.kill(kEdge);
  nodes.restart(kEdge);
  const auto hello = world.of<HelloMessage>(kEdge);
  ASSERT_EQ(hello.size(), 1U);
  EXPECT_EQ(hello[0].first, kRoot);
  world.sent.clear();
  nodes.on_message(kEdge, kRoot, HelloMessage{});
  hand_edge_its_task();

  const auto after = world.of<TaskMessage>(kEdge);
  ASSERT_EQ(after.size(), 2U);
  EXPECT_GT(after[0].second.key.incarnation, before[0].second.key.incarnation);
  EXPECT_GT(after[0].second.key, before[0].second.key);
}

TEST_F(NodeRuntimeTest, ARootThatDiedAsksUnderNewKeys) {
  start();
  const TaskKey before = world.of<TaskMessage>(kRoot)[0].second.key;
  nodes.kill(kRoot);
  EXPECT_TRUE(nodes.down(kRoot));
  world.sent.clear();

  start();

  EXPECT_FALSE(nodes.down(kRoot));
  EXPECT_GT(world.of<TaskMessage>(kRoot)[0].second.key.incarnation, before.incarnation);
}

TEST_F(NodeRuntimeTest, WhatANodeWaitedForDiesWithIt) {
  start();
  hand_edge_its_task();
  nodes.on_message(kEdge, kClient, world.of<TaskMessage>(kEdge)[0].second);
  ASSERT_EQ(world.jobs.size(), 1U);
  const TrainingPool::JobId job = world.jobs.begin()->first;
  const std::size_t timers = world.timers.size();

  nodes.kill(kClient);
  EXPECT_TRUE(world.jobs.empty());
  EXPECT_FALSE(nodes.training());
  nodes.kill(kEdge);
  EXPECT_LT(world.timers.size(), timers);

  world.sent.clear();
  nodes.on_trained(kClient, job);
  nodes.on_timer(kEdge, TimerId::kProbe);
  nodes.on_message(kRoot, kEdge, ProbeMessage{});
  EXPECT_TRUE(world.sent.empty()) << "a dead node does nothing";
}

TEST_F(NodeRuntimeTest, APublicationOfARootThatHasDiedIsNotAwaited) {
  start();
  let_it_run();
  ASSERT_TRUE(nodes.awaits_publication());

  nodes.kill(kRoot);
  EXPECT_FALSE(nodes.awaits_publication());
  nodes.on_published(false, Version{UINT64_MAX});

  EXPECT_EQ(world.published.size(), 1U);
  EXPECT_TRUE(world.sent.empty());
}

TEST_F(NodeRuntimeTest, ClientsExistOnlyWhileTheyHaveSomethingToDo) {
  start();
  hand_edge_its_task();
  EXPECT_FALSE(nodes.exists(kClient));
  nodes.on_message(kEdge, kClient, world.of<TaskMessage>(kEdge)[0].second);
  EXPECT_TRUE(nodes.exists(kClient));
  EXPECT_EQ(nodes.answering(), 0U);

  nodes.on_trained(kClient, world.jobs.begin()->first);
  EXPECT_EQ(nodes.answering(), 1U);
  const auto updates = world.of<UpdateMessage>(kClient);
  ASSERT_EQ(updates.size(), 1U);

  nodes.on_message(kEdge, kClient, AcknowledgeMessage{.key = updates[0].second.key, .accepted = true, .reason = ""});
  EXPECT_EQ(nodes.answering(), 0U);
  EXPECT_FALSE(nodes.exists(kClient));
}

TEST_F(NodeRuntimeTest, CountsWhatIsSentAndWhatParentsWait) {
  start();
  const EdgeTraffic sent = nodes.statistics().traffic.edges.at(kEdge);
  EXPECT_EQ(sent.messages, 1U);
  EXPECT_GE(sent.bytes_down, 2 * sizeof(float));
  world.counts = false;  // it is on its way already
  hand_edge_its_task();
  EXPECT_FALSE(nodes.statistics().traffic.edges.contains(kClient));
  world.counts = true;

  nodes.on_message(kEdge, kClient, world.of<TaskMessage>(kEdge)[0].second);
  nodes.on_trained(kClient, world.jobs.begin()->first);
  world.time = 3s;
  nodes.on_message(kClient, kEdge, world.of<UpdateMessage>(kClient)[0].second);
  world.time = 5s;
  nodes.on_message(kClient, kEdge, world.of<UpdateMessage>(kClient)[0].second);

  EXPECT_EQ(nodes.statistics().traffic.edges.at(kClient).wait_time, 3s);
}

TEST_F(NodeRuntimeTest, AnUnreachableChildIsLostToItsParent) {
  start();
  hand_edge_its_task();
  std::vector<NodeId> awaited;
  nodes.for_each_awaited([&](NodeId child) { awaited.push_back(child); });
  EXPECT_EQ(awaited.size(), 4U);

  nodes.on_unreachable(kEdge, kClient, "its cable is out");

  EXPECT_EQ(std::count(world.notes.begin(), world.notes.end(), NodeEvent::Kind::kLost), 1);
}

}  // namespace
}  // namespace tributary::internal
