// SPDX-License-Identifier: Apache-2.0
// A client whose method keeps a state: what it asks before it trains, and what it remembers.
#include "tributary/nodes/client_node.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "support/memory_states.hpp"
#include "support/node_recorder.hpp"

namespace tributary {
namespace {

constexpr NodeId kClient{5};
constexpr NodeId kParent{1};

// A client node's surroundings with a disk.
class Recorder final : public NodeContext {
 public:
  void send(NodeId to, Message message) override { inner.send(to, std::move(message)); }
  void set_timer(TimerId timer, std::chrono::nanoseconds after) override { inner.set_timer(timer, after); }
  void cancel_timer(TimerId timer) override { inner.cancel_timer(timer); }
  [[nodiscard]] std::chrono::nanoseconds time_left(TimerId timer) const override { return inner.time_left(timer); }
  void train(TrainRequest request) override { inner.train(std::move(request)); }
  void cancel_training() override { inner.cancel_training(); }
  void publish(const RoundReport& report, ModelValues model) override { inner.publish(report, std::move(model)); }
  void finished(Status status) override { inner.finished(std::move(status)); }
  void note(NodeEvent note) override { inner.note(std::move(note)); }
  Result<std::shared_ptr<const ClientState>> load_state() override { return disk.load(ClientIndex{0}); }
  Status save_state(std::shared_ptr<const ClientState> state) override {
    if (!saving.ok()) { return saving; }
    return disk.save(ClientIndex{0}, std::move(state));
  }
  [[nodiscard]] const ClientState& state() { return *disk.states[ClientIndex{0}]; }

  testing::Recorder inner;
  testing::MemoryStates disk;
  Status saving;
};

class StatefulClient : public ::testing::Test {
 protected:
  static const ParameterSpec& spec() {
    static const ParameterSpec kSpec = ParameterSpec::create({{"w", {2}}}).value();
    return kSpec;
  }
  static TaskMessage task(std::uint64_t number, std::uint64_t epoch = 3) {
    TaskMessage made;
    made.key = {.incarnation = 1, .number = number};
    made.attempt = Attempt{1};
    made.model = std::make_shared<const std::vector<float>>(2, 0.0F);
    made.epoch = epoch;
    return made;
  }
  static Result<ClientUpdate> trained(float increment) {
    ClientUpdate update;
    update.delta = Payload::floats(std::make_shared<const std::vector<float>>(2, 1.0F));
    update.weight = Weight::from(1).value();
    update.state = std::make_shared<const std::vector<float>>(2, increment);
    return update;
  }
  // A task from its beginning to its acknowledged answer.
  Update carry_out(std::uint64_t number, float increment) {
    client.on_message(context, kParent, task(number));
    answer(Fate::kCounted);
    EXPECT_TRUE(context.inner.training.has_value());
    client.on_trained(context, context.inner.training->key, trained(increment));
    context.inner.training.reset();
    const auto sent = context.inner.take<UpdateMessage>();
    client.on_message(context, kParent, AcknowledgeMessage{.key = sent.front().second.key, .accepted = true});
    return sent.front().second.update;
  }
  static DecisionMessage of_root(const InquiryMessage& inquiry, std::vector<SequenceFate> fates = {}) {
    return {.client = kClient,
            .epoch = inquiry.epoch,
            .agreement = DecisionMessage::Agreement::kAgrees,
            .settled = inquiry.settled,
            .newest = inquiry.undecided.empty() ? inquiry.settled : inquiry.undecided.back(),
            .fates = std::move(fates)};
  }
  static DecisionMessage of_aggregator(std::uint64_t epoch, std::vector<SequenceFate> fates) {
    return {.client = kClient, .epoch = epoch, .fates = std::move(fates)};
  }
  // To what it has asked last.
  void answer(Fate fate) {
    const auto asked = context.inner.take<InquiryMessage>();
    ASSERT_EQ(asked.size(), 1U);
    DecisionMessage decision = of_root(asked.front().second);
    for (const std::uint64_t sequence : asked.front().second.sequences) { decision.fates.push_back({sequence, fate}); }
    client.on_message(context, kParent, decision);
  }

  Recorder context;
  ClientNode client{kClient, kParent, spec(), LivenessSettings{}};
};

TEST_F(StatefulClient, NamesItsIncrementAndKeepsItBeforeItIsSent) {
  const Update update = carry_out(1, 0.5F);

  EXPECT_EQ(update.members, (std::vector<Member>{{kClient, 1}}));
  EXPECT_EQ(update.epoch, 3U);
  EXPECT_TRUE(context.state().settled().empty());
  EXPECT_EQ(context.state().current(), (std::vector<double>{0.5, 0.5}));
}

TEST_F(StatefulClient, AsksBeforeItTrainsAgain) {
  carry_out(1, 0.5F);

  client.on_message(context, kParent, task(2));

  EXPECT_FALSE(context.inner.training.has_value());
  const auto asked = context.inner.take<InquiryMessage>();
  ASSERT_EQ(asked.size(), 1U);
  EXPECT_EQ(asked.front().first, kParent);
  EXPECT_EQ(asked.front().second.sequences, (std::vector<std::uint64_t>{1}));
  EXPECT_EQ(asked.front().second.undecided, (std::vector<std::uint64_t>{1}));
  client.on_message(context, kParent, of_aggregator(2, {{1, Fate::kDropped}}));
  EXPECT_FALSE(context.inner.training.has_value()) << "an answer of an earlier beginning";
  client.on_message(context, kParent, of_aggregator(3, {{1, Fate::kCounted}}));

  ASSERT_TRUE(context.inner.training.has_value());
  EXPECT_EQ(context.inner.training->state->settled(), (std::vector<double>{0.5, 0.5}));
  EXPECT_TRUE(context.inner.training->state->undecided().empty());
}

TEST_F(StatefulClient, TrainsWithWhatIsHeldAndForgetsWhatIsDropped) {
  carry_out(1, 0.5F);
  client.on_message(context, kParent, task(2));
  answer(Fate::kHeld);
  ASSERT_TRUE(context.inner.training.has_value());
  EXPECT_EQ(context.inner.training->state->current(), (std::vector<double>{0.5, 0.5}));
  client.on_trained(context, context.inner.training->key, trained(0.25F));
  EXPECT_EQ(context.state().current(), (std::vector<double>{0.75, 0.75}));
  context.inner.training.reset();
  context.inner.sent.clear();

  client.on_message(context, kParent, task(3));
  EXPECT_EQ(context.inner.take<InquiryMessage>().front().second.sequences, (std::vector<std::uint64_t>{1, 2}));
  client.on_message(context, kParent, of_aggregator(3, {{2, Fate::kDropped}}));
  EXPECT_FALSE(context.inner.training.has_value()) << "of one it has heard nothing";
  client.on_timer(context, TimerId::kProbe);
  const auto again = context.inner.take<InquiryMessage>();
  EXPECT_EQ(again.front().second.sequences, (std::vector<std::uint64_t>{1}));
  EXPECT_EQ(again.front().second.undecided, (std::vector<std::uint64_t>{1, 2}));
  client.on_message(context, kParent, of_aggregator(3, {{1, Fate::kCounted}}));

  ASSERT_TRUE(context.inner.training.has_value());
  EXPECT_EQ(context.inner.training->state->current(), (std::vector<double>{0.5, 0.5}));
  EXPECT_EQ(context.inner.training->state->next(), 3U);
}

TEST_F(StatefulClient, BeginsAnewWithANewBeginningAndNotWithAnOlderOne) {
  carry_out(1, 0.5F);

  client.on_message(context, kParent, task(2, 4));
  const auto asked = context.inner.take<InquiryMessage>();
  EXPECT_TRUE(asked.front().second.undecided.empty());
  EXPECT_EQ(asked.front().second.settled, 0U);
  client.on_message(context, kParent, of_root(asked.front().second));
  ASSERT_TRUE(context.inner.training.has_value());
  EXPECT_TRUE(context.inner.training->state->current().empty());
  EXPECT_EQ(context.inner.training->state->next(), 2U) << "numbers go on";
  client.on_trained(context, context.inner.training->key, trained(0.25F));
  context.inner.training.reset();
  context.inner.sent.clear();

  // Whoever owns the states has to know that there was a later one.
  client.on_message(context, kParent, task(3, 3));
  const InquiryMessage of_later = context.inner.take<InquiryMessage>().at(0).second;
  EXPECT_EQ(of_later.epoch, 4U);
  DecisionMessage differs = of_root(of_later);
  differs.agreement = DecisionMessage::Agreement::kDiffers;
  client.on_message(context, kParent, differs);
  EXPECT_FALSE(context.inner.training.has_value());
  EXPECT_EQ(context.inner.take<TaskFailedMessage>().size(), 1U);
  EXPECT_EQ(context.state().epoch(), 4U);
  EXPECT_EQ(context.state().current(), (std::vector<double>{0.25, 0.25}));
}

TEST_F(StatefulClient, DoesNotTrainWithAStateThatIsNotTheRoots) {
  carry_out(1, 0.5F);
  client.on_message(context, kParent, task(2));
  const InquiryMessage inquiry = context.inner.take<InquiryMessage>().front().second;
  DecisionMessage differs = of_root(inquiry, {{1, Fate::kCounted}});
  differs.agreement = DecisionMessage::Agreement::kDiffers;
  DecisionMessage of_earlier = differs;
  of_earlier.newest = 0;
  of_earlier.fates.clear();

  client.on_message(context, kParent, of_earlier);
  EXPECT_TRUE(context.inner.take<TaskFailedMessage>().empty()) << "an answer to another question";
  client.on_message(context, kParent, differs);

  const auto failed = context.inner.take<TaskFailedMessage>();
  ASSERT_EQ(failed.size(), 1U);
  EXPECT_EQ(failed.front().second.code, Code::kBadData);
  EXPECT_FALSE(context.inner.training.has_value());
}

TEST_F(StatefulClient, FailsItsTaskWhenNobodyAnswers) {
  carry_out(1, 0.5F);
  client.on_message(context, kParent, task(2));

  for (std::uint32_t i = 0; i < LivenessSettings{}.silent_probes; ++i) { client.on_timer(context, TimerId::kProbe); }
  EXPECT_TRUE(context.inner.take<TaskFailedMessage>().empty());
  client.on_timer(context, TimerId::kProbe);

  const auto failed = context.inner.take<TaskFailedMessage>();
  ASSERT_EQ(failed.size(), 1U);
  EXPECT_EQ(failed.front().second.code, Code::kUnavailable);
  EXPECT_FALSE(context.inner.training.has_value());
}

TEST_F(StatefulClient, StopsAskingWhenTheTaskIsNotWantedAnyMore) {
  carry_out(1, 0.5F);
  client.on_message(context, kParent, task(2));
  client.on_message(context, kParent, CancelMessage{.key = {.incarnation = 1, .number = 2}});

  EXPECT_TRUE(context.inner.timers.empty());
  EXPECT_TRUE(client.idle());
  client.on_message(context, kParent, of_aggregator(3, {{1, Fate::kCounted}}));
  EXPECT_FALSE(context.inner.training.has_value());
}

TEST_F(StatefulClient, SendsNothingThatItCouldNotKeep) {
  client.on_message(context, kParent, task(1));
  answer(Fate::kCounted);
  context.saving = io_error("the disk is full");
  client.on_trained(context, context.inner.training->key, trained(0.5F));

  bool sent_update = false;
  std::string reason;
  for (const auto& [to, message] : context.inner.sent) {
    sent_update = sent_update || std::holds_alternative<UpdateMessage>(message);
    if (const auto* failed = std::get_if<TaskFailedMessage>(&message)) { reason = failed->reason; }
  }
  EXPECT_FALSE(sent_update);
  EXPECT_EQ(reason, "the disk is full");
}

}  // namespace
}  // namespace tributary
