// SPDX-License-Identifier: Apache-2.0
#include "tributary/topology/read.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "tributary/config/configuration.hpp"
#include "tributary/topology/generate.hpp"
#include "tributary/topology/write.hpp"

namespace tributary {
namespace {

using testing::HasSubstr;

std::vector<std::string> names(const Topology& topology) {
  std::vector<std::string> result;
  for (std::uint32_t id = 0; id < topology.size(); ++id) { result.push_back(topology.name(NodeId{id})); }
  return result;
}

Result<Topology> yaml(std::string_view text) {
  return parse_topology(text, TopologyFormat::kYaml, "t.yaml");
}

TEST(Read, NestedAndListedNodesMakeTheSameTopology) {
  const Topology nested = yaml(R"(
nodes:
  - name: root
    children:
      - name: north
        site: North Hospital
        children: [a, {name: ward, count: 3}]
      - b
)")
                              .value();
  const Topology listed = yaml(R"(
nodes:
  - {name: a, parent: north}
  - {name: north, parent: root, site: North Hospital}
  - {name: ward, count: 3, parent: north}
  - {name: root}
  - {name: b, parent: root}
)")
                              .value();

  EXPECT_EQ(nested, listed);
  EXPECT_EQ(names(nested), (std::vector<std::string>{"root", "north", "b", "a", "ward-0", "ward-1", "ward-2"}));
}

TEST(Read, AcceptsOneNodeAListAndAFileWithNodes) {
  const Topology expected = yaml("nodes: [{name: r, children: [a]}]").value();

  EXPECT_EQ(yaml("nodes: {name: r, children: [a]}").value(), expected);
  EXPECT_EQ(yaml("[{name: r, children: [a]}]").value(), expected);
  EXPECT_EQ(yaml("{name: r, children: [a]}").value(), expected);
  EXPECT_EQ(yaml("schema: 1\nnodes: [r, {name: a, parent: r}]").value(), expected);
}

TEST(Read, UnderstandsEveryAttribute) {
  const Topology topology = yaml(R"(
nodes:
  - name: root
    address: "coordinator.example.org:7443"
    children:
      - name: gpu-box
        kind: client
        site: North Hospital
        device: cuda
        transport: tls
        rank: 12
        link: {bandwidth: 100 Mbit/s, latency: 12.5 ms}
        extra: {rack: 7, owner: "radiology"}
)")
                                .value();

  const NodeAttributes& attributes = topology.attributes(topology.node(1));
  EXPECT_EQ(topology.attributes(topology.node(0)).address, "coordinator.example.org:7443");
  EXPECT_EQ(attributes.site, "North Hospital");
  EXPECT_EQ(attributes.device, "cuda");
  EXPECT_EQ(attributes.transport, "tls");
  EXPECT_EQ(attributes.rank, 12U);
  EXPECT_EQ(attributes.link, (Link{12.5e6, std::chrono::microseconds(12500)}));
  EXPECT_EQ(attributes.extra, (std::unordered_map<std::string, std::string>{{"rack", "7"}, {"owner", "radiology"}}));
}

TEST(Read, ARankIsSaidOfNodesAndGroupsAndOfTheRootIfItIsZero) {
  const Topology topology = yaml(R"(
nodes:
  - name: root
    rank: 0
    children:
      - {name: north, rank: 3, children: [a, {name: b, count: 2, rank: 1048575}]}
)")
                                .value();

  const Tree tree = topology.to_tree();

  EXPECT_EQ(tree.attributes(NodeId{0}).rank, 0U);
  EXPECT_EQ(tree.attributes(NodeId{1}).rank, 3U);
  EXPECT_EQ(tree.attributes(NodeId{2}).rank, std::nullopt);
  EXPECT_EQ(tree.attributes(NodeId{3}).rank, 1048575U);
  EXPECT_EQ(tree.attributes(NodeId{4}).rank, 1048575U);
}

TEST(Read, RatesMayHaveAnyUsualUnit) {
  const auto rate = [](const std::string& text) {
    const Topology topology = yaml("{name: r, children: [{link: {bandwidth: " + text + "}}]}").value();
    return topology.attributes(topology.node(1)).link.bytes_per_second;
  };

  EXPECT_EQ(rate("8 bit/s"), 1.0);
  EXPECT_EQ(rate("1 Gbit/s"), 125e6);
  EXPECT_EQ(rate("1Gbps"), 125e6);
  EXPECT_EQ(rate("1.5 MB/s"), 1.5e6);
  EXPECT_EQ(rate("2 MiB/s"), 2097152.0);
  EXPECT_EQ(rate("unlimited"), 0.0);
}

TEST(Read, ReportsAllMistakesInTheOrderOfTheFile) {
  const Result<Topology> result = yaml(R"(nodes:
  - name: root
    colour: red
    children:
      - {name: a, count: 0}
      - {name: a, device: gpu, children: []}
      - {name: b, kind: aggregator}
  - {name: c, parent: rot}
)");

  EXPECT_EQ(result.status().message(),
            "t.yaml:3:5: unknown key \"colour\" in node \"root\"; known are name, kind, count, site, device, link, "
            "transport, "
            "address, rank, extra, parent or children\n"
            "t.yaml:5:26: node \"a\": count must be a whole number from 1 to 16777216, got \"0\"\n"
            "t.yaml:6:16: the name \"a\" is used twice, first (line 5)\n"
            "t.yaml:6:27: node \"a\": device must be cpu, cuda or auto, got \"gpu\"; did you mean \"cuda\"?\n"
            "t.yaml:7:16: node \"b\" is an aggregator without children; only clients are leaves\n"
            "t.yaml:8:23: node \"c\": there is no node \"rot\"; did you mean \"root\"?");
}

TEST(Read, GivesTheMistakesOneByOneToo) {
  TopologyIssues issues;

  const Result<Topology> result = parse_topology("r a\nr b c\n", TopologyFormat::kEdges, "t.edges", &issues);

  ASSERT_FALSE(result.ok());
  const TopologyIssue expected{TopologyError::kSyntax, "t.edges", 2, 1, "a line must be \"parent child\", got 3 words"};
  EXPECT_EQ(issues.issues, std::vector<TopologyIssue>{expected});
  EXPECT_EQ(to_string(issues.issues.front().error), "syntax");
}

TEST(Read, CountsLinesFromTheGivenOne) {
  const Result<Topology> result =
      parse_topology("{nodes:\n  [{name: r}]}", TopologyFormat::kYaml, "configuration.yaml", nullptr, 14);

  EXPECT_EQ(
      result.status().message(),
      "configuration.yaml:15:11: node \"r\" is the root and has no children; a federation needs at least one client");
}

TEST(Read, JsonPlacesAreRightAfterEscapesAndNumbers) {
  const Result<Topology> result = parse_topology(R"({"nodes": [{"site": "a \"quoted\\\" word", "children": [
  {"count": 12, "colour": 1},
  {"name": "\u0061\"", "extra": {"pi": 3.14159, "no": false}}]}]})",
                                                 TopologyFormat::kJson, "t.json");

  EXPECT_THAT(result.status().message(), HasSubstr("t.json:2:17: unknown key \"colour\""));
  EXPECT_THAT(result.status().message(), HasSubstr("t.json:3:12: a name must be"));
}

TEST(Read, EdgeListsMayHaveCommentsBlankLinesAndWindowsLineEnds) {
  const Topology topology =
      parse_topology("# who trains\r\n\r\nr\ta  # first\r\n  r   b\r\na c", TopologyFormat::kEdges, "t").value();

  EXPECT_EQ(names(topology), (std::vector<std::string>{"r", "a", "b", "c"}));
}

TEST(Read, MatricesMayHaveNamesOfColumnsOfRowsOrNone) {
  const auto matrix = [](std::string_view text) {
    return names(parse_topology(text, TopologyFormat::kMatrix, "t").value());
  };

  EXPECT_EQ(matrix("0,1,1\n0,0,0\n0,0,0\n"), (std::vector<std::string>{"root", "client-0", "client-1"}));
  EXPECT_EQ(matrix("a,r\n0,0\n1,0\n"), (std::vector<std::string>{"r", "a"}));
  EXPECT_EQ(matrix("# rows are parents\n , r, a\nr, 0, 1\na, 0, 0\n"), (std::vector<std::string>{"r", "a"}));
}

TEST(Read, HostileNestingIsRefused) {
  const std::string deep_json = std::string(1'000'000, '[');
  std::string children = "{\"name\": \"x\"";
  for (int i = 0; i < 100; ++i) { children += ", \"children\": [{\"kind\": \"client\""; }
  std::string closed = children + "}";
  for (int i = 0; i < 100; ++i) { closed += "]}"; }

  EXPECT_EQ(parse_topology(deep_json, TopologyFormat::kJson, "t").status().message(),
            "t:1:257: lists and maps nest deeper than 256 levels");
  EXPECT_THAT(yaml(deep_json).status().message(), HasSubstr("more than 1000 brackets are open"));
  EXPECT_THAT(yaml(std::string(300, '[')).status().message(), HasSubstr("lists and maps nest deeper than 256 levels"));
  EXPECT_THAT(parse_topology(closed, TopologyFormat::kJson, "t").status().message(),
              HasSubstr("children nest deeper than 64 tiers below the root"));
}

TEST(Read, TooManyBytesAreRefusedBeforeTheyAreParsed) {
  const std::string text(TopologyLimits::kFileBytes + 1, ' ');

  EXPECT_EQ(yaml(text).status().message(), "t.yaml: the file has 67,108,865 bytes; at most 67,108,864 are read");
}

TEST(Read, MillionsOfValuesAreRefused) {
  std::string text = "[";
  for (std::uint64_t i = 0; i <= TopologyLimits::kValues; ++i) { text += "1,"; }

  EXPECT_THAT(parse_topology(text, TopologyFormat::kJson, "t").status().message(),
              HasSubstr("the file holds more than 8,388,608 values; like clients can be one group with a count"));
}

TEST(Read, FormatsAreFoundByExtensionAndName) {
  EXPECT_EQ(topology_format("a/b.yml").value(), TopologyFormat::kYaml);
  EXPECT_EQ(topology_format("tree.csv").value(), TopologyFormat::kMatrix);
  EXPECT_EQ(parse_topology_format("edges").value(), TopologyFormat::kEdges);
  EXPECT_EQ(
      topology_format("tree.xml").status(),
      invalid_argument(
          "tree.xml: unknown topology format \".xml\"; known are .yaml, .yml, .json, .edges, .edgelist, .txt, .csv, "
          ".dot, .gv and .svg"));
  EXPECT_EQ(
      parse_topology_format("jsno").status(),
      invalid_argument("a topology format must be yaml, json, edges, matrix, dot or svg, got \"jsno\"; did you mean "
                       "\"json\"?"));
}

TEST(Read, FilesThatCannotBeReadSaySo) {
  EXPECT_EQ(read_topology("nowhere.yaml").status(), not_found("there is no topology file nowhere.yaml"));
  EXPECT_EQ(read_topology("/", TopologyFormat::kYaml).status(), io_error("/ is a directory, not a topology file"));
  EXPECT_EQ(
      read_topology("tree.svg").status(),
      unsupported("tree.svg: svg is only written, not read; topologies are read from .yaml, .json, .edges and .csv"));
}

TEST(Read, BuildsWhatAConfigurationAsksFor) {
  Configuration configuration;
  configuration.topology.kind = TopologyConfig::Kind::kWidths;
  configuration.topology.widths = {4, 32};
  EXPECT_EQ(build_topology(configuration).value(), widths_topology(configuration.topology.widths).value());

  configuration.topology.kind = TopologyConfig::Kind::kBalancedLeaves;
  configuration.topology.branching = 4;
  configuration.topology.clients = 37;
  EXPECT_EQ(build_topology(configuration).value(), balanced_leaves_topology(4, 37).value());

  configuration.topology.kind = TopologyConfig::Kind::kBalanced;
  configuration.topology.height = 3;
  EXPECT_EQ(build_topology(configuration).value(), balanced_topology(4, 3).value());

  configuration.topology.kind = TopologyConfig::Kind::kStar;
  EXPECT_EQ(build_topology(configuration).value(), star_topology(37).value());

  configuration.topology.kind = TopologyConfig::Kind::kSites;
  configuration.topology.sites = {{"north", 3}};
  const std::vector<SiteClients> sites{{"north", 3}};
  EXPECT_EQ(build_topology(configuration).value(), sites_topology(sites).value());

  configuration.topology.kind = TopologyConfig::Kind::kInline;
  configuration.topology.inline_nodes = "{nodes: [{name: r, children: [a]}]}";
  EXPECT_EQ(build_topology(configuration).value(), yaml("{name: r, children: [a]}").value());
}

TEST(Read, NamesTheKeyOfAWrongConfiguration) {
  Configuration configuration;
  configuration.topology.kind = TopologyConfig::Kind::kWidths;
  configuration.topology.widths = {4, 2};
  EXPECT_EQ(build_topology(configuration).status(),
            configuration_error(
                "topology.widths: widths must not fall: 4 nodes in tier 1 need at least as many in tier 2, got 2"));

  configuration.topology.kind = TopologyConfig::Kind::kInline;
  configuration.topology.inline_nodes = "{nodes: [{name: r}]}";
  configuration.topology.inline_line = 9;
  EXPECT_EQ(build_topology(configuration).status(),
            configuration_error(
                "topology.nodes:9:17: node \"r\" is the root and has no children; a federation needs at least "
                "one client"));
}

}  // namespace
}  // namespace tributary
