// SPDX-License-Identifier: Apache-2.0
// What a trainer has to say about its model reaches the user before a run and in it.
#include <gtest/gtest.h>

#include <fstream>

#include "program.hpp"
#include "support/scratch_directory.hpp"

namespace tributary::cli {
namespace {

TEST(ModelWarnings, AreShownByPlanValidateAndRunAndKeptInTheRecords) {
  const testing::ScratchDirectory scratch;
  const std::string model = std::string(TRIBUTARY_SOURCE_DIR) + "/tests/fixtures/dropout-traced-in-training.pt";
  scratch.write("corners.csv", "a,b,c,d,label\n2,0,0,0,0\n0,2,0,0,1\n0,0,2,0,2\n");
  const std::string file = scratch
                               .write("dropout.yaml",
                                      "schema: 1\n"
                                      "name: dropout\n"
                                      "rounds: 1\n"
                                      "topology: {star: 1}\n"
                                      "data: {source: csv, train: corners.csv, test: corners.csv}\n"
                                      "model: {torchscript: " +
                                          model + "}\n")
                               .string();
  const std::string directory = (scratch / "run").string();
  constexpr std::string_view kText = "ignores evaluation mode: 2 (dropout)";

  const Outcome planned = run({"plan", file});
  const Outcome facts = run({"plan", file, "--json"});
  const Outcome checked = run({"validate", file});
  const Outcome first = run({"run", file, "--output", directory, "--quiet"});

  EXPECT_TRUE(contains(planned.err, kText)) << planned.out << planned.err;
  EXPECT_TRUE(contains(facts.json().at("warnings").at(0).get<std::string>(), kText)) << facts.out;
  EXPECT_TRUE(contains(checked.err, kText)) << checked.err;
  ASSERT_EQ(first.exit_code, 0) << first.err;
  EXPECT_TRUE(contains(first.err, kText)) << first.err;
  std::ifstream records(scratch / "run" / "records.jsonl");
  const std::string text{std::istreambuf_iterator<char>(records), {}};
  EXPECT_TRUE(contains(text, kText)) << text;
}

}  // namespace
}  // namespace tributary::cli
