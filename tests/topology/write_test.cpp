// SPDX-License-Identifier: Apache-2.0
#include "tributary/topology/write.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "tributary/topology/generate.hpp"
#include "tributary/topology/svg.hpp"

namespace tributary {
namespace {

using testing::HasSubstr;

Topology small() {
  Topology::Builder builder;
  NodeAttributes north;
  north.name = "north";
  north.site = "North \"Main\"";
  north.link = {12.5e6, std::chrono::milliseconds(5)};
  north.rank = 2;
  const auto root = builder.add_root();
  const auto aggregator = builder.add(root, north);
  NodeAttributes ward;
  ward.name = "ward";
  ward.extra = {{"z", "1"}, {"a", "with space"}};
  builder.add_group(aggregator, 3, ward);
  builder.add(root);
  return builder.build().value();
}

class ScratchFolder {
 public:
  ScratchFolder() : path_(std::filesystem::path(testing::TempDir()) / "tributary-topology-write") {
    std::filesystem::remove_all(path_);
    std::filesystem::create_directories(path_);
  }
  ~ScratchFolder() { std::filesystem::remove_all(path_); }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  [[nodiscard]] std::filesystem::path operator/(const char* name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

TEST(Write, Yaml) {
  EXPECT_EQ(to_yaml(small()), R"(schema: 1
nodes:
  - children:
      - name: north
        site: "North \"Main\""
        link: {bandwidth: 100 Mbit/s, latency: 5 ms}
        rank: 2
        children:
          - name: ward
            count: 3
            extra:
              a: "with space"
              z: "1"
      - {}
)");
}

TEST(Write, Json) {
  EXPECT_EQ(to_json(small()), R"({
  "schema": 1,
  "nodes": [
    {"children": [
      {"name": "north", "site": "North \"Main\"", "link": {"bandwidth": "100 Mbit/s", "latency": "5 ms"}, "rank": 2, "children": [
        {"name": "ward", "count": 3, "extra": {"a": "with space", "z": "1"}}
      ]},
      {}
    ]}
  ]
}
)");
}

TEST(Write, EdgesAndMatrix) {
  const std::vector<SiteClients> all{{"north", 2}, {"south", 1}};
  const Topology topology = sites_topology(all).value();

  EXPECT_EQ(
      to_edges(topology),
      "# parent child\nroot north\nroot south\nnorth north-client-0\nnorth north-client-1\nsouth south-client-0\n");
  EXPECT_EQ(to_matrix(topology).value(),
            "root,north,south,north-client-0,north-client-1,south-client-0\n"
            "0,1,1,0,0,0\n0,0,0,1,1,0\n0,0,0,0,0,1\n0,0,0,0,0,0\n0,0,0,0,0,0\n0,0,0,0,0,0\n");
}

TEST(Write, DotKeepsGroupsAndAttributes) {
  const std::string text = to_dot(small());

  EXPECT_THAT(
      text, HasSubstr(R"x(label="north", fillcolor="#ccfbf1", kind=aggregator, site="North \"Main\"", mpi_rank=2];)x"));
  EXPECT_THAT(text, HasSubstr(R"x(n3 [label="ward-0..ward-2 (3 clients)", fillcolor="#fef3c7")x"));
  EXPECT_THAT(text, HasSubstr("kind=client, count=3, peripheries=2];"));
  EXPECT_THAT(text, HasSubstr(R"x(n0 -> n1 [label="100 Mbit/s"];)x"));
}

TEST(Write, MatricesOfLargeTopologiesAreRefused) {
  EXPECT_EQ(
      to_matrix(star_topology(5000).value()).status(),
      invalid_argument("a matrix of 5,001 nodes is too large, at most 4,096 can be written; an edge list has no such "
                       "limit"));
}

TEST(Write, EveryFormatGoesToAFile) {
  const ScratchFolder folder;
  const Topology topology = small();

  for (const char* name : {"t.yaml", "t.json", "t.edges", "t.csv", "t.dot", "t.svg"}) {
    ASSERT_TRUE(write_topology(topology, folder / name).ok());
    std::ifstream input(folder / name);
    const std::string text{std::istreambuf_iterator<char>(input), {}};
    EXPECT_EQ(text, format_topology(topology, topology_format(name).value()).value());
  }
  EXPECT_EQ(read_topology(folder / "t.yaml").value(), topology);
  EXPECT_EQ(read_topology(folder / "t.json").value(), topology);
}

TEST(Write, ReplacesTheFileAndLeavesNothingBeside) {
  const ScratchFolder folder;
  std::ofstream(folder / "t.yaml") << "old";

  ASSERT_TRUE(write_topology(small(), folder / "t.yaml").ok());

  EXPECT_EQ(read_topology(folder / "t.yaml").value(), small());
  EXPECT_FALSE(std::filesystem::exists(folder / "t.yaml.part"));
}

TEST(Write, SaysWhyAFileCannotBeWritten) {
  const ScratchFolder folder;
  const std::filesystem::path file = folder / "missing" / "t.yaml";

  EXPECT_EQ(write_topology(small(), file),
            io_error("cannot write the topology file " + file.string() + ": No such file or directory"));
}

}  // namespace
}  // namespace tributary
