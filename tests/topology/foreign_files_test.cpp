// SPDX-License-Identifier: Apache-2.0
// Trees as other programs write them: numpy's savetxt, networkx's write_edgelist.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "support/scratch_directory.hpp"
#include "tributary/topology/read.hpp"

namespace tributary {
namespace {

using ::testing::HasSubstr;
using testing::ScratchDirectory;

Topology expected() {
  return parse_topology("0 1\n0 2\n1 3\n1 4\n", TopologyFormat::kEdges, "t.edges").value();
}

std::uint32_t parent_of(const Topology& topology, std::uint32_t node) {
  return topology.to_tree().parent(NodeId{node}).value;
}

TEST(ForeignFiles, NumpyMatricesAreReadFromTxtAndCsvInEverySpelling) {
  const ScratchDirectory scratch;
  // Parents of 0..4: none, 0, 0, 1, 1.
  const int matrix[5][5] = {{0, 1, 1, 0, 0}, {0, 0, 0, 1, 1}, {0, 0, 0, 0, 0}, {0, 0, 0, 0, 0}, {0, 0, 0, 0, 0}};
  const auto text = [&matrix](const std::string& zero, const std::string& one, const std::string& delimiter) {
    std::string out = "# 5 5\n";
    for (const auto& row : matrix) {
      for (int column = 0; column < 5; ++column) {
        out += (column > 0 ? delimiter : "") + (row[column] == 1 ? one : zero);
      }
      out += "\n";
    }
    return out;
  };
  const std::string zero = "0.000000000000000000e+00";
  const std::string one = "1.000000000000000000e+00";
  for (const std::string& name : {std::string("m.txt"), std::string("m.csv")}) {
    for (const std::string& content : {text(zero, one, " "), text("0", "1", " "), text("0.0", "1.0", "\t")}) {
      const Result<Topology> topology = read_topology(scratch.write(name, content));
      ASSERT_TRUE(topology.ok()) << topology.status().message();
      EXPECT_EQ(topology->size(), 5U);
      EXPECT_EQ(topology->clients(), 3U);
      EXPECT_EQ(parent_of(*topology, 4), 1U);
    }
  }
  for (const std::string& delimiter : {std::string(","), std::string(";"), std::string(", ")}) {
    EXPECT_EQ(read_topology(scratch.write("m.csv", text(zero, one, delimiter))).value().clients(), 3U);
  }
}

TEST(ForeignFiles, AMatrixOfTwoNodesIsNoEdgeList) {
  const ScratchDirectory scratch;

  const Topology topology = read_topology(scratch.write("m.txt", "0 1\n0 0\n")).value();

  EXPECT_EQ(topology.size(), 2U);
  EXPECT_EQ(topology.clients(), 1U);
}

TEST(ForeignFiles, AWeightedMatrixIsRefusedAtItsPlace) {
  EXPECT_THAT(parse_topology("0 0.5\n0 0\n", TopologyFormat::kMatrix, "m.csv").status().message(),
              HasSubstr("m.csv:1:3: row 1, column 2 must be 0 or 1, got \"0.5\""));
  EXPECT_THAT(parse_topology("0 1 0\n0 0 0.5\n0 0 0\n", TopologyFormat::kMatrix, "m.csv").status().message(),
              HasSubstr("m.csv:2:5: row 2, column 3 must be 0 or 1, got \"0.5\""));
}

TEST(ForeignFiles, NetworkxEdgeListsAreRead) {
  const ScratchDirectory scratch;
  for (const std::string& content :
       {std::string("0 1 {}\n0 2 {}\n1 3 {}\n1 4 {} \n"), std::string("0,1\n0,2\n1,3\n1,4\n"),
        std::string("#balanced\n# GMT\n0\t1\t{}\n0\t2\t{}\n1\t3\t{}\n1\t4\t{}\n")}) {
    const Result<Topology> topology = read_topology(scratch.write("t.edgelist", content));
    ASSERT_TRUE(topology.ok()) << topology.status().message();
    EXPECT_EQ(*topology, expected());
  }
}

TEST(ForeignFiles, AttributesAndWeightsOfEdgesAreRefusedWithTheRemedy) {
  const auto message = [](std::string_view text) {
    return parse_topology(text, TopologyFormat::kEdges, "t.edges").status().message();
  };
  const std::string remedy = "; networkx leaves them out with write_edgelist(..., data=False)";

  EXPECT_EQ(message("0 1 {'weight': 3}\n"),
            "t.edges:1:5: edges have no attributes and no weights here, got \"{'weight': 3}\"" + remedy);
  EXPECT_EQ(message("0 1 0.5\n"), "t.edges:1:5: edges have no attributes and no weights here, got \"0.5\"" + remedy);
  EXPECT_EQ(message("a b c\n"), "t.edges:1:1: a line must be \"parent child\", got 3 words");
}

TEST(ForeignFiles, AConfigurationIsToldFromATopology) {
  EXPECT_EQ(
      parse_topology("schema: 1\ntopology: {star: 3}\nrounds: 4\n", TopologyFormat::kYaml, "c.yaml").status().message(),
      "c.yaml:1:1: this is the configuration of a federation, not a topology: `tributary validate` checks it, and "
      "its section `topology` says where its tree is");
}

}  // namespace
}  // namespace tributary
