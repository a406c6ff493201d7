// SPDX-License-Identifier: Apache-2.0
// How fast simulated devices are: drawn, stated in the topology, or taken from a trace.
#include "tributary/training/device_speeds.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "support/federation.hpp"
#include "support/scratch_directory.hpp"

namespace tributary {
namespace {

using Slowness = SimulationConfig::Devices::Slowness;
using ::testing::HasSubstr;

constexpr std::uint32_t kMany = 20'000;

Configuration with(SimulationConfig::Devices devices) {
  Configuration configuration;
  configuration.simulation.compute_seconds_per_sample = 0.001;
  configuration.simulation.devices = std::move(devices);
  return configuration;
}

std::vector<double> slownesses(const Configuration& configuration, const Tree& tree) {
  const Result<DeviceSpeeds> speeds = DeviceSpeeds::create(configuration, tree);
  EXPECT_TRUE(speeds.ok()) << speeds.status().to_string();
  std::vector<double> all;
  for (std::uint32_t client = 0; speeds.ok() && client < tree.clients(); ++client) {
    all.push_back(speeds->slowness(ClientIndex{client}));
  }
  return all;
}

std::vector<double> sorted_of_many(const SimulationConfig::Devices& devices) {
  static const Tree kTree = testing::make_tree(testing::balanced_counts(kMany, 1));
  std::vector<double> all = slownesses(with(devices), kTree);
  std::ranges::sort(all);
  return all;
}

TEST(DeviceSpeeds, AreOneForEqualDevices) {
  const std::vector<double> all = sorted_of_many({});

  EXPECT_EQ(all.front(), 1.0);
  EXPECT_EQ(all.back(), 1.0);
}

TEST(DeviceSpeeds, OfUniformDevicesFillTheirRange) {
  const std::vector<double> all = sorted_of_many({.slowness = Slowness::kUniform, .slowest = 9.0});

  EXPECT_GE(all.front(), 1.0);
  EXPECT_LE(all.back(), 9.0);
  EXPECT_NEAR(all[10'000], 5.0, 0.15);
  EXPECT_NEAR(all[2'000], 1.8, 0.1);
}

TEST(DeviceSpeeds, OfLogNormalDevicesHaveMedianOneAndTheirSpread) {
  const std::vector<double> all = sorted_of_many({.slowness = Slowness::kLogNormal, .sigma = 0.8});

  EXPECT_NEAR(all[10'000], 1.0, 0.03);
  EXPECT_NEAR(std::log(all[16'827]), 0.8, 0.03) << "one standard deviation above the median: 84.1 %";
}

TEST(DeviceSpeeds, OfParetoDevicesHaveAHeavyTailThatEnds) {
  const std::vector<double> all = sorted_of_many({.slowness = Slowness::kPareto, .alpha = 1.0});

  EXPECT_GE(all.front(), 1.0);
  EXPECT_EQ(all.back(), 1000.0);
  EXPECT_NEAR(all[18'000], 10.0, 1.0) << "one in ten is slower than 10^(1/alpha)";
}

TEST(DeviceSpeeds, StayTheSameForAClientAndChangeWithTheSeed) {
  const Tree tree = testing::make_tree(testing::balanced_counts(8, 1));
  Configuration configuration = with({.slowness = Slowness::kLogNormal});
  const std::vector<double> first = slownesses(configuration, tree);
  EXPECT_EQ(slownesses(configuration, tree), first);
  EXPECT_NE(first[3], first[4]);
  configuration.seed = 2;
  EXPECT_NE(slownesses(configuration, tree)[3], first[3]);
}

// The root 0, aggregators 1 and 2, clients 3 and 4 below 1, 5 and 6 below 2.
Tree tree_that_says(const std::map<std::uint32_t, std::string>& said) {
  Tree::Builder builder{.child_counts = {2, 2, 2, 0, 0, 0, 0}, .attributes = {}};
  for (const auto& [node, text] : said) { builder.attributes[node].extra["slowness"] = text; }
  return Tree::create(std::move(builder)).value();
}

TEST(DeviceSpeeds, StandInTheTopologyAtAClientOrAboveIt) {
  const Configuration configuration = with({.slowness = Slowness::kTopology});

  EXPECT_EQ(slownesses(configuration, tree_that_says({{1, "2.5"}, {4, "0.5"}})),
            (std::vector<double>{2.5, 0.5, 1.0, 1.0}));
  EXPECT_EQ(slownesses(configuration, tree_that_says({{0, "3"}, {2, "4"}})), (std::vector<double>{3, 3, 4, 4}));
}

TEST(DeviceSpeeds, WrongStatementsAreNamed) {
  const Configuration configuration = with({.slowness = Slowness::kTopology});
  for (const char* wrong : {"fast", "0", "-1", "1001", "nan", ""}) {
    const Status status = DeviceSpeeds::create(configuration, tree_that_says({{4, wrong}})).status();
    EXPECT_EQ(status.code(), Code::kConfiguration) << wrong;
    EXPECT_THAT(status.message(), HasSubstr("extra.slowness of")) << wrong;
  }
  const Status nothing = DeviceSpeeds::create(configuration, tree_that_says({})).status();
  EXPECT_THAT(nothing.message(), HasSubstr("no node of the topology says how slow it is"));
  Configuration unused = configuration;
  unused.simulation.compute_seconds_per_sample = 0.0;
  EXPECT_TRUE(DeviceSpeeds::create(unused, tree_that_says({})).ok()) << "nobody asks";
}

class Traces : public ::testing::Test {
 protected:
  Configuration trace(const std::string& text) {
    const std::filesystem::path path = scratch_.path() / "devices.csv";
    std::ofstream(path, std::ios::binary) << text;
    Configuration configuration = with({.slowness = Slowness::kTrace, .trace = path.string()});
    return configuration;
  }
  Status refused(const std::string& text) { return DeviceSpeeds::create(trace(text), tree_).status(); }

  testing::ScratchDirectory scratch_;
  Tree tree_ = testing::make_tree(testing::balanced_counts(4, 1));
};

TEST_F(Traces, RowsBelongToClientsByTheirNames) {
  std::string text = "slowness,model,client\n";
  for (std::uint32_t client = 4; client-- > 0;) {
    text += std::to_string(client + 1) + ".5,\"a, b\"," + tree_.name(tree_.client_node(ClientIndex{client})) + "\n";
  }
  EXPECT_EQ(slownesses(trace(text), tree_), (std::vector<double>{1.5, 2.5, 3.5, 4.5}));
}

TEST_F(Traces, WithoutNamesEachClientDrawsARow) {
  const Tree many = testing::make_tree(testing::balanced_counts(kMany, 1));
  const std::vector<double> all = slownesses(trace("slowness\n1\n10\n10\n10\n"), many);
  EXPECT_EQ(std::set<double>(all.begin(), all.end()), (std::set<double>{1.0, 10.0}));
  EXPECT_NEAR(static_cast<double>(std::ranges::count(all, 1.0)) / kMany, 0.25, 0.02);
}

TEST_F(Traces, WhatIsWrongIsNamedByItsPlace) {
  EXPECT_THAT(refused("speed\n1\n").message(), HasSubstr("devices.csv:1: a trace of devices is a table with commas"));
  EXPECT_THAT(refused("slowness,slowness\n1,9\n").message(), HasSubstr("the column slowness stands there twice"));
  EXPECT_THAT(refused("slowness,x\n,1\n").message(), HasSubstr("got nothing"));
  EXPECT_THAT(refused("").message(), HasSubstr("a trace of devices is a table"));
  EXPECT_THAT(refused("slowness\n").message(), HasSubstr("there are no rows"));
  EXPECT_THAT(refused("slowness\n1\nfast\n").message(),
              HasSubstr("devices.csv:3:1: slowness must be a number from 0.001 to 1000, got fast"));
  EXPECT_THAT(refused("slowness\n1\n1,2\n").message(), HasSubstr("devices.csv:3:1: 2 values in a table of 1 columns"));
  EXPECT_THAT(refused("client,slowness\na,1\na,2\n").message(),
              HasSubstr("devices.csv:3:1: the client a stands there"));
  const Status missing = refused("client,slowness\nsomebody,1\n");
  EXPECT_EQ(missing.code(), Code::kConfiguration);
  EXPECT_THAT(missing.message(), HasSubstr("has no row for"));
  const Configuration nowhere = with({.slowness = Slowness::kTrace, .trace = "/nowhere/devices.csv"});
  EXPECT_THAT(DeviceSpeeds::create(nowhere, tree_).status().to_string(), HasSubstr("simulation.devices.trace: cannot"));
}

}  // namespace
}  // namespace tributary
