// SPDX-License-Identifier: Apache-2.0
#include "commands/ineffective_settings.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tributary::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Configuration read(const std::string& text) {
  return parse_configuration("schema: 1\ntopology: {star: 4}\n" + text, "c.yaml").value();
}

Tree star(Link link = {}) {
  NodeAttributes attributes;
  attributes.link = link;
  return Tree::create({.child_counts = {4, 0, 0, 0, 0}, .attributes = {{1U, attributes}}}).value();
}

std::vector<std::string> in_process(const std::string& text, Link link = {}) {
  return ineffective_settings(read(text), star(link), false);
}

TEST(IneffectiveSettings, AreNoneOfAPlainRun) {
  EXPECT_THAT(in_process(""), IsEmpty());
  EXPECT_THAT(ineffective_settings(read(""), star(), true), IsEmpty());
}

TEST(IneffectiveSettings, AreThoseOfTheOtherWayToRun) {
  EXPECT_THAT(in_process("mpi: {lost_after_s: 5}\n"), ElementsAre(HasSubstr("section `mpi`")));
  EXPECT_THAT(ineffective_settings(read("mpi: {lost_after_s: 5}\n"), star(), true), IsEmpty());
  EXPECT_THAT(ineffective_settings(read("simulation: {clock: real}\n"), star(), true),
              ElementsAre(HasSubstr("section `simulation`")));
}

TEST(IneffectiveSettings, AreDeadlinesWhereNothingTakesTime) {
  const std::string deadline = "tiers: {0: {deadline_s: 5}}\n";

  EXPECT_THAT(in_process(deadline), ElementsAre(HasSubstr("tiers.0.deadline_s has no effect")));
  EXPECT_THAT(in_process(deadline, Link{.bytes_per_second = 1e6}), IsEmpty());
  EXPECT_THAT(in_process(deadline + "simulation: {clock: real}\n"), IsEmpty());
  EXPECT_THAT(in_process(deadline + "simulation: {compute_seconds_per_sample: 0.1}\n"), IsEmpty());
  EXPECT_THAT(in_process(deadline + "simulation: {faults: {kill: 0.1}}\n"), IsEmpty());
  EXPECT_THAT(ineffective_settings(read(deadline), star(), true), IsEmpty());
}

TEST(IneffectiveSettings, AreModelledDeadlinesOfRealPrograms) {
  const std::string text =
      "tiers: {0: {deadline_s: 5}}\ntrainer: {kind: command, command: [train, \"{output}\"], timeout_s: 60}\n";

  EXPECT_THAT(
      in_process(text, Link{.bytes_per_second = 1e6}),
      ElementsAre("tiers.0.deadline_s does not bound how long a program runs, as simulation.clock is virtual: one "
                  "that hangs is ended by trainer.timeout_s, after 60 s; with simulation.clock: real the "
                  "deadline counts real seconds"));
  EXPECT_THAT(in_process(text + "simulation: {clock: real}\n"), IsEmpty());
}

TEST(IneffectiveSettings, AreCohortsThatAreLargerThanTheTier) {
  EXPECT_THAT(in_process("tiers: {0: {cohort: {count: 5}}}\n"),
              ElementsAre("tiers.0.cohort.count 5 has no effect: no node there has more than 4 children, and all are "
                          "asked"));
  EXPECT_THAT(in_process("tiers: {0: {cohort: {count: 4}}}\n"), IsEmpty());
}

TEST(IneffectiveSettings, AreLocalRoundsWhereNoNodeHasAParent) {
  const std::string text = "tiers: {default: {local_rounds: 3}}\n";

  EXPECT_THAT(in_process(text),
              ElementsAre("tiers.default.local_rounds 3 has no effect: there is no node between the root "
                          "and its clients"));
  const Tree deep = Tree::create({.child_counts = {2, 1, 1, 0, 0}, .attributes = {}}).value();
  EXPECT_THAT(ineffective_settings(read(text), deep, false), IsEmpty());
}

TEST(IneffectiveSettings, AreSharesThatRoundToAllChildren) {
  const std::string seconds = "simulation: {compute_seconds_per_sample: 0.1}\n";

  EXPECT_THAT(in_process("tiers: {0: {cohort: {count: 4}, over_selection: 1.5}}\n"),
              ElementsAre("tiers.0.over_selection 1.5 has no effect: no node there has children beyond its cohort to "
                          "ask"));
  EXPECT_THAT(in_process("tiers: {0: {cohort: {count: 1}, over_selection: 1.0000000001}}\n"),
              ElementsAre(HasSubstr("tiers.0.over_selection 1.0000000001 has no effect")));
  EXPECT_THAT(in_process("tiers: {0: {cohort: {count: 3}, over_selection: 1.01}}\n"), IsEmpty());
  EXPECT_THAT(in_process("tiers: {0: {deadline_s: 5, quorum: 0.8}}\n" + seconds),
              ElementsAre("tiers.0.quorum 0.8 has no effect: rounded up to whole children it is every child that is "
                          "asked"));
  EXPECT_THAT(in_process("tiers: {0: {deadline_s: 5, quorum: 0.75}}\n" + seconds), IsEmpty());
}

TEST(IneffectiveSettings, AreWeightsOfUpdatesThatAreCommittedOneByOne) {
  const std::string uniform = "algorithm: {weighting: uniform}\n";

  EXPECT_THAT(in_process("tiers: {0: {policy: asynchronous}}\n" + uniform),
              ElementsAre(HasSubstr("algorithm.weighting has no effect: an asynchronous root")));
  EXPECT_THAT(in_process("tiers: {0: {policy: asynchronous}}\n"), IsEmpty());
  EXPECT_THAT(in_process("tiers: {0: {policy: buffered, buffer: 2}}\n" + uniform), IsEmpty());
  // What stands in the default for synchronous tiers is not the root's.
  EXPECT_THAT(in_process("tiers: {default: {deadline_s: 5}, 0: {policy: asynchronous}}\n"), IsEmpty());
}

TEST(IneffectiveSettings, AreSchedulesThatTheRunIsTooShortFor) {
  const auto scheduled = [](std::uint64_t rounds, const std::string& schedule, const std::string& lr = "0.1") {
    return in_process("rounds: " + std::to_string(rounds) + "\ntrainer: {optimizer: {lr: " + lr + ", schedule: {" +
                      schedule + "}}}\n");
  };

  EXPECT_THAT(scheduled(4, "kind: step, step_rounds: 100"),
              ElementsAre("trainer.optimizer.schedule.step_rounds 100 has no effect: the run ends after 4 rounds, and "
                          "the learning rate is 0.1 in all of them"));
  EXPECT_THAT(scheduled(4, "kind: step, step_rounds: 4"), ElementsAre(HasSubstr("step_rounds 4 has no effect")));
  EXPECT_THAT(scheduled(5, "kind: step, step_rounds: 4"), IsEmpty());
  EXPECT_THAT(scheduled(1, "kind: cosine"),
              ElementsAre("trainer.optimizer.schedule has no effect: the learning rate is 0.1 in every round, as there "
                          "is only one"));
  EXPECT_THAT(scheduled(9, "kind: exponential, gamma: 1"), ElementsAre(HasSubstr("as gamma is 1")));
  EXPECT_THAT(scheduled(9, "kind: cosine, final_lr: 0.1"), ElementsAre(HasSubstr("as final_lr is the same")));
  EXPECT_THAT(scheduled(9, "kind: cosine, final_lr: 0"), IsEmpty());
}

TEST(IneffectiveSettings, AreRoundsWhoseLearningRateIsZeroInFloat32) {
  const std::string start = "trainer: {optimizer: {lr: 0.1, schedule: {kind: ";

  // 0.1 * 0.1^36 is 1e-37, the last number of which float32 has all digits.
  EXPECT_THAT(in_process("rounds: 50\n" + start + "exponential, gamma: 0.1}}}\n"),
              ElementsAre("rounds 38 to 50 train nothing: by trainer.optimizer.schedule.gamma 0.1 the learning rate is "
                          "0 there in float32"));
  EXPECT_THAT(in_process("rounds: 37\n" + start + "exponential, gamma: 0.1}}}\n"), IsEmpty());
  EXPECT_THAT(in_process("rounds: 100\n" + start + "step, gamma: 0.1, step_rounds: 2}}}\n"),
              ElementsAre(HasSubstr("rounds 75 to 100 train nothing")));
}

}  // namespace
}  // namespace tributary::cli
