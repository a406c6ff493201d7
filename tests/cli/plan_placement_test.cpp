// SPDX-License-Identifier: Apache-2.0
// `tributary plan --ranks`: who holds what, and what travels.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "commands/load.hpp"
#include "program.hpp"
#include "support/scratch_directory.hpp"

namespace tributary::cli {
namespace {

// Four aggregators with eight clients each, all alike.
constexpr const char* kEcho =
    "schema: 1\n"
    "name: small\n"
    "topology: {widths: [4, 32]}\n"
    "data: {source: none}\n"
    "trainer: {kind: echo}\n";

class PlanPlacement : public ::testing::Test {
 protected:
  [[nodiscard]] Outcome plan(const std::vector<std::string>& options, const std::string& text = kEcho) {
    std::vector<std::string> words{"plan", scratch_.write("small.yaml", text).string()};
    words.insert(words.end(), options.begin(), options.end());
    return run(words);
  }
  [[nodiscard]] nlohmann::json placement(std::vector<std::string> options, const std::string& text = kEcho) {
    options.emplace_back("--json");
    const Outcome outcome = plan(options, text);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return outcome.json().at("placement");
  }
  // The configuration's digest when its topology file holds `nodes`.
  [[nodiscard]] std::string digest_with(const std::string& nodes) {
    scratch_.write("tree.yaml", nodes);
    return plan({"--json"}, "schema: 1\ntopology: {file: tree.yaml}\ndata: {source: none}\ntrainer: {kind: echo}\n")
        .json()
        .at("digest");
  }

  testing::ScratchDirectory scratch_;
};

TEST_F(PlanPlacement, ShowsEachRankWithItsNodesAndWhatItSendsAndReceives) {
  const std::string text = plan({"--ranks", "4", "--hosts", "2"}).out;

  EXPECT_TRUE(contains(text, "placement   4 ranks on 2 hosts; 3 of 36 edges are between ranks, 2 between hosts\n"))
      << text;
  EXPECT_TRUE(contains(text, "     0  host-0  root, aggregator-1        8  0-7    25.0 %      3         3\n")) << text;
  EXPECT_TRUE(contains(text, "     3  host-1  aggregator-4              8  24-31  25.0 %      1         1\n")) << text;
  EXPECT_TRUE(contains(text, "every rank holds a node; sends and receives: expected payloads over MPI")) << text;
}

TEST_F(PlanPlacement, CountsOneCopyDownForAllChildrenOfARankAndOneUpdateUpForEach) {
  // A star: 16 of its clients are on rank 1.
  const nlohmann::json facts = placement({"--ranks", "2", "--set", "topology={star: 32}"});

  const nlohmann::json& root = facts.at("per_rank").at(0);
  const nlohmann::json& other = facts.at("per_rank").at(1);
  EXPECT_EQ(facts.at("edges_between_ranks"), 16);
  EXPECT_EQ(root.at("payloads_sent"), 1.0);
  EXPECT_EQ(root.at("payloads_received"), 16.0);
  EXPECT_EQ(other.at("payloads_sent"), 16.0);
  EXPECT_EQ(other.at("payloads_received"), 1.0);
  EXPECT_EQ(other.at("client_ranges"), nlohmann::json::parse("[[16, 31]]"));
  EXPECT_EQ(other.at("peers"), nlohmann::json::parse("[0]"));
}

TEST_F(PlanPlacement, ExpectsAsManyPayloadsAsCohortsAndLocalRoundsAskFor) {
  // Of four clients, two on each rank, two are asked: one of six draws asks none on rank 1.
  const nlohmann::json cohort =
      placement({"--ranks", "2", "--set", "topology={star: 4}", "--set", "tiers.default.cohort.count=2"});
  // One aggregator per rank: the second one's three rounds with its clients stay on rank 1.
  const nlohmann::json inside =
      placement({"--ranks", "2", "--set", "topology={widths: [2, 8]}", "--set", "tiers.1.local_rounds=3"});
  // Rank 1 has clients of an aggregator on rank 0, which runs three rounds.
  const nlohmann::json across =
      placement({"--ranks", "2", "--set", "topology={widths: [1, 4]}", "--set", "tiers.1.local_rounds=3"});

  EXPECT_DOUBLE_EQ(cohort.at("per_rank").at(0).at("payloads_sent"), 5.0 / 6.0);
  EXPECT_DOUBLE_EQ(cohort.at("per_rank").at(0).at("payloads_received"), 1.0);
  EXPECT_DOUBLE_EQ(inside.at("per_rank").at(0).at("payloads_sent"), 1.0);
  EXPECT_DOUBLE_EQ(inside.at("per_rank").at(1).at("payloads_sent"), 1.0);
  EXPECT_DOUBLE_EQ(across.at("per_rank").at(0).at("payloads_sent"), 3.0);
  EXPECT_DOUBLE_EQ(across.at("per_rank").at(1).at("payloads_sent"), 6.0);
}

TEST_F(PlanPlacement, NamesRanksThatHoldNothing) {
  const Outcome outcome = plan({"--ranks", "8", "--set", "topology={star: 4}"});
  const nlohmann::json facts = placement({"--ranks", "8", "--set", "topology={star: 4}"});

  EXPECT_TRUE(contains(outcome.out, "  4 of 8 ranks hold no node: 1, 3, 5, ...; ")) << outcome.out;
  EXPECT_FALSE(contains(outcome.out, "     1  host-0")) << outcome.out;
  EXPECT_TRUE(contains(plan({"--ranks", "2", "--set", "topology={star: 1}"}).out, "  1 of 2 ranks holds no node: 1; "));
  EXPECT_EQ(facts.at("idle_ranks"), nlohmann::json::parse("[1, 3, 5, 7]"));
  EXPECT_EQ(facts.at("per_rank").size(), 8U);
}

TEST_F(PlanPlacement, ShortensWhatIsLong) {
  const std::string names = plan({"--ranks", "1", "--set", "topology={widths: [20, 40]}"}).out;
  const std::string rows = plan({"--ranks", "100", "--set", "topology={star: 100}"}).out;

  EXPECT_TRUE(contains(names, "root, aggregator-1, aggregator-2 and 18 more")) << names;
  EXPECT_TRUE(contains(names, "1 rank on 1 host; 0 of 60 edges are between ranks")) << names;
  EXPECT_TRUE(contains(rows, "(36 more ranks with nodes: --json)")) << rows;
}

TEST_F(PlanPlacement, WeighsClientsByTheirSamples) {
  const std::string data =
      std::string("schema: 1\ntopology: {star: 12}\nmodel: {kind: echo}\ntrainer: {kind: echo}\n") +
      "data: {source: synthetic, partition: {kind: count-dirichlet, beta: 0.5}}\n";

  const nlohmann::json facts = placement({"--ranks", "3"}, data);

  // Blocks of equal work have different numbers of clients.
  double total = 0.0;
  std::uint64_t clients = 0;
  bool alike = true;
  for (const auto& rank : facts.at("per_rank")) {
    total += rank.at("work_share").get<double>();
    clients += rank.at("clients").get<std::uint64_t>();
    alike = alike && rank.at("clients") == 4;
  }
  EXPECT_NEAR(total, 1.0, 1e-12);
  EXPECT_EQ(clients, 12U);
  EXPECT_FALSE(alike) << facts;
}

TEST(ClientWork, IsItsSamplesTimesEpochsOrTheSamplesOfItsStepsOrOne) {
  const auto work_with = [](const TrainerConfig& trainer, DataConfig::Source source) {
    Configuration configuration;
    configuration.trainer = trainer;
    configuration.model.kind = "echo";
    configuration.data.source = source;
    Tree tree = Tree::create({.child_counts = {2, 0, 0}, .attributes = {}}).value();
    const PreparedRun composition =
        prepare_run(std::move(configuration), std::move(tree), known_extensions(), known_trainers()).value();
    return client_work(composition)(ClientIndex{1});
  };
  const DataConfig::Source data = DataConfig::Source::kSynthetic;  // 1,000 samples

  EXPECT_EQ(work_with({.kind = "echo", .epochs = 3}, data), 1500.0);
  EXPECT_EQ(work_with({.kind = "echo", .batch_size = 32, .steps = 10}, data), 320.0);
  EXPECT_EQ(work_with({.kind = "echo", .batch_size = 4000, .steps = 10}, data), 5000.0);
  EXPECT_EQ(work_with({.kind = "echo", .epochs = 3}, DataConfig::Source::kNone), 1.0);
}

TEST_F(PlanPlacement, HonoursTheRanksOfATopologyFile) {
  scratch_.write("tree.yaml", "nodes:\n  - children:\n      - {name: a, rank: 1, children: [b]}\n      - c\n");
  const std::string text = "schema: 1\ntopology: {file: tree.yaml}\ndata: {source: none}\ntrainer: {kind: echo}\n";

  const nlohmann::json facts = placement({"--ranks", "2"}, text);
  const Outcome too_few = plan({"--ranks", "1"}, text);

  EXPECT_EQ(facts.at("per_rank").at(1).at("inner_nodes"), nlohmann::json::parse(R"(["a"])"));
  EXPECT_EQ(too_few.exit_code, 78);
  EXPECT_TRUE(contains(too_few.err, "node \"a\" is to be on rank 1, but there is 1 rank (0 to 0): start at least 2"))
      << too_few.err;
}

TEST_F(PlanPlacement, RanksAreNoPartOfTheDigestButTheTreeIs) {
  const std::string plain = digest_with("nodes:\n  - children: [{name: a, children: [b]}, c]\n");
  const std::string placed =
      digest_with("nodes:\n  - children: [{name: a, rank: 1, children: [b]}, {name: c, rank: 0}]\n");
  const std::string other = digest_with("nodes:\n  - children: [{name: a, children: [b, d]}, c]\n");

  EXPECT_EQ(placed, plain);
  EXPECT_NE(other, plain);
}

TEST_F(PlanPlacement, RanksOfATreeWithinTheConfigurationAreNoPartOfTheDigestEither) {
  const auto digest_of = [this](const std::string& nodes) {
    return plan({"--json", "--set", "topology={nodes: " + nodes + "}"}).json().at("digest");
  };

  EXPECT_EQ(digest_of("[{children: [{name: a, rank: 1, children: [b]}, c]}]"),
            digest_of("[{children: [{name: a, children: [b]}, c]}]"));
}

TEST_F(PlanPlacement, RefusesJobsThatCannotBe) {
  const auto refused = [this](const std::vector<std::string>& options) {
    const Outcome outcome = plan(options);
    EXPECT_EQ(outcome.exit_code, 64) << outcome.err;
    return outcome.err;
  };

  EXPECT_EQ(refused({"--ranks", "0"}), "error: --ranks must be 1 to 1048576, got 0\n");
  EXPECT_EQ(refused({"--ranks=-4"}), "error: --ranks must be 1 to 1048576, got -4\n");
  EXPECT_EQ(refused({"--ranks", "1048577"}), "error: --ranks must be 1 to 1048576, got 1048577\n");
  EXPECT_EQ(refused({"--ranks", "2", "--hosts", "3"}), "error: --hosts must be 1 to 2, the number of ranks, got 3\n");
  EXPECT_EQ(refused({"--ranks", "2", "--hosts", "0"}), "error: --hosts must be 1 to 2, the number of ranks, got 0\n");
  EXPECT_EQ(refused({"--hosts", "2"}), "error: --hosts spreads ranks over hosts: say how many ranks with --ranks\n");
  EXPECT_TRUE(contains(refused({"--ranks", "many"}), "--ranks")) << refused({"--ranks", "many"});
  EXPECT_TRUE(contains(refused({"--ranks", "99999999999999999999"}), "--ranks"));
}

}  // namespace
}  // namespace tributary::cli
