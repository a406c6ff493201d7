// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "random_topology.hpp"
#include "tributary/topology/read.hpp"
#include "tributary/topology/write.hpp"

namespace tributary {
namespace {

constexpr std::uint64_t kSeeds = 200;

void expect_round_trip(const Topology& topology, TopologyFormat format, std::uint64_t seed) {
  const std::string text = format_topology(topology, format).value();

  const Result<Topology> back = parse_topology(text, format, "written");

  ASSERT_TRUE(back.ok()) << "seed " << seed << ": " << back.status().message() << '\n' << text;
  EXPECT_EQ(*back, topology) << "seed " << seed << '\n' << text;
}

TEST(RoundTrip, YamlAndJsonKeepEverything) {
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    const Topology topology = RandomTopologySource(seed).make({.entries = static_cast<std::uint32_t>(seed % 90)});

    expect_round_trip(topology, TopologyFormat::kYaml, seed);
    expect_round_trip(topology, TopologyFormat::kJson, seed);
  }
}

TEST(RoundTrip, EdgeListsAndMatricesKeepNamesAndShape) {
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    const Topology topology = RandomTopologySource(seed).make(
        {.entries = static_cast<std::uint32_t>(seed % 90), .all_named = true, .groups = false, .attributes = false});

    expect_round_trip(topology, TopologyFormat::kEdges, seed);
    expect_round_trip(topology, TopologyFormat::kMatrix, seed);
  }
}

TEST(RoundTrip, EdgeListsWriteTheMembersOfGroupsOneByOne) {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    const Topology topology = RandomTopologySource(seed).make({.entries = 60});

    const Result<Topology> back = parse_topology(to_edges(topology), TopologyFormat::kEdges, "written");

    ASSERT_TRUE(back.ok()) << "seed " << seed << ": " << back.status().message();
    ASSERT_EQ(back->size(), topology.size());
    for (std::uint32_t id = 0; id < topology.size(); ++id) {
      EXPECT_EQ(back->name(NodeId{id}), topology.name(NodeId{id}));
    }
  }
}

TEST(RoundTrip, WritingWhatWasReadGivesTheSameText) {
  const Topology topology = RandomTopologySource(7).make({.entries = 100});
  const std::string text = to_yaml(topology);

  const Topology back = parse_topology(text, TopologyFormat::kYaml, "written").value();

  EXPECT_EQ(to_yaml(back), text);
}

TEST(RoundTrip, TreesKeepTheirShapeNamesAndAttributes) {
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    const Tree tree = RandomTopologySource(seed).make({.entries = 50}).to_tree();

    const Tree back = Topology::from_tree(tree).to_tree();

    ASSERT_EQ(back.size(), tree.size());
    for (std::uint32_t id = 0; id < tree.size(); ++id) {
      EXPECT_EQ(back.parent(NodeId{id}), tree.parent(NodeId{id})) << "seed " << seed;
      EXPECT_EQ(back.name(NodeId{id}), tree.name(NodeId{id})) << "seed " << seed;
      EXPECT_EQ(back.attributes(NodeId{id}), tree.attributes(NodeId{id})) << "seed " << seed;
    }
  }
}

// A flipped, dropped or doubled byte may make another topology or an error, and nothing worse.
TEST(RoundTrip, DamagedTextIsReadOrRefused) {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    std::mt19937_64 random(seed);
    const Topology topology = RandomTopologySource(seed).make({.entries = 8});
    for (const TopologyFormat format :
         {TopologyFormat::kYaml, TopologyFormat::kJson, TopologyFormat::kEdges, TopologyFormat::kMatrix}) {
      std::string text = format_topology(topology, format).value();
      for (int change = 0; change < 3; ++change) {
        const std::size_t at = random() % text.size();
        switch (random() % 3) {
          case 0:
            text[at] = static_cast<char>(random());
            break;
          case 1:
            text.erase(at, 1 + random() % 4);
            break;
          default:
            text.insert(at, text.substr(random() % text.size(), random() % 8));
        }
        if (text.empty()) { text.push_back('x'); }
      }

      const Result<Topology> result = parse_topology(text, format, "damaged");

      if (result.ok()) {
        EXPECT_EQ(parse_topology(to_yaml(*result), TopologyFormat::kYaml, "again").value(), *result);
      } else {
        EXPECT_EQ(result.status().code(), Code::kConfiguration);
        EXPECT_FALSE(result.status().message().empty());
      }
    }
  }
}

}  // namespace
}  // namespace tributary
