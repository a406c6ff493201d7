// SPDX-License-Identifier: Apache-2.0
#include "tributary/topology/topology.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include "random_topology.hpp"
#include "tributary/topology/generate.hpp"

namespace tributary {
namespace {

NodeAttributes named(std::string name) {
  NodeAttributes attributes;
  attributes.name = std::move(name);
  return attributes;
}

// root: [north: [a, group x of 2, b], group of 3, south: [c]]
Topology mixed() {
  Topology::Builder builder;
  const auto root = builder.add_root();
  const auto north = builder.add(root, named("north"));
  builder.add_group(root, 3);
  const auto south = builder.add(root, named("south"));
  builder.add(north, named("a"));
  NodeAttributes group = named("x");
  group.device = "cuda";
  builder.add_group(north, 2, group);
  builder.add(north, named("b"));
  builder.add(south, named("c"));
  return builder.build().value();
}

TEST(Topology, KeepsTheOrderOfChildrenWithClientsAndAggregatorsMixed) {
  const Tree tree = mixed().to_tree();

  std::vector<std::string> names;
  for (std::uint32_t id = 0; id < tree.size(); ++id) { names.push_back(tree.name(NodeId{id})); }

  EXPECT_EQ(names, (std::vector<std::string>{"root", "north", "client-4", "client-5", "client-6", "south", "a", "x-0",
                                             "x-1", "b", "c"}));
}

TEST(Topology, KnowsRolesTiersAndCounts) {
  const Topology topology = mixed();

  EXPECT_EQ(topology.size(), 11U);
  EXPECT_EQ(topology.clients(), 8U);
  EXPECT_EQ(topology.aggregators(), 2U);
  EXPECT_EQ(topology.height(), 2U);
  EXPECT_EQ(topology.node(0).role, Role::kRoot);
  EXPECT_EQ(topology.node(0).children, 5U);
  EXPECT_EQ(topology.node(1).role, Role::kAggregator);
  EXPECT_EQ(topology.node(1).clients, 4U);
  EXPECT_EQ(topology.node(2).role, Role::kClient);
  EXPECT_EQ(topology.node(2).first_client, ClientIndex{4});
}

TEST(Topology, NamesEqualThoseOfTheTree) {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    const Topology topology = RandomTopologySource(seed).make({.entries = 60});
    const Tree tree = topology.to_tree();

    ASSERT_EQ(tree.size(), topology.size());
    for (std::uint32_t id = 0; id < tree.size(); ++id) {
      const TopologyNode& entry = topology.entry_of(NodeId{id});
      ASSERT_EQ(tree.name(NodeId{id}), topology.name(NodeId{id})) << "seed " << seed;
      ASSERT_EQ(tree.role(NodeId{id}), entry.role) << "seed " << seed;
      ASSERT_EQ(tree.tier(NodeId{id}), entry.tier) << "seed " << seed;
    }
  }
}

TEST(Topology, GivesTheAttributesOfAGroupToEachMember) {
  const Tree tree = mixed().to_tree();

  EXPECT_EQ(tree.attributes(NodeId{7}).device, "cuda");
  EXPECT_EQ(tree.attributes(NodeId{8}).device, "cuda");
  EXPECT_EQ(tree.attributes(NodeId{9}).device, "");
}

TEST(Topology, LeavesMembersOfLargeGroupsTheirDefaultNamesInTheTree) {
  Topology::Builder builder;
  builder.add_group(builder.add_root(), 5, named("x"));
  const Topology topology = builder.build().value();

  EXPECT_EQ(topology.to_tree({.named_members = 4}).name(NodeId{3}), "client-2");
  EXPECT_EQ(topology.to_tree({.named_members = 5}).name(NodeId{3}), "x-2");
  EXPECT_EQ(topology.name(NodeId{3}), "x-2");
}

TEST(Topology, AsksTheAncestorsForTheSite) {
  Topology::Builder builder;
  NodeAttributes hospital = named("north");
  hospital.site = "North Hospital";
  builder.add(builder.add(builder.add_root(), hospital), named("a"));

  const Topology topology = builder.build().value();

  EXPECT_EQ(topology.site(topology.node(2)), "North Hospital");
  EXPECT_EQ(topology.site(topology.node(0)), "");
}

TEST(Topology, BuilderReportsAllMistakesAtOnce) {
  Topology::Builder builder;
  const auto root = builder.add_root(named("r"));
  NodeAttributes slow = named("slow");
  slow.link.bytes_per_second = -1.0;
  builder.add(root, slow);
  builder.add_group(root, 0, named("none"));
  builder.add(99, named("lost"));
  builder.add(root, named("not a name"));

  const Result<Topology> result = builder.build();

  EXPECT_EQ(
      result.status(),
      configuration_error("node \"slow\": link.bandwidth must be 1 B/s to 1e15 B/s, or 0 for unlimited, got -1 B/s\n"
                          "group \"none\": count must be >= 1, got 0\n"
                          "node \"lost\": parent entry 99 is not known yet\n"
                          "a name must be 1 to 64 of letters, digits, '.', '_' and '-', got \"not a name\""));
}

TEST(Topology, BuilderRefusesRanksThatNoJobHasAndARootOnAnotherRank) {
  Topology::Builder builder;
  NodeAttributes root = named("r");
  root.rank = 1;
  NodeAttributes far = named("far");
  far.rank = TopologyLimits::kRank + 1;
  builder.add(builder.add_root(root), far);

  const Result<Topology> result = builder.build();

  EXPECT_EQ(result.status(),
            configuration_error("node \"far\": rank must be a whole number from 0 to 1048575, got 1048576\n"
                                "node \"r\" is the root, which is always on rank 0, but its rank is 1: remove rank"));
}

TEST(Topology, RefusesMoreThan64Tiers) {
  const auto chain = [](std::uint32_t height) {
    Topology::Builder builder;
    auto last = builder.add_root();
    for (std::uint32_t tier = 0; tier < height; ++tier) { last = builder.add(last); }
    return builder.build();
  };

  EXPECT_TRUE(chain(64).ok());
  EXPECT_EQ(chain(65).status().message(), "the unnamed node is 65 tiers below the root; at most 64 are allowed");
}

TEST(Topology, ShowsTheFirstHundredMistakesAndTheNumberOfTheRest) {
  Topology::Builder builder;
  const auto root = builder.add_root();
  for (int i = 0; i < 150; ++i) { builder.add(root, named("bad name")); }
  TopologyIssues issues;

  const Result<Topology> result = builder.build(&issues);

  EXPECT_EQ(issues.issues.size(), 100U);
  EXPECT_EQ(issues.not_shown, 50U);
  EXPECT_TRUE(result.status().message().ends_with("\nand 50 more mistakes"));
}

TEST(Topology, MillionClientsInAThousandGroupsBecomeATreeInUnderAHundredMilliseconds) {
  const std::vector<std::uint32_t> widths{1000, 1'000'000};
  const Topology topology = widths_topology(widths).value();

  // The best of a few: other programs may take the processor away.
  auto elapsed = std::chrono::steady_clock::duration::max();
  for (int attempt = 0; attempt < 5; ++attempt) {
    const auto start = std::chrono::steady_clock::now();
    const Tree again = topology.to_tree();
    elapsed = std::min(elapsed, std::chrono::steady_clock::now() - start);
  }
  const Tree tree = topology.to_tree();

  EXPECT_EQ(topology.nodes().size(), 2001U);
  EXPECT_EQ(tree.clients(), 1'000'000U);
  EXPECT_EQ(tree.name(tree.client_node(ClientIndex{999'999})), "client-999999");
#if defined(NDEBUG) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  EXPECT_LT(elapsed, std::chrono::milliseconds(100));
#else
  EXPECT_GT(elapsed.count(), 0);
#endif
}

TEST(Topology, FromTreeFindsGroupsAgain) {
  const std::vector<std::uint32_t> widths{10, 1000};
  const Topology topology = widths_topology(widths).value();

  EXPECT_EQ(Topology::from_tree(topology.to_tree()), topology);
}

}  // namespace
}  // namespace tributary
