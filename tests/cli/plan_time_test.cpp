// SPDX-License-Identifier: Apache-2.0
// What `tributary plan` says a round takes is what it takes on the virtual clock of `tributary run`.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "program.hpp"
#include "support/scratch_directory.hpp"
#include "tributary/run/record_sinks.hpp"

namespace tributary::cli {
namespace {

class PlanTime : public ::testing::Test {
 protected:
  // Rounds of 100 samples at 1 ms each, IID over the clients of `nodes`.
  void write(const std::string& nodes, const std::string& more = "") {
    scratch_.write("tree.yaml", nodes);
    configuration_ = scratch_
                         .write("time.yaml",
                                "schema: 1\n"
                                "rounds: 2\n"
                                "topology: {file: tree.yaml}\n"
                                "data: {source: synthetic, samples: 400}\n"
                                "model: {kind: logistic}\n"
                                "simulation: {compute_seconds_per_sample: 0.001}\n" +
                                    more)
                         .string();
  }
  [[nodiscard]] double planned() const {
    const Outcome plan = run({"plan", configuration_, "--json"});
    EXPECT_EQ(plan.exit_code, 0) << plan.err;
    return plan.json().at("virtual_seconds_per_round");
  }
  [[nodiscard]] std::vector<double> measured() const {
    const std::string directory = (scratch_ / "run").string();
    const Outcome outcome = run({"run", configuration_, "--output", directory, "--quiet"});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    std::vector<double> seconds;
    const Result<std::vector<Record>> records = read_records(real_file_system(), scratch_ / "run" / "records.jsonl");
    for (const Record& record : records.value()) {
      if (record.event() == "round") { seconds.push_back(record.number("virtual_seconds")); }
    }
    return seconds;
  }

  testing::ScratchDirectory scratch_;
  std::string configuration_;
};

TEST_F(PlanTime, OfAStarWithSlowLinksIsTheRunsTime) {
  write(
      "nodes:\n"
      "  - name: root\n"
      "    children:\n"
      "      - {name: near, link: {bandwidth: 1 Mbit/s, latency: 5 ms}}\n"
      "      - {name: far, link: {bandwidth: 1 Mbit/s, latency: 700 ms}}\n"
      "      - {name: thin, link: {bandwidth: 2 kbit/s, latency: 5 ms}}\n"
      "      - {name: free}\n",
      "trainer: {epochs: 3}\n");
  const double estimate = planned();

  EXPECT_GT(estimate, 0.3 + 1.4);
  const std::vector<double> seconds = measured();
  ASSERT_EQ(seconds.size(), 2U);
  for (const double round : seconds) { EXPECT_NEAR(round, estimate, 1e-8); }
}

TEST_F(PlanTime, OfATreeWithLocalRoundsAndStepsIsTheRunsTime) {
  write(
      "nodes:\n"
      "  - name: root\n"
      "    children:\n"
      "      - name: north\n"
      "        link: {latency: 100 ms}\n"
      "        children: [{name: a, link: {latency: 20 ms}}, {name: b, link: {latency: 30 ms}}]\n"
      "      - name: south\n"
      "        link: {latency: 300 ms}\n"
      "        children: [{name: c}, {name: d}]\n",
      "trainer: {batch_size: 30, steps: 6}\n"
      "tiers: {1: {local_rounds: 3}}\n");
  // Four steps go through the 100 samples, two more take 60. North: 100 + 3 x (30 + 160 + 30) + 100 ms; south:
  // 300 + 3 x 160 + 300 ms.
  EXPECT_NEAR(planned(), 1.08, 1e-9);

  const std::vector<double> seconds = measured();

  ASSERT_EQ(seconds.size(), 2U);
  for (const double round : seconds) { EXPECT_NEAR(round, 1.08, 1e-8); }
}

TEST_F(PlanTime, ATaskLongerThanTheClockIsRefusedBeforeTheStart) {
  write("nodes:\n  - name: root\n    children: [{name: a}, {name: b}]\n");

  for (const char* const command : {"run", "plan", "validate"}) {
    const Outcome outcome = run({command, configuration_, "--set", "simulation.compute_seconds_per_sample=100000",
                                 "--set", "trainer.epochs=1000"});

    EXPECT_EQ(outcome.exit_code, 78) << command;
    EXPECT_TRUE(contains(outcome.err,
                         "simulation.compute_seconds_per_sample is 100000: with it one task of a (200 "
                         "samples) would take"))
        << outcome.err;
  }
}

}  // namespace
}  // namespace tributary::cli
