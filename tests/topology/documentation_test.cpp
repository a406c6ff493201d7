// SPDX-License-Identifier: Apache-2.0
// Reads the examples of docs/topology.md: a fenced block is one if the line of its fence ends with "topology" and a
// number, the number of nodes that it makes; or with "wrong", and the block after it is the message.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include "tributary/topology/cost.hpp"
#include "tributary/topology/generate.hpp"
#include "tributary/topology/read.hpp"
#include "tributary/topology/svg.hpp"

namespace tributary {
namespace {

struct Block {
  std::string format;
  std::string kind;
  std::uint32_t nodes = 0;
  std::string text;
};

std::string page() {
  std::ifstream input(std::filesystem::path(TRIBUTARY_SOURCE_DIR) / "docs/topology.md");
  return {std::istreambuf_iterator<char>(input), {}};
}

std::vector<Block> blocks() {
  std::vector<Block> result;
  std::istringstream lines(page());
  bool inside = false;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("```")) {
      inside = !inside;
      if (!inside) { continue; }
      Block& block = result.emplace_back();
      std::istringstream words(line.substr(3));
      words >> block.format >> block.kind >> block.nodes;
    } else if (inside) {
      result.back().text += line + '\n';
    }
  }
  return result;
}

TEST(Documentation, ExamplesOfEveryFormatAreRead) {
  std::vector<std::string> formats;
  for (const Block& block : blocks()) {
    if (block.kind != "topology") { continue; }
    formats.push_back(block.format);

    const Result<Topology> topology =
        parse_topology(block.text, parse_topology_format(block.format).value(), "docs/topology.md");

    ASSERT_TRUE(topology.ok()) << topology.status().message() << '\n' << block.text;
    EXPECT_EQ(topology->size(), block.nodes) << block.text;
  }
  EXPECT_THAT(formats, testing::IsSupersetOf({"yaml", "json", "edges", "matrix"}));
}

TEST(Documentation, WrongExamplesGiveTheirMessages) {
  const std::vector<Block> all = blocks();
  int found = 0;
  for (std::size_t i = 0; i + 1 < all.size(); ++i) {
    if (all[i].kind != "wrong") { continue; }
    ++found;

    const Result<Topology> topology =
        parse_topology(all[i].text, parse_topology_format(all[i].format).value(), "hospitals.yaml");

    ASSERT_FALSE(topology.ok());
    EXPECT_EQ(topology.status().message() + '\n', all[i + 1].text);
  }
  EXPECT_GE(found, 1);
}

TEST(Documentation, NamesEveryKindOfMistake) {
  const std::string text = page();
  for (int error = 0; error <= static_cast<int>(TopologyError::kTooLarge); ++error) {
    EXPECT_THAT(text, testing::HasSubstr("| `" + std::string(to_string(static_cast<TopologyError>(error))) + "` |"));
  }
}

TEST(Documentation, TheWorkedCostsAreTheEstimated) {
  const std::vector<std::uint32_t> widths{4, 32};
  CostOptions options;
  options.bytes_down = options.bytes_up = 178'000;
  options.training = std::chrono::milliseconds(2000);
  options.default_link = {12.5e6, std::chrono::milliseconds(10)};

  const CostEstimate cost = estimate_cost(widths_topology(widths).value(), options);

  EXPECT_EQ(cost.payloads, 72);
  EXPECT_EQ(cost.bytes, 12'816'000);
  EXPECT_EQ(cost.forwarding_payloads, 100);
  EXPECT_EQ(cost.round_time, std::chrono::microseconds(2'096'960));
  EXPECT_THAT(page(), testing::HasSubstr("| payloads | 72 |"));
  EXPECT_THAT(page(), testing::HasSubstr("| bytes | 12,816,000 |"));
  EXPECT_THAT(page(), testing::HasSubstr("| payloads if forwarded | 100 |"));
  EXPECT_THAT(page(), testing::HasSubstr("| round time | 2.097 s |"));
}

}  // namespace
}  // namespace tributary
