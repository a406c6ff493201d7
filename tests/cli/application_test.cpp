// SPDX-License-Identifier: Apache-2.0
#include "commands/application.hpp"

#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <vector>

#include "commands/command.hpp"
#include "program.hpp"

namespace tributary::cli {
namespace {

std::string reported(const Status& status) {
  std::ostringstream out;
  std::ostringstream err;
  report_status({out, err, {}}, Paint(false), status);
  return err.str();
}

TEST(Application, HelpNamesEveryCommandAndGoesToStandardOutput) {
  const Outcome outcome = run({"--help"});

  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_EQ(outcome.err, "");
  ASSERT_GE(commands().size(), 10U);
  for (const Command& command : commands()) { EXPECT_TRUE(contains(outcome.out, command.name)) << command.name; }
}

TEST(Application, EveryCommandHasAHelpWithAnExample) {
  for (const Command& command : commands()) {
    const Outcome outcome = run({std::string(command.name), "--help"});

    EXPECT_EQ(outcome.exit_code, 0) << command.name;
    EXPECT_TRUE(contains(outcome.out, "Example")) << command.name << ":\n" << outcome.out;
    EXPECT_TRUE(contains(outcome.out, "tributary " + std::string(command.name))) << command.name;
  }
}

TEST(Application, MembersOfAGroupHaveAHelpWithAnExampleToo) {
  for (const char* member : {"generate", "show", "convert"}) {
    const Outcome outcome = run({"topology", member, "--help"});

    EXPECT_EQ(outcome.exit_code, 0) << member;
    EXPECT_TRUE(contains(outcome.out, std::string("tributary topology ") + member)) << outcome.out;
  }
}

TEST(Application, UsageNamesTheProgramOnceAndTheWholeCommand) {
  EXPECT_TRUE(contains(run({"--help"}).out, "Usage: tributary [OPTIONS] SUBCOMMAND\n"));
  EXPECT_TRUE(contains(run({}).err, "Usage: tributary [OPTIONS] SUBCOMMAND\n"));
  EXPECT_TRUE(contains(run({"version", "--help"}).out, "Usage: tributary version [OPTIONS]\n"));
  EXPECT_TRUE(contains(run({"topology", "show", "--help"}).out, "Usage: tributary topology show [OPTIONS] file\n"));
}

TEST(Application, AUsageErrorPointsToTheHelpThatAnswersIt) {
  EXPECT_TRUE(contains(run({"topology", "tributary"}).err, "See 'tributary topology --help'."));
  EXPECT_TRUE(contains(run({"bench", "foo"}).err, "See 'tributary bench --help'."));
  EXPECT_TRUE(contains(run({"--color", "sometimes", "version"}).err, "See 'tributary --help'."));
  EXPECT_TRUE(contains(run({"topology"}).err,
                       "tributary topology needs a command: one of generate, show, convert\n"
                       "See 'tributary topology --help'."))
      << run({"topology"}).err;
  EXPECT_TRUE(contains(run({"-v"}).err, "tributary needs a command: one of run, validate, plan,")) << run({"-v"}).err;
}

TEST(Application, WithoutACommandTheHelpIsAUsageError) {
  const Outcome outcome = run({});

  EXPECT_EQ(outcome.exit_code, 64);
  EXPECT_EQ(outcome.out, "");
  EXPECT_TRUE(contains(outcome.err, "Subcommands:"));
}

TEST(Application, AMisspeltCommandGetsTheNearestOne) {
  EXPECT_EQ(run({"rnu"}).exit_code, 64);
  EXPECT_TRUE(contains(run({"rnu"}).err, "Did you mean 'run'?"));
  EXPECT_TRUE(contains(run({"topology", "genrate"}).err, "Did you mean 'generate'?"));
  EXPECT_TRUE(contains(run({"--color", "never", "doctr"}).err, "Did you mean 'doctor'?"));
  EXPECT_FALSE(contains(run({"xyzzy"}).err, "Did you mean"));
}

TEST(Application, AMisspeltOptionGetsTheNearestOneOfItsCommandOrOfTheProgram) {
  const Outcome own = run({"version", "--jsn"});
  const Outcome global = run({"version", "--quite"});

  EXPECT_EQ(own.exit_code, 64);
  EXPECT_TRUE(contains(own.err, "unknown option '--jsn'. Did you mean '--json'?")) << own.err;
  EXPECT_TRUE(contains(own.err, "See 'tributary version --help'.")) << own.err;
  EXPECT_TRUE(contains(global.err, "Did you mean '--quiet'?")) << global.err;
}

TEST(Application, AMisspeltOptionBeforeOrWithoutACommandIsNamedToo) {
  const Outcome alone = run({"--versoin"});
  EXPECT_EQ(alone.exit_code, 64);
  EXPECT_EQ(alone.err, "error: unknown option '--versoin'. Did you mean '--version'?\nSee 'tributary --help'.\n");
  EXPECT_TRUE(contains(run({"--colour=never", "list"}).err, "unknown option '--colour'. Did you mean '--color'?"));
  EXPECT_TRUE(contains(run({"-z"}).err, "unknown option '-z'"));
  EXPECT_TRUE(contains(run({"topology", "--quite", "show"}).err, "unknown option '--quite'. Did you mean '--quiet'?"));
  EXPECT_EQ(run({"-qv", "version"}).exit_code, 0);
}

TEST(Application, AnEmptyValueIsAMistakeAndNoDefault) {
  const Outcome output = run({"run", "c.yaml", "--output", ""});
  EXPECT_EQ(output.exit_code, 64);
  EXPECT_TRUE(contains(output.err, "error: --output: the value is empty; give one, or leave the option away\n"))
      << output.err;
  EXPECT_EQ(run({"run", "c.yaml", "--resume="}).exit_code, 64);
  EXPECT_EQ(run({"run", "c.yaml", "--set", ""}).exit_code, 64);
  EXPECT_TRUE(contains(run({"inspect", ""}).err, "path: the value is empty"));
}

TEST(Application, OtherMistakesOnTheCommandLineAreUsageErrors) {
  EXPECT_EQ(run({"inspect"}).exit_code, 64);
  EXPECT_EQ(run({"version", "extra"}).exit_code, 64);
  EXPECT_EQ(run({"version", "--color", "sometimes"}).exit_code, 64);
  EXPECT_EQ(run({"topology", "show", "tree.yaml", "--lines", "many"}).exit_code, 64);
}

TEST(Application, AnErrorIsPrintedOnStandardErrorAndGivesItsExitCode) {
  const Outcome outcome = run({"inspect", "/nowhere/model.safetensors"});

  EXPECT_EQ(outcome.exit_code, exit_code(Code::kNotFound));
  EXPECT_EQ(outcome.out, "");
  EXPECT_EQ(outcome.err, "error: /nowhere/model.safetensors: there is no such file or directory\n");
}

TEST(StatusReport, WhatHasBeenToldAlreadyIsNotToldAgain) {
  EXPECT_EQ(reported(cancelled("")), "");
}

TEST(StatusReport, MistakesOfAConfigurationAreCounted) {
  EXPECT_EQ(reported(configuration_error("a.yaml:1:1: wrong\na.yaml:2:1: wrong too")),
            "a.yaml:1:1: wrong\na.yaml:2:1: wrong too\nerror: 2 mistakes, listed above\n");
  EXPECT_EQ(reported(configuration_error("a.yaml:1:1: wrong")), "error: a.yaml:1:1: wrong\n");
}

TEST(StatusReport, OtherMessagesOfSeveralLinesAreNoLists) {
  EXPECT_EQ(reported(internal_error("torch: no\nframe #0: f\nframe #1: g")),
            "error: torch: no\nframe #0: f\nframe #1: g\n");
  EXPECT_EQ(reported(bad_data("no whole checkpoint\n1: damaged\n2: damaged")),
            "error: no whole checkpoint\n1: damaged\n2: damaged\n");
  EXPECT_EQ(reported(configuration_error("the model failed: here\nits own words")),
            "error: the model failed: here\nits own words\n");
}

TEST(Application, ColorIsUsedOnlyWhenAskedForBesideATerminal) {
  EXPECT_FALSE(contains(run({"list"}).out, "\x1b"));
  EXPECT_TRUE(contains(run({"list", "--color", "always"}).out, "\x1b["));
  EXPECT_TRUE(contains(run({"--color=always", "list"}).out, "\x1b["));
}

TEST(Application, TheVersionIsTheSameInEveryForm) {
  const std::string version = run({"version", "--json"}).json().at("version");

  EXPECT_TRUE(run({"version"}).out.starts_with("tributary " + version));
  EXPECT_EQ(run({"--version"}).out, run({"version"}).out);
  EXPECT_EQ(run({"version", "--json"}).json().at("schema"), 1);
}

TEST(Application, WrongAndMissingArgumentsAreNamedInWords) {
  const Outcome negative = run({"topology", "show", "tree.yaml", "--lines", "-1"});
  EXPECT_EQ(negative.exit_code, 64);
  EXPECT_TRUE(contains(negative.err, "--lines: '-1' is not a whole number")) << negative.err;
  const Outcome missing = run({"report"});
  EXPECT_EQ(missing.exit_code, 64);
  EXPECT_TRUE(contains(missing.err, "tributary report needs runs: Run directories")) << missing.err;
}

}  // namespace
}  // namespace tributary::cli
