// SPDX-License-Identifier: Apache-2.0
#include "tributary/config/configuration.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace tributary {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const std::filesystem::path kSource = TRIBUTARY_SOURCE_DIR;
const std::string kSmallest = "schema: 1\ntopology: {star: 4}\n";

std::string text_of(const std::filesystem::path& file) {
  std::ifstream stream(file);
  return {std::istreambuf_iterator<char>(stream), {}};
}

Configuration parsed(std::string_view text, const std::vector<std::string>& overrides = {}) {
  const Result<Configuration> result = parse_configuration(text, "c.yaml", overrides);
  EXPECT_TRUE(result.ok()) << result.status().to_string() << "\nin\n" << text;
  return result.ok() ? *result : Configuration{};
}

std::string messages_of(std::string_view text, const std::vector<std::string>& overrides = {}) {
  return parse_configuration(text, "c.yaml", overrides).status().message();
}

std::vector<std::filesystem::path> example_files() {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(kSource / "configs")) {
    if (entry.path().extension() == ".yaml") { files.push_back(entry.path()); }
  }
  std::sort(files.begin(), files.end());
  return files;
}

// One row of the reference; `tiers.*` is written as `tiers.default`.
struct DocumentedKey {
  std::string path;
  std::string type;
  std::vector<std::string> choices;
};

std::vector<DocumentedKey> documented_keys() {
  std::vector<DocumentedKey> keys;
  std::istringstream reference(configuration_reference());
  for (std::string line; std::getline(reference, line);) {
    if (!line.starts_with("| `")) { continue; }
    std::vector<std::string> cells;
    std::istringstream row(line.substr(2));
    for (std::string cell; std::getline(row, cell, '|');) { cells.push_back(cell); }
    DocumentedKey key{cells.at(0).substr(1, cells.at(0).size() - 3), cells.at(1).substr(1), {}};
    if (const std::size_t star = key.path.find('*'); star != std::string::npos) {
      key.path.replace(star, 1, "default");
    }
    for (std::size_t start = cells.at(2).find('`'); start != std::string::npos;) {
      const std::size_t end = cells.at(2).find('`', start + 1);
      key.choices.push_back(cells.at(2).substr(start + 1, end - start - 1));
      start = cells.at(2).find('`', end + 1);
    }
    keys.push_back(std::move(key));
  }
  return keys;
}

TEST(Configuration, TheSmallestFileHasAllDefaults) {
  Configuration expected;
  expected.topology.clients = 4;

  const Configuration configuration = parsed(kSmallest);

  EXPECT_EQ(configuration, expected);
}

TEST(Configuration, EveryValueArrivesInItsMember) {
  const Configuration c = parsed(R"(
schema: 1
name: all
seed: 18446744073709551615
rounds: 7
threads: 3
topology: {sites: {b: 2, a: 3}}
data: {source: csv, train: t.csv, label_column: y, id_column: who, ignore_columns: [date, row], partition: {kind: natural}}
model: {kind: mlp, hidden: [64, 32], initial: w.safetensors}
trainer:
  kind: library
  library: mine.so
  options: {depth: 3, flag: no}
  weight_bound: 40
  batch_size: 8
  steps: 12
  device: auto
  optimizer: {kind: adamw, lr: 1e-3, beta1: 0.8, epsilon: .5, schedule: {kind: step, gamma: 0.3, step_rounds: 4}}
algorithm: {kind: fedprox, mu: 0.2, weighting: capped, weight_cap: 50, precision: full}
server_optimizer: {kind: fedyogi, beta2: 0.9, adaptivity: 1e-4}
tiers: {0: {retries: 0}, 2: {cohort: {fraction: 0.25}, over_selection: 2}}
evaluation: {every: 3, at_clients: true, stop_at_accuracy: 0.75}
checkpoint: {every: 0, keep: 9}
simulation: {clock: real, faults: {kill: 0.125, seed: 6}}
output: {directory: "my runs", csv: true, report: false}
)");

  EXPECT_EQ(c.name, "all");
  EXPECT_EQ(c.seed, UINT64_MAX);
  EXPECT_EQ(c.topology.kind, TopologyConfig::Kind::kSites);
  EXPECT_THAT(c.topology.sites, ElementsAre(TopologyConfig::Site{"b", 2}, TopologyConfig::Site{"a", 3}));
  EXPECT_EQ(c.data.source, DataConfig::Source::kCsv);
  EXPECT_EQ(c.data.partition, DataConfig::Partition::kNatural);
  EXPECT_EQ(c.data.id_column, "who");
  EXPECT_THAT(c.data.ignore_columns, ElementsAre("date", "row"));
  EXPECT_THAT(c.model.hidden, ElementsAre(64U, 32U));
  EXPECT_THAT(c.trainer.options, ElementsAre(testing::Pair("depth", "3"), testing::Pair("flag", "no")));
  EXPECT_EQ(c.trainer.weight_bound, 40.0);
  EXPECT_EQ(c.trainer.steps, 12U);
  EXPECT_EQ(c.trainer.optimizer.kind, OptimizerConfig::Kind::kAdamW);
  EXPECT_EQ(c.trainer.optimizer.lr, 1e-3);
  EXPECT_EQ(c.trainer.optimizer.epsilon, 0.5);
  EXPECT_EQ(c.trainer.optimizer.schedule, OptimizerConfig::Schedule::kStep);
  EXPECT_EQ(c.trainer.optimizer.step_rounds, 4U);
  EXPECT_EQ(c.algorithm.weighting, AlgorithmConfig::Weighting::kCapped);
  EXPECT_EQ(c.server_optimizer.kind, "fedyogi");
  EXPECT_EQ(c.server_optimizer.lr, 0.01) << "the default of its kind";
  EXPECT_EQ(c.server_optimizer.beta1, 0.9);
  EXPECT_EQ(c.server_optimizer.beta2, 0.9);
  EXPECT_EQ(c.server_optimizer.adaptivity, 1e-4);
  EXPECT_EQ(c.algorithm.precision, AlgorithmConfig::Precision::kFull);
  EXPECT_EQ(c.tier(0).retries, 0U);
  EXPECT_EQ(c.tier(1), c.default_tier);
  EXPECT_EQ(c.tier(2).cohort_fraction, 0.25);
  EXPECT_EQ(c.evaluation.stop_at_accuracy, 0.75);
  EXPECT_EQ(c.checkpoint.keep, 9U);
  EXPECT_EQ(c.simulation.clock, SimulationConfig::Clock::kReal);
  EXPECT_EQ(c.simulation.faults.kill, 0.125);
  EXPECT_EQ(c.output.directory, "my runs");
  EXPECT_FALSE(c.output.report);
}

TEST(Configuration, EachWayToSayTheTreeIsRead) {
  const auto tree = [](const std::string& way) { return parsed("schema: 1\ntopology: " + way + "\n").topology; };

  EXPECT_EQ(tree("{star: 9}").clients, 9U);
  EXPECT_THAT(tree("{widths: [2, 4]}").widths, ElementsAre(2U, 4U));
  EXPECT_EQ(tree("{branching: 3, height: 2}").kind, TopologyConfig::Kind::kBalanced);
  EXPECT_EQ(tree("{branching: 3, clients: 20}").kind, TopologyConfig::Kind::kBalancedLeaves);
  EXPECT_EQ(tree("{file: t.json}").file, "t.json");
  EXPECT_EQ(tree("{nodes: [{name: root}]}").kind, TopologyConfig::Kind::kInline);
}

TEST(Configuration, NodesKeepTheirLinesAndColumns) {
  const std::string text =
      "schema: 1\n"
      "topology:\n"
      "  nodes:\n"
      "  - name: root   # the top\n"
      "    link: {bandwidth: 10 Mbit/s}\n"
      "\n"
      "  - {name: \"a b\",\n"
      "     parent: root, count: }\n";

  const TopologyConfig topology = parsed(text).topology;

  EXPECT_EQ(topology.inline_line, 3);
  EXPECT_EQ(topology.inline_nodes,
            " {nodes:\n"
            "  [{name: root,\n"
            "    link: {bandwidth: \"10 Mbit/s\"}},\n"
            "\n"
            "    {name: \"a b\",\n"
            "     parent: root, count: null}]}");
}

TEST(Configuration, EveryExampleReadsAndPrintsAsItself) {
  const std::vector<std::filesystem::path> files = example_files();
  ASSERT_GE(files.size(), 11U);

  for (const std::filesystem::path& file : files) {
    SCOPED_TRACE(file.string());
    const Result<Configuration> configuration = read_configuration(file);
    ASSERT_TRUE(configuration.ok()) << configuration.status().to_string();
    EXPECT_EQ(configuration->name, file.stem().string());

    const std::string printed = print_configuration(*configuration);

    const Result<Configuration> again = parse_configuration(printed, "printed.yaml");
    ASSERT_TRUE(again.ok()) << again.status().to_string() << "\n" << printed;
    EXPECT_EQ(*again, *configuration) << printed;
    EXPECT_EQ(print_configuration(*again), printed);
  }
}

// A run keeps its configuration as it prints it, and a resume reads that again: whatever is left at its default must
// survive, for each kind of data and of trainer.
TEST(Configuration, EveryKindOfDataAndTrainerPrintsAsItself) {
  for (const std::string text :
       {"data: {source: csv, train: a.csv}", "data: {source: csv, train: a.csv, ignore_columns: [when]}",
        "data: {source: idx, train_images: a, train_labels: b}", "data: {source: safetensors, train: a.safetensors}",
        "data: {source: synthetic}", "data: {source: fashion-mnist}",
        "trainer: {kind: command, command: [a, \"{output}\"]}\nmodel: {initial: a.safetensors}",
        "trainer: {kind: library, library: a.so}", "trainer: {kind: echo}"}) {
    const Result<Configuration> configuration =
        parse_configuration("schema: 1\ntopology: {star: 2}\n" + text, "a.yaml");
    ASSERT_TRUE(configuration.ok()) << text << "\n" << configuration.status().to_string();

    const std::string printed = print_configuration(*configuration);
    const Result<Configuration> again = parse_configuration(printed, "printed.yaml");

    ASSERT_TRUE(again.ok()) << text << "\n" << again.status().to_string() << "\n" << printed;
    EXPECT_EQ(*again, *configuration) << printed;
  }
}

// 15,000 seeded changes of the examples: what is accepted prints as itself, what is refused says where.
TEST(Configuration, ChangedExamplesPrintAsThemselvesOrAreRefusedWithAReason) {
  const std::vector<DocumentedKey> keys = documented_keys();
  std::vector<std::string> texts;
  for (const std::filesystem::path& file : example_files()) { texts.push_back(text_of(file)); }
  const std::vector<std::string> values{
      "0",    "1",    "2",    "7",        "0.5",     "1e-3", "true",           "false",
      "no",   "none", "a b",  "\"x: y\"", "[2, 8]",  "[a]",  "{a: 3, b.c: 5}", "null",
      "\"\"", "-1",   "''''", "#",        "\"\\n\"", "~",    "[{n: [x, 1]}]",  "ä"};
  std::mt19937_64 random(20240607);
  const auto one_of = [&](const auto& list) -> const auto& { return list[random() % list.size()]; };
  int accepted = 0;

  for (int i = 0; i < 15000; ++i) {
    std::vector<std::string> overrides;
    for (std::uint64_t n = 1 + random() % 3; n > 0; --n) {
      const DocumentedKey& key = one_of(keys);
      const bool choose = !key.choices.empty() && random() % 4 != 0;
      overrides.push_back(key.path + "=" + (choose ? one_of(key.choices) : one_of(values)));
    }
    const std::string& text = one_of(texts);
    const Result<Configuration> configuration = parse_configuration(text, "c.yaml", overrides);
    if (!configuration.ok()) {
      ASSERT_THAT(configuration.status().message(), testing::AnyOf(HasSubstr("c.yaml:"), HasSubstr("--set ")));
      continue;
    }
    ++accepted;

    const std::string printed = print_configuration(*configuration);

    const Result<Configuration> again = parse_configuration(printed, "printed.yaml");
    ASSERT_TRUE(again.ok()) << again.status().to_string() << "\nfrom " << testing::PrintToString(overrides) << "\n"
                            << printed;
    ASSERT_EQ(*again, *configuration) << "from " << testing::PrintToString(overrides) << "\n" << printed;
  }
  EXPECT_GT(accepted, 900);
}

TEST(Configuration, TheCommittedReferenceIsTheOneTheSchemaGives) {
  EXPECT_EQ(text_of(kSource / "docs" / "configuration.md"), configuration_reference())
      << "write configuration_reference() to docs/configuration.md";
}

TEST(Configuration, EveryMisspelledKeyIsAnsweredWithTheKey) {
  const std::vector<DocumentedKey> keys = documented_keys();
  ASSERT_GT(keys.size(), 90U);

  for (const DocumentedKey& key : keys) {
    if (key.path == "tiers.default") { continue; }  // tiers have numbers, not names
    const std::string wrong = key.path + "x";

    const std::string messages = messages_of(kSmallest, {wrong + "=1"});

    EXPECT_THAT(messages, HasSubstr(fmt::format("--set {}: unknown key {}; did you mean {}?", wrong, wrong, key.path)));
  }
}

TEST(Configuration, EveryKeyHasItsVariable) {
  ASSERT_GT(documented_keys().size(), 90U);
  for (const DocumentedKey& key : documented_keys()) {
    std::string name = "TRIBUTARY_";
    for (const char c : key.path) {
      name += c == '.' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    }

    const std::string messages =
        messages_of(kSmallest, {"env:" + name + (key.path == "topology.nodes" ? "=3" : "=[[]]")});

    EXPECT_THAT(messages, HasSubstr("environment variable " + name + ": " + key.path));
  }
}

// Others have more than a hundred time-outs; each is a question that no user can answer.
TEST(Configuration, AtMostFiveKeysAreDurations) {
  const std::vector<DocumentedKey> keys = documented_keys();
  const auto durations =
      std::count_if(keys.begin(), keys.end(), [](const auto& key) { return key.path.ends_with("_s"); });

  EXPECT_LE(durations, 5);
}

TEST(Configuration, OptionsGoBeforeVariablesBeforeTheFileBeforeDefaults) {
  const std::string text = kSmallest + "seed: 5\nrounds: 5\nthreads: 5\n";

  const Configuration c = parsed(text, {"seed=7", "env:TRIBUTARY_SEED=6", "env:TRIBUTARY_ROUNDS=6", "seed=8"});

  EXPECT_EQ(c.seed, 8U);
  EXPECT_EQ(c.rounds, 6U);
  EXPECT_EQ(c.threads, 5U);
  EXPECT_EQ(c.checkpoint.keep, CheckpointConfig{}.keep);
}

TEST(Configuration, AnOverrideReplacesTheOtherWay) {
  const std::string text = kSmallest + "trainer: {epochs: 3}\nmodel: {kind: cnn}\ntiers: {0: {cohort: {count: 2}}}\n";

  const Configuration c = parsed(text, {"topology.widths=[2, 4]", "trainer.steps=9", "model.torchscript=a.pt",
                                        "env:TRIBUTARY_TIERS_0_COHORT_FRACTION=0.5"});

  EXPECT_EQ(c.topology.kind, TopologyConfig::Kind::kWidths);
  EXPECT_EQ(c.topology.clients, TopologyConfig{}.clients);
  EXPECT_EQ(c.trainer.steps, 9U);
  EXPECT_EQ(c.trainer.epochs, 1U);
  EXPECT_EQ(c.model.torchscript, "a.pt");
  EXPECT_EQ(c.tier(0).cohort_fraction, 0.5);
  EXPECT_FALSE(c.tier(0).cohort_count);
}

TEST(Configuration, AnOverrideOfNullTakesTheKeyOut) {
  const std::string text = kSmallest + "data: {partition: {kind: shards}}\ntrainer: {kind: echo}\n";

  const Configuration c = parsed(text, {"data.source=none", "data.partition=null"});

  EXPECT_EQ(c.data.source, DataConfig::Source::kNone);
  EXPECT_EQ(c.data.partition, DataConfig::Partition::kIid);
}

TEST(Configuration, TheEchoTrainerBringsItsModelUnlessOneIsGiven) {
  const Configuration c = parsed(kSmallest + "data: {source: none}\ntrainer: {kind: echo}\n");
  const Configuration sized = parsed(kSmallest + "trainer: {kind: echo}\nmodel: {parameters: 7}\n");

  EXPECT_EQ(c.model.kind, "echo");
  EXPECT_EQ(c.model.parameters, 1000U);
  EXPECT_EQ(sized.model.parameters, 7U);
  EXPECT_EQ(parsed(print_configuration(c)), c);
  EXPECT_EQ(parsed(kSmallest + "trainer: {kind: torch}\n").model.kind, "lenet5");
}

TEST(Configuration, OptionsAreForCommandsToo) {
  const Configuration c =
      parsed(kSmallest + "trainer: {kind: command, command: [train, \"{output}\"], options: {lr: 0.5}}\n");

  EXPECT_THAT(c.trainer.options, ElementsAre(testing::Pair("lr", "0.5")));
  EXPECT_EQ(parsed(print_configuration(c)), c);
}

TEST(Configuration, AnOverrideOfASectionReplacesTheWholeSection) {
  const Configuration c = parsed(kSmallest + "checkpoint: {every: 9, keep: 9}\n", {"checkpoint={keep: 3}"});

  EXPECT_EQ(c.checkpoint.every, CheckpointConfig{}.every);
  EXPECT_EQ(c.checkpoint.keep, 3U);
}

TEST(Configuration, TiersStartFromTheDefaultWhereverItStands) {
  const Configuration c = parsed(kSmallest +
                                 "tiers:\n"
                                 "  1: {cohort: {count: 3}, quorum: 0.5}\n"
                                 "  default: {cohort: {fraction: 0.5}, deadline_s: 9}\n");

  EXPECT_EQ(c.tier(0).cohort_fraction, 0.5);
  EXPECT_EQ(c.tier(1).cohort_count, 3U);
  EXPECT_FALSE(c.tier(1).cohort_fraction);
  EXPECT_EQ(c.tier(1).deadline_s, 9.0);
  EXPECT_EQ(c.tier(7).quorum, 1.0);
}

TEST(Configuration, LocalRoundsOfTheDefaultLeaveTheRootOut) {
  const Configuration c = parsed(kSmallest + "tiers: {default: {local_rounds: 3, retries: 5}}\n");

  EXPECT_EQ(c.tier(0).local_rounds, 1U);
  EXPECT_EQ(c.tier(0).retries, 5U);
  EXPECT_EQ(c.tier(1).local_rounds, 3U);
}

TEST(Configuration, SectionsWithoutKeysHaveTheirDefaults) {
  const Configuration c = parsed(kSmallest + "trainer:\n  optimizer:\ntiers:\n  default:\nevaluation: {}\n");

  EXPECT_EQ(c, parsed(kSmallest));
}

TEST(Configuration, WordsThatLookLikeSomethingElseAreTextWhereTextIsExpected) {
  const Configuration c = parsed(kSmallest + "name: no\noutput: {directory: 5}\n");

  EXPECT_EQ(c.name, "no");
  EXPECT_EQ(c.output.directory, "5");
  EXPECT_EQ(parsed(print_configuration(c)), c);
}

// The plan knows which extensions there are. What is nearly the name of a built-in one is a slip.
TEST(Configuration, APolicyOrOptimizerOfOnesOwnIsNamedAndMayUseAnyKey) {
  const Configuration c = parsed(
      "schema: 1\ntopology: {star: 4}\n"
      "tiers: {0: {policy: mine, cohort: {count: 2}, buffer: 3, deadline_s: 5, discount: hinge, discount_b: 2}}\n"
      "server_optimizer: {kind: lion, momentum: 0.5, beta2: 0.5}\n");

  EXPECT_EQ(c.tier(0).policy, "mine");
  EXPECT_EQ(c.tier(0).cohort_count, 2U);
  EXPECT_EQ(c.tier(0).buffer, 3U);
  EXPECT_EQ(c.tier(0).discount_b, 2.0);
  EXPECT_EQ(c.server_optimizer.kind, "lion");
  EXPECT_EQ(c.server_optimizer.beta2, 0.5);
  EXPECT_EQ(parsed(print_configuration(c)), c);
}

TEST(Configuration, LineEndsOfOtherSystemsAndAByteOrderMarkAreRead) {
  const Configuration c = parsed("\xEF\xBB\xBFschema: 1\r\nname: \"a\"\r\ntopology: {star: 4}\r\n");

  EXPECT_EQ(c.name, "a");
  EXPECT_THAT(messages_of("\xEF\xBB\xBFschema: 1\r\nname: \"a\r\n"), HasSubstr("c.yaml:2:7: the quote"));
}

TEST(Configuration, RelativePathsStartInTheDirectoryOfTheFile) {
  const Result<Configuration> c = read_configuration(kSource / "configs" / "torchscript.yaml");

  ASSERT_TRUE(c.ok());
  EXPECT_EQ(c->base_directory, kSource / "configs");
  EXPECT_EQ(c->resolve(c->model.torchscript), kSource / "configs" / "../tests/fixtures/small.pt");
  EXPECT_EQ(c->resolve("/a/b"), "/a/b");
}

TEST(Configuration, TheFileMayNameAnotherBaseDirectory) {
  const std::filesystem::path file = std::filesystem::path(testing::TempDir()) / "tributary_base_directory.yaml";
  std::ofstream(file) << kSmallest << "base_directory: ../elsewhere/\n";

  const Result<Configuration> c = read_configuration(file);
  std::filesystem::remove(file);

  ASSERT_TRUE(c.ok()) << c.status().to_string();
  EXPECT_EQ(c->base_directory, (file.parent_path() / "../elsewhere").lexically_normal());
}

TEST(Configuration, AFileThatIsNotThereIsNotFound) {
  const Result<Configuration> c = read_configuration("/nonexistent/federation.yaml");

  EXPECT_EQ(c.status().code(), Code::kNotFound);
  EXPECT_THAT(c.status().message(), HasSubstr("/nonexistent/federation.yaml"));
}

TEST(Configuration, ADirectoryIsNotAConfiguration) {
  const Result<Configuration> c = read_configuration(kSource / "configs");

  EXPECT_FALSE(c.ok());
  EXPECT_THAT(c.status().message(), HasSubstr((kSource / "configs").string()));
}

TEST(Configuration, SizeDepthAndBracketsAreBounded) {
  const std::string large(std::size_t{5} << 20U, '#');
  std::string deep = kSmallest + "data: ";
  for (int i = 0; i < 40; ++i) { deep += "{a: "; }
  deep += "1" + std::string(40, '}');
  std::string lists = "a: [";
  for (int i = 0; i < 500000; ++i) { lists += "1,"; }

  EXPECT_EQ(messages_of(large), "c.yaml:1:1: the text has 5242880 bytes; at most 4194304 are read");
  EXPECT_EQ(messages_of(deep), "c.yaml:3:131: lists and maps are nested deeper than 32");
  EXPECT_EQ(messages_of(std::string(100000, '[')), "c.yaml:1:1001: more than 1000 brackets are open");
  EXPECT_THAT(messages_of(lists + "]\n"), HasSubstr("there are more than 500000 keys and values"));
  EXPECT_EQ(messages_of("? " + std::string(300, 'k') + "\n: 1\n"),
            "c.yaml:1:3: a key has 300 bytes; at most 200 are read");
}

TEST(Configuration, AHundredMistakesAreShownAndTheRestIsMentioned) {
  std::string text = kSmallest;
  for (int i = 0; i < 3000; ++i) { text += fmt::format("unknown{}: 1\n", i); }

  const std::string messages = messages_of(text);

  EXPECT_EQ(std::count(messages.begin(), messages.end(), '\n'), 100);
  EXPECT_THAT(messages, testing::EndsWith("\nand there are more mistakes"));
}

}  // namespace
}  // namespace tributary
