// SPDX-License-Identifier: Apache-2.0
// What the commands say of data: names of classes, whose samples are whose, files of another kind.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "program.hpp"
#include "support/scratch_directory.hpp"
#include "tributary/data/model_file.hpp"
#include "tributary/run/record_sinks.hpp"

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

TEST_F(Data, PlanValidateAndRunSayWhatWasReadOfTheData) {
  const std::string file = configuration("{sites: {rome: 1, berlin: 1, paris: 1}}");
  const std::string line =
      "data        9 samples, 1 feature (x), 2 classes in column label (flat: 6, house: 3); none held out\n";

  EXPECT_TRUE(contains(run({"plan", file}).out, line)) << run({"plan", file}).out;
  EXPECT_EQ(run({"validate", file}).out, file + ": valid\n" + line);
  EXPECT_EQ(run({"validate", file, "--shallow"}).out, file + ": valid\n");
  const Outcome ran = run({"run", file, "--output", (scratch_ / "run").string()});
  EXPECT_TRUE(contains(ran.err, line)) << ran.err;
  for (const char* command : {"plan", "validate"}) {
    const nlohmann::json data = run({command, file, "--json"}).json().at("data");
    EXPECT_EQ(data.at("samples"), 9);
    EXPECT_EQ(data.at("features"), nlohmann::json({"x"}));
    EXPECT_EQ(data.at("samples_by_class"), nlohmann::json({6, 3}));
    EXPECT_EQ(data.at("held_out"), 0);
  }
}

TEST_F(Data, WideTablesAndImagesTakeOneLineToo) {
  std::string text = "label";
  std::string values;
  for (int column = 0; column < 12; ++column) {
    text += fmt::format(",c{}", column);
    values += ",0";
  }
  for (int row = 0; row < 12; ++row) { text += fmt::format("\n{}{}", row, values); }
  scratch_.write("wide.csv", text);
  const std::string start = "schema: 1\ntopology: {star: 2}\nmodel: {kind: echo}\ntrainer: {kind: echo}\n";
  const std::string wide =
      scratch_.write("wide.yaml", start + "data: {source: csv, train: wide.csv, test: wide.csv}\n").string();
  const std::string images =
      scratch_.write("images.yaml", start + "data: {source: synthetic, samples: 100, shape: [1, 4, 4], classes: 4}\n")
          .string();

  EXPECT_TRUE(
      contains(run({"plan", wide}).out,
               "data        12 samples, 12 features (c0, c1, c2, c3, c4 and 7 more), 12 classes in column label "
               "(1 of each); 12 held out\n"))
      << run({"plan", wide}).out;
  EXPECT_TRUE(contains(run({"plan", images}).out, "data        100 samples, 1 x 4 x 4 values, 4 classes ("))
      << run({"plan", images}).out;
}

TEST_F(Data, SurplusIdsAreToldEverywhereAndStrangersAreRefused) {
  const std::string file = configuration("{star: 2}");
  const std::string warning = "warning: the data has 3 ids for 2 clients: they are dealt in turn";

  EXPECT_TRUE(contains(run({"partition", file}).err, warning));
  EXPECT_TRUE(contains(run({"plan", file}).err, warning));
  EXPECT_TRUE(contains(run({"validate", file}).err, warning));
  const Outcome refused = run({"validate", configuration("{sites: {rome: 1, berlin: 1}}")});
  EXPECT_EQ(refused.exit_code, 78);
  EXPECT_TRUE(contains(refused.err, "data.partition: 1 of 3 ids is the name of no client and no site: paris"))
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
  const Outcome table = run({"validate", scratch_.write("plain.csv", "x,label\n1,0\n").string()});
  EXPECT_EQ(table.exit_code, 78);
  EXPECT_TRUE(contains(table.err,
                       "plain.csv is a table of data, not a configuration: a configuration names it with "
                       "`data: {source: csv, train: plain.csv}`"))
      << table.err;
  EXPECT_EQ(run({"validate", (scratch_ / "missing.csv").string()}).exit_code, 66);
  const Outcome model = run({"run", scratch_.write("net.pt", "PK\x03\x04").string()});
  EXPECT_TRUE(contains(model.err, "net.pt is a model, not a configuration")) << model.err;
  const Outcome shown = run({"topology", "show", configuration("{star: 2}")});
  EXPECT_EQ(shown.exit_code, 78);
  EXPECT_TRUE(contains(shown.err, "this is the configuration of a federation, not a topology")) << shown.err;
}

TEST_F(Data, ARunDirectoryAndAConfigurationAreToldApart) {
  const std::string file = configuration("{star: 2}");
  const std::string directory = (scratch_ / "run").string();
  ASSERT_EQ(run({"run", file, "--output", directory}).exit_code, 0);
  const std::string other = scratch_.path().string();

  const Outcome as_configuration = run({"run", directory});
  EXPECT_EQ(as_configuration.exit_code, 64);
  EXPECT_TRUE(contains(as_configuration.err, directory +
                                                 " is a run directory, not a configuration: `tributary run "
                                                 "--resume " +
                                                 directory + "` goes on with it"))
      << as_configuration.err;
  EXPECT_TRUE(contains(run({"plan", other}).err, other + " is a directory, not a configuration: name a YAML file"));
  const Outcome as_directory = run({"run", "--resume", file});
  EXPECT_EQ(as_directory.exit_code, 64);
  EXPECT_TRUE(
      contains(as_directory.err, "--resume: " + file + " is a file, not a run directory; `tributary run " + file))
      << as_directory.err;
  EXPECT_TRUE(contains(run({"run", "--resume", directory + "/records.jsonl"}).err,
                       "is a file of a run directory: name the directory, " + directory));
  EXPECT_EQ(run({"run", "--resume", directory + "/nowhere"}).exit_code, 66);
  EXPECT_TRUE(contains(run({"run", "--resume", other}).err, other + " holds no run"));
  const Outcome reported = run({"report", file});
  EXPECT_EQ(reported.exit_code, 65);
  EXPECT_TRUE(contains(reported.err, file + " is no run directory and no records.jsonl")) << reported.err;
}

}  // namespace
}  // namespace tributary::cli
