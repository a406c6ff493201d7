// SPDX-License-Identifier: Apache-2.0
#include "natural_partition.hpp"

#include <gtest/gtest.h>

#include <initializer_list>
#include <set>
#include <string>
#include <utility>

namespace tributary {
namespace {

using Texts = std::vector<std::string>;

// One sample per id named, in that order; ids are numbered ascending, as the CSV reader does.
Dataset data_of(const Texts& samples) {
  const std::set<std::string> distinct(samples.begin(), samples.end());
  Dataset data;
  data.sample_shape = {1};
  data.classes = 1;
  data.labels.assign(samples.size(), 0);
  data.id_names.assign(distinct.begin(), distinct.end());
  for (const std::string& sample : samples) {
    data.natural_ids.push_back(std::distance(distinct.begin(), distinct.find(sample)));
  }
  return data;
}

// A root with clients of these names; "" is none.
Tree star_of(const Texts& names) {
  Tree::Builder builder;
  builder.child_counts.assign(names.size() + 1, 0);
  builder.child_counts[0] = static_cast<std::uint32_t>(names.size());
  for (std::uint32_t i = 0; i < names.size(); ++i) {
    if (!names[i].empty()) { builder.attributes[i + 1].name = names[i]; }
  }
  return Tree::create(std::move(builder)).value();
}

// A root, an aggregator per site, and clients named <site>-client-<n> below it.
Tree sites_of(const std::vector<std::pair<std::string, std::uint32_t>>& sites) {
  Tree::Builder builder;
  builder.child_counts.push_back(static_cast<std::uint32_t>(sites.size()));
  for (const auto& [name, clients] : sites) {
    builder.attributes[static_cast<std::uint32_t>(builder.child_counts.size())] = {.name = name, .site = name};
    builder.child_counts.push_back(clients);
  }
  for (const auto& [name, clients] : sites) {
    for (std::uint32_t i = 0; i < clients; ++i) {
      builder.attributes[static_cast<std::uint32_t>(builder.child_counts.size())].name =
          name + "-client-" + std::to_string(i);
      builder.child_counts.push_back(0);
    }
  }
  return Tree::create(std::move(builder)).value();
}

const Texts kCities{"berlin", "berlin", "paris", "paris", "paris", "rome", "rome", "rome", "rome"};

TEST(NaturalPartition, ASiteGetsTheSamplesOfItsNameWhateverTheOrder) {
  const Tree tree = sites_of({{"rome", 1}, {"berlin", 1}, {"paris", 1}});

  const NaturalPartition made = natural_partition(data_of(kCities), tree, 1).value();

  EXPECT_TRUE(made.by_name);
  EXPECT_EQ(made.client_ids, (std::vector<Texts>{{"rome"}, {"berlin"}, {"paris"}}));
  EXPECT_EQ(made.partition.samples(ClientIndex{0}), (std::vector<std::uint32_t>{5, 6, 7, 8}));
  EXPECT_EQ(made.partition.samples(ClientIndex{1}), (std::vector<std::uint32_t>{0, 1}));
  EXPECT_EQ(made.warning, "");
}

TEST(NaturalPartition, AClientGetsTheSamplesOfItsName) {
  const NaturalPartition made = natural_partition(data_of(kCities), star_of({"rome", "berlin", "paris"}), 1).value();

  EXPECT_EQ(made.client_ids, (std::vector<Texts>{{"rome"}, {"berlin"}, {"paris"}}));
  EXPECT_EQ(made.partition.count(ClientIndex{0}), 4U);
}

TEST(NaturalPartition, TheClientsOfASiteShareItsSamplesEvenly) {
  const Tree tree = sites_of({{"rome", 2}, {"berlin", 1}, {"paris", 1}});

  const NaturalPartition made = natural_partition(data_of(kCities), tree, 1).value();

  EXPECT_EQ(made.client_ids, (std::vector<Texts>{{"rome"}, {"rome"}, {"berlin"}, {"paris"}}));
  EXPECT_EQ(made.partition.count(ClientIndex{0}), 2U);
  EXPECT_EQ(made.partition.count(ClientIndex{1}), 2U);
  EXPECT_EQ(made.partition.samples(ClientIndex{3}), (std::vector<std::uint32_t>{2, 3, 4}));
}

TEST(NaturalPartition, AnIdOrAClientThatIsLeftOverIsRefusedByName) {
  const auto message = [](const Texts& ids, const Tree& tree) {
    return natural_partition(data_of(ids), tree, 1).status().message();
  };

  EXPECT_EQ(message(kCities, star_of({"rome", "berlin"})),
            "1 of 3 ids is the name of no client and no site: paris; the topology has rome, berlin");
  EXPECT_EQ(message({"rome"}, star_of({"rome", "berlin"})),
            "no id is the name or the site of client berlin; the ids are rome");
  EXPECT_EQ(
      message(kCities, star_of({"Rome", "Berlin", "Paris"})),
      "no id is the name of a client or of a site: the ids are berlin, paris, rome, the topology has Rome, Berlin, "
      "Paris. Let them be the same, or give clients no names and no sites: then ids go to clients in ascending "
      "order");
  EXPECT_EQ(message({"rome", "rome-client-0"}, sites_of({{"rome", 1}})),
            "client rome-client-0 would hold the samples of two ids, rome and rome-client-0");
  EXPECT_EQ(message({"rome"}, sites_of({{"rome", 2}})), "id rome has 1 sample for 2 clients");
}

TEST(NaturalPartition, WithoutNamesIdsGoToClientsInAscendingOrder) {
  const NaturalPartition made = natural_partition(data_of(kCities), star_of({"", "", ""}), 1).value();

  EXPECT_FALSE(made.by_name);
  EXPECT_EQ(made.client_ids, (std::vector<Texts>{{"berlin"}, {"paris"}, {"rome"}}));
  EXPECT_EQ(made.warning, "");
}

TEST(NaturalPartition, MoreIdsThanClientsAreDealtInTurnWithAWarning) {
  const NaturalPartition made = natural_partition(data_of(kCities), star_of({"", ""}), 1).value();

  EXPECT_EQ(made.client_ids, (std::vector<Texts>{{"berlin", "rome"}, {"paris"}}));
  EXPECT_EQ(made.warning,
            "the data has 3 ids for 2 clients: they are dealt in turn, and a client holds up to 2 of them; `tributary "
            "partition` shows which");
  EXPECT_EQ(natural_partition(data_of({"a"}), star_of({"", ""}), 1).status(),
            invalid_argument("1 distinct ids are too few for 2 clients"));
}

TEST(NaturalPartition, IdsWithoutNamesAreNumbers) {
  Dataset data = data_of({"a", "b", "c"});
  data.id_names.clear();
  data.natural_ids = {40, -3, 7};

  EXPECT_EQ(natural_partition(data, star_of({"7", "40", "-3"}), 1).value().client_ids,
            (std::vector<Texts>{{"7"}, {"40"}, {"-3"}}));
  EXPECT_EQ(natural_partition(data, star_of({"", "", ""}), 1).value().client_ids,
            (std::vector<Texts>{{"-3"}, {"7"}, {"40"}}));
}

}  // namespace
}  // namespace tributary
