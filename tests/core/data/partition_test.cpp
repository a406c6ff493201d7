// SPDX-License-Identifier: Apache-2.0
#include "tributary/data/partition.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include "tributary/base/random.hpp"

namespace tributary {
namespace {

constexpr std::int32_t kClasses = 10;

std::vector<std::int32_t> labels_of(std::size_t samples) {
  Rng rng(stream_seed(5, Purpose::kTest));
  std::vector<std::int32_t> labels(samples);
  for (std::int32_t& label : labels) { label = static_cast<std::int32_t>(rng.below(kClasses)); }
  return labels;
}

std::vector<std::size_t> sizes(const Partition& partition) {
  std::vector<std::size_t> counts;
  for (std::uint32_t client = 0; client < partition.clients(); ++client) {
    counts.push_back(partition.count(ClientIndex{client}));
  }
  return counts;
}

void expect_disjoint_and_complete(const Partition& partition, std::size_t samples) {
  std::vector<int> seen(samples);
  for (std::uint32_t client = 0; client < partition.clients(); ++client) {
    const std::vector<std::uint32_t> held = partition.samples(ClientIndex{client});
    EXPECT_EQ(held.size(), partition.count(ClientIndex{client}));
    for (const std::uint32_t sample : held) { ++seen.at(sample); }
  }
  EXPECT_TRUE(std::all_of(seen.begin(), seen.end(), [](int count) { return count == 1; }));
}

double mean_label_entropy(const Partition& partition, const std::vector<std::int32_t>& labels) {
  double sum = 0.0;
  for (std::uint32_t client = 0; client < partition.clients(); ++client) {
    const auto counts = partition.histogram(ClientIndex{client}, labels, kClasses);
    const double total = std::accumulate(counts.begin(), counts.end(), 0.0);
    for (const std::uint32_t count : counts) {
      if (count != 0) { sum -= count / total * std::log(count / total); }
    }
  }
  return sum / partition.clients();
}

// Every way to split, for what holds of all.
struct Way {
  std::string name;
  std::function<Result<Partition>(const std::vector<std::int32_t>&, std::uint32_t clients, std::uint64_t seed)> make;
  friend void PrintTo(const Way& way, std::ostream* out) { *out << way.name; }
};

class EveryPartition : public ::testing::TestWithParam<Way> {};

TEST_P(EveryPartition, IsDisjointAndComplete) {
  const auto labels = labels_of(1003);
  for (const std::uint32_t clients : {1U, 2U, 17U, 300U}) {
    const Partition partition = GetParam().make(labels, clients, 1).value();
    expect_disjoint_and_complete(partition, labels.size());
  }
}

TEST_P(EveryPartition, IsDecidedByTheSeed) {
  const auto labels = labels_of(500);

  EXPECT_EQ(GetParam().make(labels, 9, 1).value().digest(), GetParam().make(labels, 9, 1).value().digest());
  EXPECT_NE(GetParam().make(labels, 9, 1).value().digest(), GetParam().make(labels, 9, 2).value().digest());
}

TEST_P(EveryPartition, HoldsAShareOfEachClientsSamplesOut) {
  const auto labels = labels_of(1003);
  for (const double share : {0.0, 0.2, 0.5, 0.99}) {
    const Partition whole = GetParam().make(labels, 17, 1).value();
    Partition partition = whole;
    partition.hold_out(share, 1);
    Partition other = whole;
    other.hold_out(share, 2);
    bool differs = false;
    for (std::uint32_t c = 0; c < 17; ++c) {
      const ClientIndex client{c};
      const std::vector<std::uint32_t> all = whole.samples(client);
      const std::vector<std::uint32_t> held = partition.held_out(client);
      const std::vector<std::uint32_t> trained = partition.samples(client);
      const auto expected = std::min<std::size_t>(
          all.size() - 1, static_cast<std::size_t>(std::llround(share * static_cast<double>(all.size()))));
      EXPECT_EQ(held.size(), expected);
      EXPECT_EQ(partition.held_out_count(client), held.size());
      EXPECT_EQ(partition.count(client), trained.size());
      for (const std::uint32_t sample : all) {
        const bool is_held = std::ranges::find(held, sample) != held.end();
        EXPECT_NE(is_held, std::ranges::find(trained, sample) != trained.end());
      }
      EXPECT_EQ(held.size() + trained.size(), all.size());
      differs = differs || held != other.held_out(client);
    }
    EXPECT_EQ(differs, share > 0.0) << "the seed says which";
    EXPECT_EQ(partition.digest() == whole.digest(), share == 0.0);
    EXPECT_EQ(partition.digest() == other.digest(), share == 0.0);
  }
}

TEST_P(EveryPartition, NeedsAClient) {
  EXPECT_EQ(GetParam().make(labels_of(5), 0, 1).status(), invalid_argument("there are no clients"));
}

INSTANTIATE_TEST_SUITE_P(
    AllWays, EveryPartition,
    ::testing::Values(Way{"iid", [](const auto& labels, auto clients,
                                    auto seed) { return Partition::iid(labels.size(), clients, seed); }},
                      Way{"label_dirichlet",
                          [](const auto& labels, auto clients, auto seed) {
                            return Partition::label_dirichlet(labels, kClasses, clients, 0.3, 2, seed);
                          }},
                      Way{"count_dirichlet",
                          [](const auto& labels, auto clients, auto seed) {
                            return Partition::count_dirichlet(labels.size(), clients, 0.3, 1, seed);
                          }},
                      Way{"shards", [](const auto& labels, auto clients,
                                       auto seed) { return Partition::shards(labels, clients, 2, seed); }}),
    [](const auto& way) { return way.param.name; });

TEST(Partition, IidSizesDifferByAtMostOne) {
  const auto counts = sizes(Partition::iid(1003, 10, 1).value());

  EXPECT_EQ(*std::min_element(counts.begin(), counts.end()), 100U);
  EXPECT_EQ(*std::max_element(counts.begin(), counts.end()), 101U);
}

TEST(Partition, IidLabelsPassAChiSquareTest) {
  const auto labels = labels_of(20'000);
  std::vector<double> share(kClasses);
  for (const std::int32_t label : labels) { share[static_cast<std::size_t>(label)] += 1.0 / 20'000.0; }
  const Partition partition = Partition::iid(labels.size(), 20, 3).value();

  double chi_square = 0.0;
  for (std::uint32_t client = 0; client < 20; ++client) {
    const auto counts = partition.histogram(ClientIndex{client}, labels, kClasses);
    for (std::size_t label = 0; label < kClasses; ++label) {
      const double expected = share[label] * 1000.0;
      chi_square += (counts[label] - expected) * (counts[label] - expected) / expected;
    }
  }

  // 19 * 9 = 171 degrees of freedom: 99.9 % of draws lie below 233.6, 99.9 % above 118.5; the seed is fixed.
  EXPECT_LT(chi_square, 233.6);
  EXPECT_GT(chi_square, 118.5);
}

TEST(Partition, MeanLabelDirichletSharesAreEven) {
  const auto labels = labels_of(1000);
  const double in_class = static_cast<double>(std::count(labels.begin(), labels.end(), 0));
  std::vector<double> mean(4);
  constexpr int kSeeds = 500;
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    const Partition partition = Partition::label_dirichlet(labels, kClasses, 4, 0.5, 0, seed).value();
    for (std::uint32_t client = 0; client < 4; ++client) {
      mean[client] += partition.histogram(ClientIndex{client}, labels, kClasses)[0] / in_class / kSeeds;
    }
  }

  // A share has variance (1/4)(3/4)/(4 * 0.5 + 1) = 1/16, so a mean of 500 deviates by 0.0112; four times that.
  for (const double share : mean) { EXPECT_NEAR(share, 0.25, 0.0448); }
}

TEST(Partition, LabelEntropyRisesWithAlpha) {
  const auto labels = labels_of(20'000);
  double last = -1.0;
  for (const double alpha : {0.01, 0.1, 1.0, 10.0, 1000.0}) {
    const double entropy =
        mean_label_entropy(Partition::label_dirichlet(labels, kClasses, 20, alpha, 1, 1).value(), labels);
    EXPECT_GT(entropy, last) << alpha;
    last = entropy;
  }
  EXPECT_NEAR(last, std::log(10.0), 0.05);
}

TEST(Partition, CountsGrowMoreUnevenAsBetaFalls) {
  const auto largest = [](double beta) {
    const auto counts = sizes(Partition::count_dirichlet(10'000, 50, beta, 1, 1).value());
    return *std::max_element(counts.begin(), counts.end());
  };

  EXPECT_GT(largest(0.05), largest(1.0));
  EXPECT_GT(largest(1.0), largest(100.0));
}

TEST(Partition, ATinyConcentrationIsStillAPartition) {
  const auto labels = labels_of(5000);
  for (const double tiny : {0.001, 1e-6}) {
    expect_disjoint_and_complete(Partition::label_dirichlet(labels, kClasses, 100, tiny, 5, 1).value(), labels.size());
    expect_disjoint_and_complete(Partition::count_dirichlet(5000, 100, tiny, 5, 1).value(), 5000);
  }
}

TEST(Partition, EveryClientGetsTheMinimumEvenWhenItTakesEverySample) {
  const auto labels = labels_of(1000);
  for (const std::uint64_t seed : {1U, 2U, 3U}) {
    const auto skewed = sizes(Partition::label_dirichlet(labels, kClasses, 100, 0.05, 7, seed).value());
    EXPECT_GE(*std::min_element(skewed.begin(), skewed.end()), 7U);
    const auto even = sizes(Partition::label_dirichlet(labels, kClasses, 100, 0.05, 10, seed).value());
    EXPECT_EQ(even, std::vector<std::size_t>(100, 10));
    EXPECT_EQ(sizes(Partition::count_dirichlet(1000, 100, 0.05, 10, seed).value()), std::vector<std::size_t>(100, 10));
  }
}

TEST(Partition, TheLargestGivesAndStaysTheLargest) {
  const auto before = sizes(Partition::label_dirichlet(labels_of(1000), kClasses, 50, 0.1, 0, 4).value());
  const auto after = sizes(Partition::label_dirichlet(labels_of(1000), kClasses, 50, 0.1, 5, 4).value());

  for (std::size_t client = 0; client < before.size(); ++client) {
    if (before[client] < 5) {
      EXPECT_EQ(after[client], 5U);
    } else {
      EXPECT_LE(after[client], before[client]);
    }
  }
}

TEST(Partition, AShardClientHoldsFewLabels) {
  const auto labels = labels_of(10'000);
  const Partition partition = Partition::shards(labels, 100, 2, 1).value();

  for (std::uint32_t client = 0; client < 100; ++client) {
    const auto counts = partition.histogram(ClientIndex{client}, labels, kClasses);
    // A shard has 50 samples of one label, or of two where labels meet.
    EXPECT_LE(std::count_if(counts.begin(), counts.end(), [](auto count) { return count > 0; }), 4);
    EXPECT_EQ(partition.count(ClientIndex{client}), 100U);
  }
}

TEST(Partition, ShardsFollowAnyLabels) {
  const std::vector<std::int32_t> labels{2'000'000'000, -5, 70'000, -5, 70'000, 2'000'000'000};
  const Partition partition = Partition::shards(labels, 3, 1, 1).value();

  for (std::uint32_t client = 0; client < 3; ++client) {
    const auto held = partition.samples(ClientIndex{client});
    ASSERT_EQ(held.size(), 2U);
    EXPECT_EQ(labels[held[0]], labels[held[1]]);
  }
}

TEST(Partition, ANaturalIdIsNeverSplit) {
  std::vector<std::int64_t> ids;
  Rng rng(stream_seed(6, Purpose::kTest));
  for (int i = 0; i < 2000; ++i) { ids.push_back(static_cast<std::int64_t>(rng.below(57)) - 20); }
  const Partition partition = Partition::natural(ids, 10).value();

  expect_disjoint_and_complete(partition, ids.size());
  std::set<std::int64_t> seen;
  for (std::uint32_t client = 0; client < 10; ++client) {
    std::set<std::int64_t> own;
    for (const std::uint32_t sample : partition.samples(ClientIndex{client})) { own.insert(ids[sample]); }
    EXPECT_GE(own.size(), 5U);
    for (const std::int64_t id : own) {
      EXPECT_TRUE(seen.insert(id).second) << id;
      EXPECT_EQ((id + 20) % 10, client);  // dealt in turn, ascending
    }
  }
}

TEST(Partition, DrawsAreDistinctRepeatableAndOfEachClientItsOwn) {
  const Partition partition = Partition::draw(60'000, 1'000'000, 20, 1).value();

  const auto first = partition.samples(ClientIndex{0});
  const auto last = partition.samples(ClientIndex{999'999});

  EXPECT_EQ(std::set<std::uint32_t>(first.begin(), first.end()).size(), 20U);
  EXPECT_EQ(partition.samples(ClientIndex{0}), first);
  EXPECT_NE(first, last);
  EXPECT_LT(last.back(), 60'000U);
  EXPECT_EQ(partition.count(ClientIndex{999'999}), 20U);
  EXPECT_NE(partition.digest(), Partition::draw(60'000, 1'000'000, 20, 2).value().digest());
}

TEST(Partition, WhatCannotBeSplitIsRefusedWithNumbers) {
  const auto labels = labels_of(10);
  const std::vector<std::int32_t> outside{0, 10};
  const std::vector<std::int64_t> ids{1, 1, 2};

  EXPECT_EQ(Partition::label_dirichlet(labels, kClasses, 4, 0.5, 3, 1).status(),
            invalid_argument("10 samples are too few for 4 clients with at least 3 each"));
  EXPECT_EQ(Partition::label_dirichlet(labels, kClasses, 4, 0.0, 1, 1).status(),
            invalid_argument("alpha must be from 1e-6 to 1e6, got 0"));
  EXPECT_EQ(Partition::count_dirichlet(10, 4, std::nan(""), 1, 1).status(),
            invalid_argument("beta must be from 1e-6 to 1e6, got nan"));
  EXPECT_EQ(Partition::label_dirichlet(outside, kClasses, 1, 0.5, 1, 1).status(),
            invalid_argument("label 10 is outside [0, 10)"));
  EXPECT_EQ(Partition::shards(labels, 4, 3, 1).status(),
            invalid_argument("10 samples are too few for 4 clients with at least 3 each"));
  EXPECT_EQ(Partition::shards(labels, 4, 0, 1).status(), invalid_argument("shards_per_client must be > 0, got 0"));
  EXPECT_EQ(Partition::natural(ids, 3).status(), invalid_argument("2 distinct ids are too few for 3 clients"));
  EXPECT_EQ(Partition::draw(10, 4, 11, 1).status(),
            invalid_argument("samples_per_client must be from 1 to 10, got 11"));
}

}  // namespace
}  // namespace tributary
