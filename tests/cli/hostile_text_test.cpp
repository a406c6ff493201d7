// SPDX-License-Identifier: Apache-2.0
// Every command, fed with files whose text a terminal would obey: nothing of it may come out as it is.
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>
#include <string>
#include <vector>

#include "program.hpp"
#include "support/file_bytes.hpp"
#include "support/scratch_directory.hpp"
#include "tributary/base/printable.hpp"
#include "tributary/config/configuration.hpp"
#include "tributary/run/record.hpp"

namespace tributary::cli {
namespace {

// Clears the screen, names the window, turns the direction of writing, and is no UTF-8 at its end.
const std::string kHostile = "a\x1b[2J\x1b]0;x\x07\u202eb\u009bc\x7f\xff";
// The same for formats that are read as UTF-8 text without control characters, or else refused as a whole.
const std::string kTurned = "a\u202eb\u009bc";
// What YAML and JSON readers make of escapes.
const std::string kYamlHostile = R"("a\e[2J\x07\u202Eb\x9bc\x7f")";
const std::string kJsonHostile = R"("a\u001b[2J\u0007\u202eb\u009bc\u007f")";

constexpr const char* kSynthetic =
    "schema: 1\n"
    "name: small\n"
    "topology: {widths: [2, 6]}\n"
    "data: {source: synthetic}\n"
    "model: {kind: echo}\n"
    "trainer: {kind: echo}\n";

::testing::AssertionResult is_harmless(const Outcome& outcome) {
  for (const std::string& text : {outcome.out, outcome.err}) {
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
      std::replace(line.begin(), line.end(), '\t', ' ');
      if (!is_printable_text(line)) { return ::testing::AssertionFailure() << printable_text(line); }
    }
  }
  const std::string both = outcome.out + outcome.err;
  for (const char* const internal : {"[json.exception", "yaml-cpp", "filesystem error", "c10::", "unexpected:"}) {
    if (contains(both, internal)) { return ::testing::AssertionFailure() << "says " << internal << ": " << both; }
  }
  if (outcome.exit_code == 70) { return ::testing::AssertionFailure() << "is called a bug: " << both; }
  return ::testing::AssertionSuccess();
}

class HostileText : public ::testing::Test {
 protected:
  // What was printed, and that it must be an error.
  void expect_refused(const std::vector<std::string>& words) {
    const Outcome outcome = run(words);
    EXPECT_NE(outcome.exit_code, 0) << ::testing::PrintToString(words);
    EXPECT_FALSE(outcome.err.empty()) << ::testing::PrintToString(words);
    EXPECT_TRUE(is_harmless(outcome)) << ::testing::PrintToString(words);
  }
  void expect_shown(const std::vector<std::string>& words) {
    const Outcome outcome = run(words);
    EXPECT_EQ(outcome.exit_code, 0) << ::testing::PrintToString(words) << outcome.err;
    EXPECT_TRUE(is_harmless(outcome)) << ::testing::PrintToString(words);
  }
  [[nodiscard]] std::string file(const std::string& name, const std::string& content) const {
    return scratch_.write(name, content).string();
  }
  // A run directory in which every text is hostile.
  [[nodiscard]] std::string run_directory(const std::string& name) const {
    std::filesystem::create_directory(scratch_ / name);
    std::string records;
    const auto add = [&records](const Record& record) { records += record.to_json() + "\n"; };
    add(Record("run").set("name", kHostile).set("driver", kHostile).set("host", kHostile).set("started", kHostile));
    add(Record("labels").set("client", 0).set("counts", std::vector<double>{3.0, 1.0}));
    add(Record("round").set("round", 1).set("outcome", kHostile).set("accuracy", 85.0).set("loss", 1.0));
    add(Record("fault").set("round", 1).set("kind", kHostile).set("node", kHostile).set("detail", kHostile));
    add(Record("warning").set("text", kHostile));
    add(Record("edge").set("child", 1).set("parent", 0).set("child_name", kHostile).set("wait_seconds", 1.0));
    add(Record("where").set("process", 0).set("host", kHostile).set("nodes", kHostile));
    add(Record("where").set("process", 1).set("host", kHostile).set("lost", true));
    add(Record("end").set("outcome", kHostile).set("error", kHostile).set("model_sha256", kHostile));
    scratch_.write(name + "/records.jsonl", records);
    scratch_.write(name + "/configuration.yaml",
                   "name: " + kYamlHostile + "\n" + name + kTurned + ": " + kYamlHostile + "\n");
    scratch_.write(name + "/topology.yaml", "nodes: " + kYamlHostile + "\n");
    return (scratch_ / name).string();
  }

  testing::ScratchDirectory scratch_;
};

TEST_F(HostileText, OnTheCommandLineIsHarmless) {
  expect_refused({kHostile});
  expect_refused({"--" + kHostile});
  expect_refused({"run", "--" + kHostile});
  expect_refused({"--color", kHostile, "version"});
  expect_refused({"topology", kHostile});
  expect_refused({"topology", "generate", "--widths", kHostile});
  expect_refused({"topology", "generate", "--star", kHostile});
  expect_refused({"topology", "generate", "--sites", kHostile + "=3"});
  expect_refused({"topology", "generate", "--star", "3", "--format", kHostile});
  expect_refused({"list", kHostile});
  expect_refused({"bench", kHostile});
  expect_refused({"version", kHostile});
}

TEST_F(HostileText, InNamesOfFilesIsHarmless) {
  const std::string name = (scratch_ / kHostile).string();
  for (const std::string& path : {name, name + ".yaml", name + ".jsonl", std::string(5000, 'x') + kHostile}) {
    for (const char* const command : {"run", "validate", "plan", "partition", "inspect", "report"}) {
      expect_refused({command, path});
      expect_refused({command, path, "--json"});
    }
    expect_refused({"topology", "show", path});
    expect_refused({"topology", "convert", path, path});
    expect_refused({"run", "--resume", path});
  }
  const std::string there = file(kHostile + ".yaml", kSynthetic);
  for (const char* const command : {"validate", "plan", "partition"}) {
    expect_shown({command, there});
    expect_shown({command, there, "--json"});
  }
  const std::string written = (scratch_ / (kHostile + ".dot")).string();
  expect_shown({"topology", "generate", "--star", "3", "-o", written});
  expect_refused({"topology", "generate", "--star", "3", "-o", (scratch_ / kHostile / "none.dot").string()});
  expect_shown({"doctor", "--no-measure"});
}

// The dotted names in the first column of the reference.
std::vector<std::string> keys() {
  std::vector<std::string> found;
  std::istringstream lines(configuration_reference());
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("| `")) { continue; }
    found.push_back(line.substr(3, line.find('`', 3) - 3));
  }
  return found;
}

TEST_F(HostileText, InTheValueOfAnyKeyIsHarmless) {
  const std::string path = file("c.yaml", kSynthetic);
  const std::vector<std::string> all = keys();
  ASSERT_GT(all.size(), 40U);
  for (const std::string& key : all) {
    for (const std::string& value :
         {kHostile, kTurned, kYamlHostile, "[" + kYamlHostile + "]", "{" + kYamlHostile + ": 1}"}) {
      EXPECT_TRUE(is_harmless(run({"validate", path, "--set", key + "=" + value}))) << key;
      EXPECT_TRUE(is_harmless(run({"run", path, "--print-config", "--set", key + "=" + value}))) << key;
    }
  }
  expect_refused({"validate", path, "--set", kHostile});
  expect_refused({"validate", path, "--set", kHostile + "=1"});
}

TEST_F(HostileText, InAConfigurationIsHarmless) {
  for (const std::string& text :
       {kHostile, kYamlHostile, kYamlHostile + ": 1\n", kTurned + ": 1\n", std::string(kSynthetic) + kHostile + ": 1\n",
        std::string(kSynthetic) + kYamlHostile + ": {" + kYamlHostile + ": " + kYamlHostile + "}\n",
        "schema: 1\nname: " + kYamlHostile + "\n", "schema: " + kYamlHostile + "\n", "schema: !" + kTurned + " 1\n",
        std::string(kSynthetic) + "tiers: {" + kYamlHostile + ": {quorum: 1}}\n", "a: [" + kHostile,
        "a: *" + kTurned + "\n", "{" + kYamlHostile + ": 1, " + kYamlHostile + ": 2}\n"}) {
    const std::string path = file("c.yaml", text);
    for (const char* const command : {"validate", "plan", "partition", "run"}) { expect_refused({command, path}); }
  }
}

TEST_F(HostileText, InADatasetIsHarmless) {
  for (const std::string& text :
       {kHostile + ",label\n1,2\n", "x,label\n" + kHostile + ",1\n",
        "x,label\n1," + kHostile + "\n2," + kHostile + "\n", "x,label\n1,\"" + kHostile + "\n", kHostile,
        "x," + kHostile + "," + kHostile + "\n1,2,3\n",
        "id,x,label\n" + kHostile + ",1,a\n" + kHostile + ",2," + kTurned + "\nc,3," + kTurned + "\n"}) {
    const std::string data = file("data.csv", text);
    for (const std::string& extra : {std::string(), std::string(", id_column: id")}) {
      const std::string path =
          file("c.yaml", "schema: 1\nname: small\ntopology: {star: 2}\ndata: {source: csv, train: " + data + extra +
                             "}\nmodel: {kind: echo}\ntrainer: {kind: echo}\n");
      for (const char* const command : {"validate", "plan", "partition"}) {
        EXPECT_TRUE(is_harmless(run({command, path}))) << command << " " << printable_text(text);
        EXPECT_TRUE(is_harmless(run({command, path, "--json"}))) << command << " " << printable_text(text);
      }
    }
  }
}

TEST_F(HostileText, InATopologyIsHarmless) {
  const std::string names =
      "nodes:\n  - name: " + kYamlHostile + "\n    children: [b]\n  - {name: b, site: " + kYamlHostile + "}\n";
  const std::string json =
      R"({"nodes": [{"name": )" + kJsonHostile + R"(, )" + kJsonHostile + R"(: 1, "children": ["b"]}]})";
  for (const auto& [name, text] :
       std::vector<std::pair<std::string, std::string>>{{"t.yaml", kHostile},
                                                        {"t.yaml", names},
                                                        {"t.yaml", "nodes: " + kYamlHostile + "\n"},
                                                        {"t.yaml", kYamlHostile + ": 1\n"},
                                                        {"t.json", kHostile},
                                                        {"t.json", "{\"nodes\": \"" + kHostile + "\"}"},
                                                        {"t.json", json},
                                                        {"t.json", R"({"nodes": 1e999})"},
                                                        {"t.edges", "a " + kHostile + "\n"},
                                                        {"t.edges", "a b {" + kTurned + "}\n" + kTurned + "\n"},
                                                        {"t.csv", kHostile + ",1\n0,0\n"},
                                                        {"t.csv", kTurned + ",b\n"}}) {
    const std::string path = file(name, text);
    expect_refused({"topology", "show", path});
    expect_refused({"topology", "show", path, "--json"});
    expect_refused({"topology", "convert", path, (scratch_ / "out.dot").string()});
    expect_refused({"validate", file("c.yaml", "schema: 1\nname: n\ntopology: {file: " + path +
                                                   "}\ndata: {source: synthetic}\n"
                                                   "model: {kind: echo}\ntrainer: {kind: echo}\n")});
  }
}

TEST_F(HostileText, InAModelIsHarmless) {
  const std::string tensor = R"({"dtype":"F32","shape":[1],"data_offsets":[0,4]})";
  const std::string one = testing::float_bytes({1.0F});
  const std::string shown = file(
      "m.safetensors",
      testing::safetensors_bytes(
          R"({"__metadata__":{)" + kJsonHostile + ":" + kJsonHostile + "}," + kJsonHostile + ":" + tensor + "}", one));
  expect_shown({"inspect", shown});
  expect_shown({"inspect", shown, "--json"});
  EXPECT_EQ(run({"inspect", shown, "--json"}).json()["metadata.a\u001b[2J\u0007\u202eb\u009bc\u007f"],
            "a\u001b[2J\u0007\u202eb\u009bc\u007f")
      << "machines read the text as it is";
  for (const std::string& header :
       {"{\"" + kHostile + "\":" + tensor + "}", R"({"x":{)" + kJsonHostile + ":1}}",
        R"({"x":{"dtype":)" + kJsonHostile + R"(,"shape":[1],"data_offsets":[0,4]}})",
        "{" + kJsonHostile + ":" + tensor + "," + kJsonHostile + ":" + tensor + "}",
        R"({"__metadata__":{)" + kJsonHostile + ":1}}", "{" + kHostile,
        R"({"__metadata__":{"tributary.checkpoint":)" + kJsonHostile + R"(},"x":)" + tensor + "}",
        R"({"__metadata__":{"tributary.kinds":)" + kJsonHostile + R"(},"x":)" + tensor + "}"}) {
    const std::string path = file("wrong.safetensors", testing::safetensors_bytes(header, one));
    EXPECT_TRUE(is_harmless(run({"inspect", path}))) << printable_text(header);
    EXPECT_TRUE(is_harmless(run({"inspect", path, "--json"}))) << printable_text(header);
  }
}

TEST_F(HostileText, InARunDirectoryIsHarmless) {
  const std::string a = run_directory("a");
  const std::string b = run_directory("b");
  const std::string page = (scratch_ / "page.html").string();
  expect_shown({"report", a, "-o", page});
  EXPECT_EQ(printable_lines(scratch_.read("page.html")), scratch_.read("page.html"));
  expect_shown({"report", a, b, "-o", page});
  EXPECT_EQ(printable_lines(scratch_.read("page.html")), scratch_.read("page.html"));
  expect_shown({"report", a, b, "--json", "-o", page});
  expect_shown({"inspect", a});
  expect_shown({"inspect", a, "--json"});
  expect_refused({"run", "--resume", a});

  for (const std::string& line :
       {kHostile, "{" + kHostile, "{\"schema\":1,\"event\":\"" + kHostile + "\"}",
        R"({"schema":1,"event":"x",)" + kJsonHostile + ":[[1]]}", R"({"schema":)" + kJsonHostile + "}"}) {
    scratch_.write("a/records.jsonl", line + "\n{}\n");
    expect_refused({"report", a, "-o", page});
    expect_refused({"inspect", a});
  }
}

TEST_F(HostileText, ThatAProgramPrintsIsHarmless) {
  const std::string start =
      file("start.safetensors", testing::safetensors_bytes(R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
                                                           testing::float_bytes({1.0F})));
  const std::string program = file("program.sh", "printf '" + kHostile + "'; exit 3\n");
  const std::string path =
      file("c.yaml",
           "schema: 1\nname: small\nrounds: 1\ntopology: {star: 2}\ndata: {source: none}\n"
           "model: {initial: " +
               start + "}\ntrainer:\n  kind: command\n  command: [sh, " + program +
               ", '{input}', '{output}']\nevaluation: {every: 0}\noutput: {directory: " + (scratch_ / "runs").string() +
               "}\n");
  const Outcome outcome = run({"run", path, "-v"});

  EXPECT_NE(outcome.exit_code, 0);
  EXPECT_TRUE(contains(outcome.err, "\\u202eb\\u009bc")) << outcome.err;
  EXPECT_TRUE(is_harmless(outcome));
}

}  // namespace
}  // namespace tributary::cli
