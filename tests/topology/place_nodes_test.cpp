// SPDX-License-Identifier: Apache-2.0
#include "tributary/topology/place_nodes.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <set>

#include "tributary/base/random.hpp"

namespace tributary {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

using Ranks = std::map<std::uint32_t, std::uint32_t>;  // what nodes say

// The hosts of `ranks` ranks that fill `hosts` hosts one after the other.
std::vector<std::string> hosts_of(std::uint32_t ranks, std::uint32_t hosts = 1) {
  std::vector<std::string> names;
  for (std::uint32_t rank = 0; rank < ranks; ++rank) { names.push_back(fmt::format("node{}", rank * hosts / ranks)); }
  return names;
}

Tree tree_of(std::vector<std::uint32_t> child_counts, const Ranks& said = {}) {
  Tree::Builder builder{.child_counts = std::move(child_counts)};
  for (const auto& [node, rank] : said) { builder.attributes[node].rank = rank; }
  return Tree::create(std::move(builder)).value();
}

// `aggregators` below the root, each with as many clients.
Tree two_tiers(std::uint32_t aggregators, std::uint32_t clients_each, const Ranks& said = {}) {
  std::vector<std::uint32_t> counts{aggregators};
  counts.insert(counts.end(), aggregators, clients_each);
  counts.insert(counts.end(), std::size_t{aggregators} * clients_each, 0);
  return tree_of(std::move(counts), said);
}

// Clients and aggregators side by side at any depth.
Tree irregular(Rng& rng, std::uint32_t inner_nodes) {
  std::vector<std::uint32_t> counts;
  std::uint32_t known = 1;  // nodes that have a parent
  std::uint32_t inner_left = inner_nodes;
  for (std::uint32_t node = 0; node < known; ++node) {
    const bool last_with_choice = node + 1 == known;
    const bool inner = inner_left > 0 && (node == 0 || last_with_choice || rng.chance(0.4));
    const auto children = inner ? 1 + static_cast<std::uint32_t>(rng.below(6)) : 0;
    if (inner) { --inner_left; }
    counts.push_back(children);
    known += children;
  }
  return tree_of(std::move(counts));
}

std::function<double(ClientIndex)> by_index(std::vector<double> work) {
  return [work = std::move(work)](ClientIndex client) { return work.at(client.value); };
}

Placement place(const Tree& tree, const std::vector<std::string>& hosts,
                const std::function<double(ClientIndex)>& work = nullptr) {
  Result<Placement> placement = place_nodes(tree, hosts, work);
  EXPECT_TRUE(placement.ok()) << placement.status().message();
  return std::move(placement).value();
}

std::vector<std::uint32_t> ranks_of_clients(const Tree& tree, const Placement& placement) {
  std::vector<std::uint32_t> ranks;
  for (std::uint32_t client = 0; client < tree.clients(); ++client) {
    ranks.push_back(placement.rank_of(tree.client_node(ClientIndex{client})));
  }
  return ranks;
}

std::vector<std::uint32_t> clients_per_rank(const Placement& placement) {
  std::vector<std::uint32_t> clients;
  for (std::uint32_t rank = 0; rank < placement.ranks(); ++rank) { clients.push_back(placement.load(rank).clients); }
  return clients;
}

double heaviest_rank(const Placement& placement) {
  double heaviest = 0.0;
  for (std::uint32_t rank = 0; rank < placement.ranks(); ++rank) {
    heaviest = std::max(heaviest, placement.load(rank).work);
  }
  return heaviest;
}

// How often the list goes from one value to another.
std::size_t changes(const std::vector<std::uint32_t>& list) {
  std::size_t count = 0;
  for (std::size_t i = 1; i < list.size(); ++i) { count += list[i] != list[i - 1] ? 1 : 0; }
  return count;
}

TEST(Placement, OneRankHoldsEverything) {
  const Tree tree = two_tiers(4, 8);

  const Placement placement = place(tree, hosts_of(1));

  EXPECT_EQ(placement.load(0), (RankLoad{.clients = 32, .inner_nodes = 5, .work = 32.0}));
  EXPECT_THAT(placement.peers(0), IsEmpty());
  EXPECT_THAT(placement.idle_ranks(), IsEmpty());
  EXPECT_EQ(placement.edges_between_ranks(), 0U);
}

TEST(Placement, SpreadsClientsInTheirOrderAndPutsAggregatorsBesideThem) {
  const Tree tree = two_tiers(4, 8);

  const Placement placement = place(tree, hosts_of(2));

  const std::vector<std::uint32_t> clients = ranks_of_clients(tree, placement);
  EXPECT_TRUE(std::is_sorted(clients.begin(), clients.end()));
  EXPECT_THAT(clients_per_rank(placement), ElementsAre(16, 16));
  EXPECT_EQ(placement.rank_of(NodeId{0}), 0U);
  EXPECT_EQ(placement.rank_of(NodeId{1}), 0U);
  EXPECT_EQ(placement.rank_of(NodeId{2}), 0U);
  EXPECT_EQ(placement.rank_of(NodeId{3}), 1U);
  EXPECT_EQ(placement.rank_of(NodeId{4}), 1U);
  EXPECT_THAT(placement.peers(0), ElementsAre(1));
  EXPECT_THAT(placement.peers(1), ElementsAre(0));
  EXPECT_EQ(placement.edges_between_ranks(), 2U);
  EXPECT_EQ(placement.edges_between_hosts(), 0U);
}

TEST(Placement, TheRootIsOnRankZeroWhereverItsChildrenAre) {
  const Tree tree = tree_of({3, 0, 0, 0});

  const Placement placement = place(tree, hosts_of(3), by_index({1.0, 1.0, 100.0}));

  EXPECT_EQ(placement.rank_of(tree.root()), 0U);
  EXPECT_EQ(ranks_of_clients(tree, placement), (std::vector<std::uint32_t>{0, 1, 2}));
}

TEST(Placement, NoChildrenOfAQuickStartAggregatorStraddleTwoHosts) {
  const Tree tree = two_tiers(4, 8);
  // As mpirun numbers ranks host by host, and as it does with --map-by node.
  for (const std::vector<std::string>& hosts : {std::vector<std::string>{"a", "a", "b", "b"}, {"a", "b", "a", "b"}}) {
    const Placement placement = place(tree, hosts);

    for (const NodeId aggregator : tree.children(tree.root())) {
      std::set<std::string> used{placement.host_of(placement.rank_of(aggregator))};
      for (const NodeId child : tree.children(aggregator)) { used.insert(placement.host_of(placement.rank_of(child))); }
      EXPECT_EQ(used.size(), 1U) << tree.name(aggregator);
    }
    EXPECT_THAT(clients_per_rank(placement), ElementsAre(8, 8, 8, 8));
    EXPECT_EQ(placement.edges_between_hosts(), 2U);
  }
}

// The least possible work of the heaviest rank, by trying: best[r] of the first clients over r + 1 ranks.
double least_heaviest(const std::vector<double>& work, std::uint32_t ranks) {
  std::vector<double> best(work.size() + 1, 0.0);
  for (std::size_t i = 0; i < work.size(); ++i) { best[i + 1] = best[i] + work[i]; }
  for (std::uint32_t rank = 1; rank < ranks; ++rank) {
    for (std::size_t end = work.size(); end > 0; --end) {
      double block = 0.0;
      for (std::size_t first = end; first-- > 0;) {
        block += work[first];
        best[end] = std::min(best[end], std::max(best[first], block));
      }
    }
  }
  return best.back();
}

TEST(Placement, NoCutIntoBlocksHasALighterHeaviestRank) {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    Rng rng(stream_seed(seed, Purpose::kTest));
    const Tree tree = irregular(rng, 20);
    const auto ranks = 1 + static_cast<std::uint32_t>(rng.below(9));
    std::vector<double> work(tree.clients());
    for (double& one : work) { one = 1.0 + static_cast<double>(rng.below(100)); }

    const double least = least_heaviest(work, ranks);

    EXPECT_LE(heaviest_rank(place(tree, hosts_of(ranks), by_index(work))), least * 1.001 + 0.1) << "seed " << seed;
    EXPECT_LE(heaviest_rank(place(tree, hosts_of(ranks, ranks), by_index(work))), least * 1.051 + 0.1) << seed;
  }
}

TEST(Placement, ABoundaryBetweenHostsMovesToTheEndOfASubtreeIfThatCostsLittle) {
  const Tree tree = tree_of({2, 3, 3, 0, 0, 0, 0, 0, 0});
  // 101 of 200 before the boundary spare the first subtree, 99 cut it; in the second case it is 120 or 100.
  const auto little = by_index({60.0, 39.0, 2.0, 59.0, 20.0, 20.0});
  const auto much = by_index({60.0, 40.0, 20.0, 20.0, 20.0, 40.0});

  const Placement one_host = place(tree, hosts_of(2), little);
  const Placement two_hosts = place(tree, hosts_of(2, 2), little);
  const Placement dear = place(tree, hosts_of(2, 2), much);

  EXPECT_EQ(one_host.load(0).work, 99.0);
  EXPECT_EQ(two_hosts.load(0).work, 101.0);
  EXPECT_EQ(two_hosts.edges_between_hosts(), 1U);
  EXPECT_EQ(dear.load(0).work, 100.0);
}

TEST(Placement, AnInnerNodeGoesToTheHostOfMostOfItsWorkBeforeTheRank) {
  // The aggregator's children: 4 on rank 0 of host a, 3 each on ranks 1 and 2 of host b.
  const Tree tree = tree_of({1, 3, 0, 0, 0}, {{2, 0}, {3, 1}, {4, 2}});

  const Placement placement = place(tree, std::vector<std::string>{"a", "b", "b"}, by_index({4.0, 3.0, 3.0}));

  EXPECT_EQ(placement.rank_of(NodeId{1}), 1U);
}

TEST(Placement, EqualSharesOfTheWorkGoToTheLowestRank) {
  const Tree tree = tree_of({1, 3, 0, 0, 0}, {{2, 2}, {3, 1}, {4, 1}});

  EXPECT_EQ(place(tree, hosts_of(3), by_index({2.0, 1.0, 1.0})).rank_of(NodeId{1}), 1U);
}

// Where the work would let a boundary move a little, it stays: each host gets what the hosts before it leave.
TEST(Placement, EveryHostOfSeveralGetsItsShare) {
  const Tree tree = tree_of([] {
    std::vector<std::uint32_t> counts(601, 0);
    counts[0] = 600;
    return counts;
  }());

  EXPECT_THAT(clients_per_rank(place(tree, hosts_of(6, 3))), ElementsAre(100, 100, 100, 100, 100, 100));
}

TEST(Placement, IrregularTreesAreCutIntoBalancedContiguousBlocks) {
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    Rng rng(stream_seed(seed, Purpose::kTest));
    const Tree tree = irregular(rng, 1 + static_cast<std::uint32_t>(rng.below(40)));
    const auto ranks = 1 + static_cast<std::uint32_t>(rng.below(12));
    const auto hosts = 1 + static_cast<std::uint32_t>(rng.below(ranks));
    std::vector<double> work(tree.clients());
    for (double& one : work) { one = std::pow(10.0, 3.0 * rng.uniform()); }
    const double heaviest = *std::max_element(work.begin(), work.end());
    const double ideal = std::accumulate(work.begin(), work.end(), 0.0) / ranks;

    const Placement placement = place(tree, hosts_of(ranks, hosts), by_index(work));

    const std::vector<std::uint32_t> of_clients = ranks_of_clients(tree, placement);
    const auto used = static_cast<std::uint32_t>(std::set(of_clients.begin(), of_clients.end()).size());
    EXPECT_EQ(changes(of_clients) + 1, used) << "seed " << seed << ": a rank has two blocks";
    EXPECT_TRUE(std::is_sorted(of_clients.begin(), of_clients.end())) << "seed " << seed;
    EXPECT_EQ(used, std::min(ranks, tree.clients())) << "seed " << seed;
    EXPECT_LE(heaviest_rank(placement), (ideal + heaviest) * (1.0 + 1e-12)) << "seed " << seed;
  }
}

TEST(Placement, EveryNodeIsCountedOnceAndEveryCrossingEdgeMakesPeers) {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    Rng rng(stream_seed(seed, Purpose::kTest));
    const Tree tree = irregular(rng, 30);
    const Placement placement = place(tree, hosts_of(7, 3));
    std::uint32_t nodes = 0;
    std::uint32_t crossing = 0;
    std::vector<std::set<std::uint32_t>> peers(placement.ranks());
    for (std::uint32_t n = 1; n < tree.size(); ++n) {
      const std::uint32_t a = placement.rank_of(NodeId{n});
      const std::uint32_t b = placement.rank_of(tree.parent(NodeId{n}));
      if (a == b) { continue; }
      ++crossing;
      peers[a].insert(b);
      peers[b].insert(a);
    }

    for (std::uint32_t rank = 0; rank < placement.ranks(); ++rank) {
      const RankLoad& load = placement.load(rank);
      nodes += load.clients + load.inner_nodes;
      EXPECT_THAT(placement.peers(rank), testing::ElementsAreArray(peers[rank])) << "seed " << seed;
      const bool idle = load.clients + load.inner_nodes == 0;
      EXPECT_EQ(std::count(placement.idle_ranks().begin(), placement.idle_ranks().end(), rank), idle ? 1 : 0);
    }
    EXPECT_EQ(nodes, tree.size()) << "seed " << seed;
    EXPECT_EQ(placement.edges_between_ranks(), crossing) << "seed " << seed;
  }
}

TEST(Placement, OneHeavyClientDoesNotStarveTheRanksAfterIt) {
  const Tree tree = tree_of({8, 0, 0, 0, 0, 0, 0, 0, 0});

  const Placement placement = place(tree, hosts_of(4), by_index({1000.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0}));

  EXPECT_EQ(placement.load(0).clients, 1U);
  for (std::uint32_t rank = 1; rank < 4; ++rank) { EXPECT_GE(placement.load(rank).clients, 1U); }
}

TEST(Placement, FewerClientsThanRanksAreSpreadOverTheHosts) {
  const Tree tree = tree_of({4, 0, 0, 0, 0});

  const Placement placement = place(tree, hosts_of(8, 2));

  EXPECT_THAT(clients_per_rank(placement), ElementsAre(1, 0, 1, 0, 1, 0, 1, 0));
  EXPECT_THAT(placement.idle_ranks(), ElementsAre(1, 3, 5, 7));
  EXPECT_THAT(placement.peers(0), ElementsAre(2, 4, 6));
  EXPECT_THAT(placement.peers(1), IsEmpty());
}

TEST(Placement, ASaidRankHoldsForEverythingBelowThatSaysNoOther) {
  // Aggregator 1 is to be on rank 2 with its clients but for one, node 5.
  const Tree tree = two_tiers(2, 3, {{1, 2}, {4, 1}});

  const Placement placement = place(tree, hosts_of(3));

  EXPECT_EQ(placement.rank_of(NodeId{1}), 2U);
  EXPECT_EQ(placement.rank_of(NodeId{3}), 2U);
  EXPECT_EQ(placement.rank_of(NodeId{4}), 1U);
  EXPECT_EQ(placement.rank_of(NodeId{5}), 2U);
}

TEST(Placement, ARootThatSaysRankZeroKeepsWhatSaysNothing) {
  const Tree tree = two_tiers(2, 2, {{0, 0}, {2, 1}});

  const Placement placement = place(tree, hosts_of(2));

  EXPECT_EQ(placement.load(0), (RankLoad{.clients = 2, .inner_nodes = 2, .work = 2.0}));
  EXPECT_EQ(placement.load(1), (RankLoad{.clients = 2, .inner_nodes = 1, .work = 2.0}));
}

TEST(Placement, WhatIsSaidCountsWhenTheRestIsSpread) {
  // Six of twelve clients are said to be on rank 0, more than its part of four: the rest goes to the others.
  const Tree tree = two_tiers(2, 6, {{1, 0}});

  const Placement placement = place(tree, hosts_of(3));

  EXPECT_THAT(clients_per_rank(placement), ElementsAre(6, 3, 3));
}

TEST(Placement, RanksThatHaveTheirPartAlreadyAreToppedUpOnly) {
  const Tree tree = two_tiers(2, 6, {{3, 1}, {4, 1}, {5, 1}});

  const Placement placement = place(tree, hosts_of(3));

  EXPECT_THAT(clients_per_rank(placement), ElementsAre(4, 4, 4));
}

TEST(Placement, WithSaidRanksEveryRankStillGetsAClient) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    Rng rng(stream_seed(seed, Purpose::kTest));
    const auto ranks = 1 + static_cast<std::uint32_t>(rng.below(10));
    const auto clients = ranks + static_cast<std::uint32_t>(rng.below(30));
    std::vector<std::uint32_t> counts(clients + 1, 0);
    counts[0] = clients;
    Ranks said;
    for (std::uint32_t i = static_cast<std::uint32_t>(rng.below(clients - ranks + 1)); i > 0; --i) {
      said[1 + static_cast<std::uint32_t>(rng.below(clients))] = static_cast<std::uint32_t>(rng.below(ranks));
    }
    const Tree tree = tree_of(counts, said);
    std::vector<double> work(clients);
    for (double& one : work) { one = 1.0 + static_cast<double>(rng.below(100)); }

    const Placement placement = place(tree, hosts_of(ranks, 1 + ranks / 4), by_index(work));

    for (const auto& [node, rank] : said) { EXPECT_EQ(placement.rank_of(NodeId{node}), rank) << "seed " << seed; }
    for (std::uint32_t rank = 0; rank < ranks; ++rank) {
      EXPECT_GE(placement.load(rank).clients, 1U) << "seed " << seed << ", rank " << rank;
    }
  }
}

TEST(Placement, IsTheSameWheneverItIsMadeAndWhateverHostsAreCalled) {
  Rng rng(stream_seed(3, Purpose::kTest));
  const Tree tree = irregular(rng, 60);
  const auto work = [](ClientIndex client) { return 1.0 / (1.0 + client.value); };

  const Placement first = place(tree, {"x", "y", "y", "x", "z"}, work);
  const Placement again = place(tree, {"x", "y", "y", "x", "z"}, work);
  const Placement renamed = place(tree, {"c", "b", "b", "c", "a"}, work);

  EXPECT_EQ(first, again);
  EXPECT_EQ(first.digest(), renamed.digest());
  for (std::uint32_t n = 0; n < tree.size(); ++n) { EXPECT_EQ(first.rank_of(NodeId{n}), renamed.rank_of(NodeId{n})); }
}

TEST(Placement, HasAnotherDigestIfANodeIsElsewhereOrTheJobIsLarger) {
  const Digest digest = place(two_tiers(2, 2), hosts_of(2)).digest();

  EXPECT_NE(place(two_tiers(2, 2, {{3, 1}, {4, 1}, {5, 0}, {6, 0}}), hosts_of(2)).digest(), digest);
  EXPECT_NE(place(two_tiers(2, 2, {{1, 0}, {2, 1}}), hosts_of(3)).digest(), digest);
}

TEST(Placement, AMillionClientsTakeAFractionOfASecond) {
  const Tree tree = two_tiers(1000, 1000);
  const std::vector<std::string> hosts = hosts_of(256, 16);

  const auto work = [](ClientIndex client) { return 1.0 + client.value % 17; };

  // The best of a few: other programs may take the processor away.
  auto elapsed = std::chrono::steady_clock::duration::max();
  for (int attempt = 0; attempt < 3; ++attempt) {
    const auto start = std::chrono::steady_clock::now();
    const Placement again = place(tree, hosts, work);
    elapsed = std::min(elapsed, std::chrono::steady_clock::now() - start);
  }
  const Placement placement = place(tree, hosts, work);

  EXPECT_LE(heaviest_rank(placement), 9.0 * 1'000'000 / 256 + 17);
#if defined(NDEBUG) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  EXPECT_LT(elapsed, std::chrono::milliseconds(500));
#else
  EXPECT_GT(elapsed.count(), 0);
#endif
}

TEST(Placement, RefusesARankThatIsNotThere) {
  const Tree one = two_tiers(2, 2, {{4, 5}});
  const Tree several = two_tiers(2, 2, {{2, 4}, {3, 9}});

  EXPECT_EQ(
      place_nodes(one, hosts_of(4), nullptr).status(),
      configuration_error("node \"client-1\" is to be on rank 5, but there are 4 ranks (0 to 3): start at least 6 "
                          "ranks, or change the rank in the topology"));
  EXPECT_EQ(
      place_nodes(several, hosts_of(1), nullptr).status(),
      configuration_error("node \"aggregator-2\" (as the first of 2 such nodes) is to be on rank 4, but there is 1 "
                          "rank (0 to 0): start at least 10 ranks, or change the rank in the topology"));
}

TEST(Placement, RefusesARootOnAnotherRank) {
  const Tree tree = tree_of({1, 0}, {{0, 1}});

  EXPECT_EQ(place_nodes(tree, hosts_of(4), nullptr).status(),
            configuration_error("node \"root\" is the root, which is always on rank 0, but its rank is 1: remove its "
                                "rank from the topology"));
}

TEST(Placement, RefusesWorkThatIsNoAmount) {
  const Tree tree = tree_of({2, 0, 0});
  const double huge = std::numeric_limits<double>::max();

  for (const double wrong : {0.0, -1.0, std::nan(""), std::numeric_limits<double>::infinity()}) {
    EXPECT_EQ(place_nodes(tree, hosts_of(2), by_index({1.0, wrong})).status(),
              invalid_argument(fmt::format("the expected work of client-1 must be finite and > 0, got {}", wrong)));
  }
  EXPECT_EQ(place_nodes(tree, hosts_of(2), by_index({huge, huge})).status(),
            invalid_argument("the expected work of all clients together is not finite"));
}

TEST(Placement, RefusesAJobWithoutRanks) {
  EXPECT_EQ(place_nodes(tree_of({1, 0}), {}, nullptr).status(),
            invalid_argument("a placement needs 1 to 4294967294 ranks, got the hosts of 0"));
}

}  // namespace
}  // namespace tributary
