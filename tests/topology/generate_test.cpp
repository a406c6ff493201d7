// SPDX-License-Identifier: Apache-2.0
#include "tributary/topology/generate.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace tributary {
namespace {

std::vector<std::uint32_t> tier_sizes(const Topology& topology) {
  const Tree tree = topology.to_tree();
  std::vector<std::uint32_t> sizes;
  for (std::uint32_t tier = 0; tier <= tree.height(); ++tier) { sizes.push_back(tree.tier_size(tier)); }
  return sizes;
}

std::vector<std::uint32_t> children_in_tier(const Topology& topology, std::uint32_t tier) {
  std::vector<std::uint32_t> children;
  for (const TopologyNode& node : topology.nodes()) {
    if (node.tier == tier) { children.push_back(node.children); }
  }
  return children;
}

using Sizes = std::vector<std::uint32_t>;

TEST(Generate, StarHasAllClientsBelowTheRoot) {
  EXPECT_EQ(tier_sizes(star_topology(1).value()), (Sizes{1, 1}));
  EXPECT_EQ(tier_sizes(star_topology(300).value()), (Sizes{1, 300}));
}

TEST(Generate, BalancedMultipliesByTheBranchingInEachTier) {
  EXPECT_EQ(tier_sizes(balanced_topology(3, 3).value()), (Sizes{1, 3, 9, 27}));
  EXPECT_EQ(tier_sizes(balanced_topology(1, 2).value()), (Sizes{1, 1, 1}));
}

// The same tree by way of the builder, which checks everything.
Topology built(const std::vector<std::uint32_t>& widths) {
  Topology::Builder builder;
  std::vector<Topology::Builder::Entry> above{builder.add_root()};
  for (std::size_t tier = 0; tier < widths.size(); ++tier) {
    std::vector<Topology::Builder::Entry> here;
    const auto parents = static_cast<std::uint32_t>(above.size());
    for (std::uint32_t i = 0; i < parents; ++i) {
      const std::uint32_t count = widths[tier] / parents + (i < widths[tier] % parents ? 1 : 0);
      if (tier + 1 == widths.size()) { builder.add_group(above[i], count); }
      for (std::uint32_t child = 0; tier + 1 < widths.size() && child < count; ++child) {
        here.push_back(builder.add(above[i]));
      }
    }
    above = std::move(here);
  }
  return std::move(builder).build().value();
}

TEST(Generate, RegularTreesAreThoseOfTheBuilder) {
  for (const std::vector<std::uint32_t>& widths : std::vector<std::vector<std::uint32_t>>{
           {1}, {7}, {1, 1, 1}, {3, 10}, {2, 4, 8, 16}, {5, 7, 7, 100}, {4, 34}, {1, 300, 301}}) {
    EXPECT_EQ(widths_topology(widths).value(), built(widths));
  }
}

TEST(Generate, BalancedLeavesUsesTheFewestTiers) {
  EXPECT_EQ(tier_sizes(balanced_leaves_topology(4, 37).value()), (Sizes{1, 3, 10, 37}));
  EXPECT_EQ(tier_sizes(balanced_leaves_topology(16, 256).value()), (Sizes{1, 16, 256}));
  EXPECT_EQ(tier_sizes(balanced_leaves_topology(8, 8).value()), (Sizes{1, 8}));
}

TEST(Generate, BalancedLeavesKeepsTheBranchingAndTheNumberOfClients) {
  for (std::uint32_t branching = 2; branching < 9; ++branching) {
    for (std::uint32_t clients = 1; clients < 200; ++clients) {
      const Topology topology = balanced_leaves_topology(branching, clients).value();

      ASSERT_EQ(topology.clients(), clients);
      for (const TopologyNode& node : topology.nodes()) { ASSERT_LE(node.children, branching); }
    }
  }
}

TEST(Generate, WidthsSpreadsEvenlyAndGivesTheRemainderToTheFirst) {
  const Topology topology = widths_topology(Sizes{4, 34}).value();

  EXPECT_EQ(tier_sizes(topology), (Sizes{1, 4, 34}));
  EXPECT_EQ(children_in_tier(topology, 1), (Sizes{9, 9, 8, 8}));
}

TEST(Generate, SitesNamesAggregatorsAndTheirClients) {
  const std::vector<SiteClients> all{{"berlin", 2}, {"paris", 1}};

  const Topology topology = sites_topology(all).value();

  EXPECT_EQ(topology.name(NodeId{1}), "berlin");
  EXPECT_EQ(topology.name(NodeId{3}), "berlin-client-0");
  EXPECT_EQ(topology.name(NodeId{5}), "paris-client-0");
  EXPECT_EQ(topology.site(topology.entry_of(NodeId{5})), "paris");
}

TEST(Generate, RefusesWhatCannotBe) {
  EXPECT_EQ(star_topology(0).status(), invalid_argument("the number of clients must be >= 1, got 0"));
  EXPECT_EQ(star_topology(16'777'216).status(),
            invalid_argument("16,777,217 nodes are too many; at most 16,777,216 are allowed"));
  EXPECT_EQ(balanced_topology(0, 2).status(), invalid_argument("branching must be >= 1, got 0"));
  EXPECT_EQ(balanced_topology(2, 0).status(), invalid_argument("height must be 1 to 64, got 0"));
  EXPECT_EQ(balanced_topology(2, 40).status(),
            invalid_argument("branching 2 and height 40 make more than 16,777,216 nodes"));
  EXPECT_EQ(balanced_leaves_topology(1, 8).status(), invalid_argument("branching must be >= 2, got 1"));
  EXPECT_EQ(balanced_leaves_topology(2, 0).status(), invalid_argument("the number of clients must be >= 1, got 0"));
  EXPECT_EQ(widths_topology({}).status(), invalid_argument("widths must list 1 to 64 tiers, got 0"));
  EXPECT_EQ(widths_topology(Sizes{4, 3}).status(),
            invalid_argument("widths must not fall: 4 nodes in tier 1 need at least as many in tier 2, got 3"));
  EXPECT_EQ(sites_topology({}).status(), invalid_argument("sites must list at least one site"));
  const std::vector<SiteClients> spaced{{"St. Mary", 2}};
  EXPECT_EQ(
      sites_topology(spaced).status(),
      invalid_argument("the name of a site must be 1 to 64 of letters, digits, '.', '_' and '-', got \"St. Mary\""));
  const std::vector<SiteClients> empty{{"north", 0}};
  EXPECT_EQ(sites_topology(empty).status(),
            invalid_argument("site \"north\" must have 1 to 16,777,216 clients, got 0"));
  const std::vector<SiteClients> twice{{"north", 1}, {"north", 2}};
  EXPECT_EQ(sites_topology(twice).status(), invalid_argument("the name \"north\" is used twice\n"
                                                             "the name \"north-client\" is used twice"));
}

TEST(Generate, BuildsTheLargestTopology) {
  const Topology topology = star_topology(16'777'215).value();

  EXPECT_EQ(topology.clients(), 16'777'215U);
  EXPECT_EQ(topology.name(NodeId{16'777'215}), "client-16777214");
}

}  // namespace
}  // namespace tributary
