// SPDX-License-Identifier: Apache-2.0
// A node's end of the way to its parent: what it repeats, for how long, and what it does not listen to.
#include "tributary/nodes/parent_link.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "support/node_recorder.hpp"

namespace tributary {
namespace {

using std::chrono::seconds;
using testing::Recorder;

class ParentLinkTest : public ::testing::Test {
 protected:
  static TaskMessage task(std::uint64_t round, std::uint32_t attempt = 1) {
    return {.key = {.incarnation = 0, .number = round}, .attempt = Attempt{attempt}};
  }

  // Takes the task of that round, and answers it with a failure.
  void answer(std::uint64_t round) {
    link_.on_message(context_, task(round));
    link_.fail(context_, unavailable("no"));
    context_.sent.clear();
  }

  std::size_t answers_sent() { return context_.take<TaskFailedMessage>().size(); }

  Recorder context_;
  ParentLink link_{NodeId{1}, NodeId{0},
                   LivenessSettings{.first_probe = seconds(1), .largest_probe = seconds(4), .silent_probes = 5}};
};

TEST_F(ParentLinkTest, AnAnswerIsRepeatedAtGrowingPausesAndThenGivenUp) {
  link_.on_message(context_, task(1));
  link_.fail(context_, unavailable("no"));
  EXPECT_EQ(answers_sent(), 1U);

  std::vector<std::chrono::nanoseconds> pauses;
  while (context_.timers.contains(TimerId::kResend) && pauses.size() < 100) {
    pauses.push_back(context_.timers.at(TimerId::kResend));
    context_.timers.clear();
    link_.on_resend(context_);
    EXPECT_EQ(answers_sent(), pauses.size() <= 5 ? 1U : 0U);
  }

  EXPECT_EQ(pauses, (std::vector<std::chrono::nanoseconds>{seconds(1), seconds(2), seconds(4), seconds(4), seconds(4),
                                                           seconds(4)}));
  EXPECT_TRUE(link_.idle()) << "a parent that says nothing for so long is not there";
}

TEST_F(ParentLinkTest, AProbeIsAnsweredWithWhatIsKnownOfThatTask) {
  const auto known = [&](std::uint64_t round) {
    link_.on_message(context_, ProbeMessage{task(round).key});
    return context_.take<WorkingMessage>().at(0).second.known;
  };
  EXPECT_FALSE(known(1)) << "it never came";
  link_.on_message(context_, task(1));
  EXPECT_TRUE(known(1));
  EXPECT_FALSE(known(2));
  link_.fail(context_, unavailable("no"));
  context_.sent.clear();
  link_.on_message(context_, ProbeMessage{task(1).key});
  EXPECT_EQ(answers_sent(), 1U);

  link_.on_message(context_, AcknowledgeMessage{.key = task(1).key, .accepted = true});

  EXPECT_FALSE(known(1)) << "it is done with, and forgotten";
}

TEST_F(ParentLinkTest, AnAcknowledgementOfAnotherTaskIsNotTaken) {
  answer(2);

  link_.on_message(context_, AcknowledgeMessage{.key = task(1).key, .accepted = true});
  EXPECT_FALSE(link_.idle());
  link_.on_message(context_, AcknowledgeMessage{.key = task(2).key, .accepted = true});

  EXPECT_TRUE(link_.idle());
}

// The second copy was sent because the first one seemed to be lost. What it asks for is in the parent's sums already.
TEST_F(ParentLinkTest, ATaskWhoseAnswerWasCountedIsNotBegunAgain) {
  answer(1);
  link_.on_message(context_, AcknowledgeMessage{.key = task(1).key, .accepted = true});

  EXPECT_EQ(link_.on_message(context_, task(1, 2)), ParentLink::Reaction::kNone);
  EXPECT_TRUE(link_.idle());
  EXPECT_EQ(link_.on_message(context_, task(2)), ParentLink::Reaction::kStart);
}

TEST_F(ParentLinkTest, ACancellationOfAnEarlierTaskStopsNothing) {
  link_.on_message(context_, task(2));

  EXPECT_EQ(link_.on_message(context_, CancelMessage{task(1).key}), ParentLink::Reaction::kNone);
  EXPECT_TRUE(link_.working());
  EXPECT_EQ(link_.on_message(context_, CancelMessage{task(2).key}), ParentLink::Reaction::kStop);

  EXPECT_TRUE(link_.idle());
}

TEST_F(ParentLinkTest, AFailedTaskIsTriedAgainAndALateCopyOfTheFirstIsNot) {
  answer(1);

  EXPECT_EQ(link_.on_message(context_, task(1)), ParentLink::Reaction::kNone);
  EXPECT_EQ(answers_sent(), 1U) << "the answer was lost";
  EXPECT_EQ(link_.on_message(context_, task(1, 2)), ParentLink::Reaction::kStart);

  EXPECT_EQ(link_.attempt(), Attempt{2});
  EXPECT_FALSE(context_.timers.contains(TimerId::kResend));
}

}  // namespace
}  // namespace tributary
