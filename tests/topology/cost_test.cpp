// SPDX-License-Identifier: Apache-2.0
#include "tributary/topology/cost.hpp"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

#include "tributary/topology/generate.hpp"

namespace tributary {
namespace {

using std::chrono::milliseconds;

// One byte takes a millisecond on such a link.
constexpr Link kSlow{1000.0, milliseconds(0)};

CostOptions payload(std::uint64_t bytes) {
  CostOptions options;
  options.bytes_down = bytes;
  options.bytes_up = bytes;
  return options;
}

NodeAttributes linked(std::string name, double bytes_per_second, milliseconds latency) {
  NodeAttributes attributes;
  attributes.name = std::move(name);
  attributes.link = {bytes_per_second, latency};
  return attributes;
}

TEST(Cost, BalancedTreesOver256ClientsSendTheKnownNumberOfPayloads) {
  struct Case {
    std::uint32_t branching;
    std::uint32_t height;
    double payloads;
  };
  for (const Case& tree : {Case{256, 1, 512}, Case{16, 2, 544}, Case{4, 4, 680}, Case{2, 8, 1020}}) {
    const Topology topology = balanced_topology(tree.branching, tree.height).value();

    const CostEstimate cost = estimate_cost(topology, payload(1000));

    EXPECT_EQ(topology.clients(), 256U);
    EXPECT_EQ(cost.payloads, tree.payloads);
    EXPECT_EQ(cost.bytes, tree.payloads * 1000);
  }
}

TEST(Cost, HeightEightSendsSixtyPercentLessThanForwarding) {
  const CostEstimate cost = estimate_cost(balanced_topology(2, 8).value(), payload(1000));

  EXPECT_EQ(cost.forwarding_payloads, 510 + 256 * 8);
  EXPECT_LE(cost.payloads, 0.4 * cost.forwarding_payloads);
  EXPECT_LE(cost.bytes, 0.4 * cost.forwarding_bytes);
}

TEST(Cost, AStarSavesNothing) {
  const CostEstimate cost = estimate_cost(star_topology(10).value(), payload(1));

  EXPECT_EQ(cost.payloads, cost.forwarding_payloads);
}

TEST(Cost, TiersAddUpToTheWhole) {
  const std::vector<std::uint32_t> widths{2, 4, 32};
  const CostEstimate cost = estimate_cost(widths_topology(widths).value(), payload(10));

  ASSERT_EQ(cost.tiers.size(), 3U);
  EXPECT_EQ(cost.tiers[0].payloads, 4);
  EXPECT_EQ(cost.tiers[1].payloads, 8);
  EXPECT_EQ(cost.tiers[2].payloads, 64);
  EXPECT_EQ(cost.tiers[2].nodes, 32U);
  EXPECT_EQ(cost.tiers[2].bytes_up, 320);
  EXPECT_EQ(cost.payloads, 76);
}

TEST(Cost, CohortsAndLocalRoundsMultiplyDownTheTree) {
  const std::vector<std::uint32_t> widths{4, 40};
  CostOptions options = payload(1);
  options.tiers = {TierPlan{.cohort_fraction = 0.5}, TierPlan{.cohort_count = 3, .rounds = 5}};

  const CostEstimate cost = estimate_cost(widths_topology(widths).value(), options);

  EXPECT_DOUBLE_EQ(cost.edges[1].requests, 0.5);
  EXPECT_DOUBLE_EQ(cost.edges[5].requests, 0.5 * 5 * 0.3);
  EXPECT_DOUBLE_EQ(cost.tiers[0].payloads, 4);
  EXPECT_DOUBLE_EQ(cost.tiers[1].payloads, 2.0 * 2 * 5 * 3);
}

TEST(Cost, OverSelectionIsRoundedUpAndNeverAsksMoreThanAll) {
  CostOptions options = payload(1);
  options.tiers = {TierPlan{.cohort_count = 5, .over_selection = 1.3}};
  EXPECT_DOUBLE_EQ(estimate_cost(star_topology(10).value(), options).payloads, 14);

  options.tiers = {TierPlan{.cohort_count = 5, .over_selection = 3.0}};
  EXPECT_DOUBLE_EQ(estimate_cost(star_topology(10).value(), options).payloads, 20);
}

TEST(Cost, ARoundTakesAsLongAsTheSlowestChild) {
  Topology::Builder builder;
  const auto root = builder.add_root();
  builder.add(root, linked("fast", 10'000, milliseconds(1)));
  builder.add(root, linked("slow", 1'000, milliseconds(50)));
  CostOptions options = payload(100);
  options.training = milliseconds(500);

  const CostEstimate cost = estimate_cost(builder.build().value(), options);

  EXPECT_EQ(cost.edges[1].visit, milliseconds(1 + 10 + 500 + 1 + 10));
  EXPECT_EQ(cost.round_time, milliseconds(50 + 100 + 500 + 50 + 100));
  EXPECT_EQ(cost.critical_path, (std::vector<std::uint32_t>{2}));
}

TEST(Cost, ARoundTakesAsLongAsTheSlowestClientTrains) {
  const std::vector<std::uint32_t> widths{2, 6};
  CostOptions options = payload(10);
  options.default_link = kSlow;
  // Nodes 3 to 8 are the clients; groups of them stand in one entry.
  options.training_of = [](NodeId node) { return milliseconds(100 * node.value); };

  const CostEstimate cost = estimate_cost(widths_topology(widths).value(), options);

  EXPECT_EQ(cost.edges[1].visit, milliseconds(10 + (10 + 500 + 10) + 10));
  EXPECT_EQ(cost.round_time, milliseconds(10 + (10 + 800 + 10) + 10));
}

TEST(Cost, TimesStopAtTheEndOfTimeInsteadOfWrappingAround) {
  const std::vector<std::uint32_t> widths{1, 1};
  CostOptions options = payload(10);
  options.default_link = {1e-300, milliseconds(1)};
  options.tiers = {TierPlan{}, TierPlan{.rounds = 3}};

  EXPECT_EQ(estimate_cost(widths_topology(widths).value(), options).round_time, std::chrono::nanoseconds::max());
}

TEST(Cost, LocalRoundsLengthenTheVisitOfAnInnerNode) {
  const std::vector<std::uint32_t> widths{1, 1};
  CostOptions options = payload(10);
  options.default_link = kSlow;
  options.training = milliseconds(100);
  options.tiers = {TierPlan{}, TierPlan{.rounds = 3}};

  EXPECT_EQ(estimate_cost(widths_topology(widths).value(), options).round_time, milliseconds(10 + 3 * 120 + 10));
}

TEST(Cost, UnlimitedLinksTakeNoTime) {
  EXPECT_EQ(estimate_cost(balanced_topology(3, 3).value(), payload(1'000'000)).round_time, milliseconds(0));
}

TEST(Cost, OfATreeEqualsThatOfItsTopology) {
  const std::vector<std::uint32_t> widths{3, 20};
  const Topology topology = widths_topology(widths).value();
  CostOptions options = payload(123);
  options.default_link = kSlow;

  const CostEstimate a = estimate_cost(topology, options);
  const CostEstimate b = estimate_cost(topology.to_tree(), options);

  EXPECT_EQ(a.payloads, b.payloads);
  EXPECT_EQ(a.round_time, b.round_time);
  EXPECT_EQ(a.critical_path, b.critical_path);
}

}  // namespace
}  // namespace tributary
