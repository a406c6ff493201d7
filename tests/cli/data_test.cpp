// SPDX-License-Identifier: Apache-2.0
// What the commands say of data: names of classes, whose samples are whose, files of another kind.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/scratch_directory.hpp"
#include "program.hpp"
#include "tributary/core/model_file.hpp"
#include "tributary/core/record_sinks.hpp"

namespace tributary::cli {
namespace {

constexpr const char* kCities =
    "x,city,label\n0.0,berlin,flat\n0.1,berlin,house\n1.0,paris,house\n1.1,paris,flat\n1.2,paris,flat\n"
    "2.0,rome,flat\n2.1,rome,flat\n2.2,rome,house\n2.3,rome,flat\n";

class Data : public ::testing::Test {
 protected:
  std::string configuration(const std::string& topology, const std::string& more = "") {
    scratch_.write("cities.csv", kCities);
    return scratch_
        .write("c.yaml", "schema: 1\nname: cities\nrounds: 1\ntopology: " + topology +
                             "\ndata: {source: csv, train: cities.csv, id_column: city, partition: {kind: natural}}\n"
                             "model: {kind: echo, parameters: 3}\ntrainer: {kind: echo}\n" +
                             more)
        .string();
  }

  testing::ScratchDirectory scratch_;
};

TEST_F(Data, PartitionAndPlanShowWhoseSamplesAClientHolds) {
  const std::string file = configuration("{sites: {rome: 1, berlin: 1, paris: 1}}");

  const Outcome table = run({"partition", file});
  const Outcome lines = run({"partition", file, "--json"});
  const Outcome plan = run({"plan", file});

  EXPECT_EQ(table.exit_code, 0) << table.err;
  EXPECT_TRUE(contains(table.out, "rome-client-0")) << table.out;
  EXPECT_TRUE(contains(table.out, "labels flat, house")) << table.out;
  EXPECT_TRUE(contains(lines.out, R"("class_names":["flat","house"])")) << lines.out;
  EXPECT_TRUE(contains(lines.out, R"("client":0,"counts":[3,1],"name":"rome-client-0","ids":["rome"])")) << lines.out;
  EXPECT_TRUE(
      contains(plan.out, "ids         rome to rome-client-0; berlin to berlin-client-0; paris to paris-client-0\n"))
      << plan.out;
  EXPECT_EQ(run({"plan", file, "--json"}).json()["client_ids"][2]["ids"][0], "paris");
}

TEST_F(Data, SurplusIdsAreToldEverywhereAndStrangersAreRefused) {
  const std::string file = configuration("{star: 2}");
  const std::string warning = "warning: the data has 3 ids for 2 clients: they are dealt in turn";

  EXPECT_TRUE(contains(run({"partition", file}).err, warning));
  EXPECT_TRUE(contains(run({"plan", file}).err, warning));
  EXPECT_TRUE(contains(run({"validate", file}).err, warning));
  const Outcome refused = run({"validate", configuration("{sites: {rome: 1, berlin: 1}}")});
  EXPECT_EQ(refused.exit_code, 78);
  EXPECT_TRUE(contains(refused.err, "data.partition: 1 of 3 ids are the name of no client and no site: paris"))
      << refused.err;
}

TEST_F(Data, RecordsAndTheModelFileKeepNamesOfClassesAndIds) {
  const std::string file = configuration("{star: 2}");
  const std::filesystem::path directory = scratch_ / "run";

  const Outcome ran = run({"run", file, "--output", directory.string()});

  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  std::string classes;
  std::string ids;
  std::string warnings;
  const std::vector<Record> records = read_records(real_file_system(), directory / "records.jsonl").value();
  for (const Record& record : records) {
    if (record.event() == "class") { classes += std::string(record.text("name")) + ";"; }
    if (record.event() == "labels") { ids += std::string(record.text("ids")) + ";"; }
    if (record.event() == "warning") { warnings += record.text("text"); }
  }
  EXPECT_EQ(classes, "flat;house;");
  EXPECT_EQ(ids, "berlin, rome;paris;");
  EXPECT_TRUE(contains(warnings, "3 ids for 2 clients")) << warnings;
  const StoredModel model = read_model_with_spec(real_file_system(), directory / "model.safetensors").value();
  EXPECT_EQ(model.metadata.at("tributary.classes"), R"(["flat","house"])");
  EXPECT_EQ(model.metadata.at("tributary.client_ids"), R"([["berlin","rome"],["paris"]])");
}

TEST_F(Data, ValuesThatBecomeZeroAreWarnedOf) {
  const std::string file = configuration("{star: 1}");
  scratch_.write("cities.csv", "x,city,label\n1e-50,rome,0\n1,rome,1\n");

  EXPECT_TRUE(contains(run({"validate", file}).err, "cities.csv:2:1: 1e-50: nearer to 0 than float32 can tell"));
}

TEST_F(Data, ATopologyGivenAsAConfigurationIsNamedAndTheReverse) {
  const std::string tree = scratch_.write("tree.yaml", "nodes: [{name: r, children: [a]}]\n").string();
  const std::string broken = scratch_.write("broken.yaml", "nodes: [{nmae: r, children: [a]}]\n").string();
  const std::string edges = scratch_.write("tree.edges", "r a\n").string();

  for (const std::string& file : {tree, broken, edges}) {
    const Outcome outcome = run({"validate", file});
    EXPECT_EQ(outcome.exit_code, 78);
    EXPECT_TRUE(contains(outcome.err, file + " is a topology, not a configuration: `tributary topology show"))
        << outcome.err;
  }
  const Outcome shown = run({"topology", "show", configuration("{star: 2}")});
  EXPECT_EQ(shown.exit_code, 78);
  EXPECT_TRUE(contains(shown.err, "this is the configuration of a federation, not a topology")) << shown.err;
}

}  // namespace
}  // namespace tributary::cli
