// SPDX-License-Identifier: Apache-2.0
#include "ineffective_settings.hpp"

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

}  // namespace
}  // namespace tributary::cli
