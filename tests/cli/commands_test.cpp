// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "commands/catalog.hpp"
#include "commands/doctor_checks.hpp"
#include "console/text_table.hpp"
#include "program.hpp"
#include "support/file_bytes.hpp"
#include "support/scratch_directory.hpp"
#include "tributary/base/digest.hpp"
#include "tributary/config/configuration.hpp"
#include "tributary/data/model_file.hpp"

namespace tributary::cli {
namespace {

constexpr const char* kSynthetic =
    "schema: 1\n"
    "name: small\n"
    "topology: {widths: [2, 6]}\n"
    "data: {source: synthetic, partition: {kind: label-dirichlet, alpha: 0.5}}\n"
    "model: {kind: echo}\n"
    "trainer: {kind: echo}\n";

class Commands : public ::testing::Test {
 protected:
  testing::ScratchDirectory scratch_;
};

// The words between backquotes in the third column of a key's row in the configuration reference.
std::set<std::string> choices_of(const std::string& key) {
  std::istringstream lines(configuration_reference());
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("| `" + key + "` |")) { continue; }
    std::istringstream columns(line.substr(1));
    std::string column;
    for (int i = 0; i < 3; ++i) { std::getline(columns, column, '|'); }
    std::set<std::string> choices;
    for (std::size_t from = column.find('`'); from != std::string::npos; from = column.find('`', from + 1)) {
      const std::size_t end = column.find('`', from + 1);
      choices.insert(column.substr(from + 1, end - from - 1));
      from = end;
    }
    return choices;
  }
  return {};
}

TEST_F(Commands, ListHasExactlyTheChoicesOfTheConfiguration) {
  ASSERT_GE(configuration_catalog().size(), 5U);
  for (const CatalogSection& section : configuration_catalog()) {
    if (section.name == "topologies") { continue; }  // keys, not choices
    std::set<std::string> names;
    for (const CatalogEntry& entry : section.entries) { names.insert(entry.name); }

    EXPECT_EQ(names, choices_of(section.key)) << section.key;
  }
}

TEST_F(Commands, ListNamesTopologyKeysThatTheConfigurationHas) {
  std::size_t keys = 0;
  for (const CatalogSection& section : configuration_catalog()) {
    if (section.name != "topologies") { continue; }
    for (const CatalogEntry& entry : section.entries) {
      EXPECT_TRUE(contains(configuration_reference(), "| `topology." + entry.name)) << entry.name;
      ++keys;
    }
  }
  EXPECT_GE(keys, 3U);
}

TEST_F(Commands, ListPrintsOneSectionOrAllOfThem) {
  const nlohmann::json all = run({"list", "--json"}).json();
  const nlohmann::json models = run({"list", "models", "--json"}).json();

  EXPECT_EQ(all.at("schema"), 1);
  for (const char* section :
       {"trainers", "models", "policies", "algorithms", "partitions", "data-sources", "topologies", "optimizers"}) {
    EXPECT_FALSE(all.at(section).empty()) << section;
  }
  EXPECT_EQ(models.size(), 2U);
  EXPECT_EQ(models.at("models").back().at("name"), "echo");
  EXPECT_TRUE(contains(run({"list", "modles"}).err, "did you mean 'models'?"));
}

TEST_F(Commands, TopologyIsGeneratedConvertedAndShown) {
  const std::string yaml = (scratch_ / "tree.yaml").string();
  const std::string edges = (scratch_ / "tree.edges").string();

  EXPECT_EQ(run({"topology", "generate", "--widths", "2,5", "-o", yaml}).exit_code, 0);
  EXPECT_EQ(run({"topology", "convert", yaml, edges}).exit_code, 0);
  const Outcome shown = run({"topology", "show", yaml});
  const nlohmann::json facts = run({"topology", "show", edges, "--json"}).json();

  EXPECT_TRUE(contains(shown.out, "├─ aggregator-1  3 clients")) << shown.out;
  EXPECT_EQ(facts.at("clients"), 5);
  EXPECT_EQ(facts.at("aggregators"), 2);
  EXPECT_EQ(facts.at("height"), 2);
  EXPECT_EQ(facts.at("tiers").size(), 3U);
}

TEST_F(Commands, TopologyGenerateWritesToStandardOutputInAnyFormat) {
  EXPECT_TRUE(contains(run({"topology", "generate", "--sites", "north=2,south=3"}).out, "north"));
  EXPECT_TRUE(
      contains(run({"topology", "generate", "--branching", "3", "--height", "2", "--format", "dot"}).out, "digraph"));
  EXPECT_TRUE(
      contains(run({"topology", "generate", "--branching", "3", "--clients", "9", "--format", "svg"}).out, "<svg"));
}

TEST_F(Commands, TopologyGenerateWantsExactlyOneShape) {
  EXPECT_EQ(run({"topology", "generate"}).exit_code, 64);
  EXPECT_EQ(run({"topology", "generate", "--star", "3", "--widths", "3"}).exit_code, 64);
  EXPECT_EQ(run({"topology", "generate", "--branching", "3"}).exit_code, 64);
  EXPECT_TRUE(contains(run({"topology", "generate", "--sites", "north"}).err, "'north' is not NAME=CLIENTS"));
  EXPECT_TRUE(contains(run({"topology", "generate", "--sites", "north=x"}).err, "'north=x' is not NAME=CLIENTS"));
}

TEST_F(Commands, TopologyGenerateSaysWhatIsWrongWithWhatWasGiven) {
  const auto said = [](std::initializer_list<std::string> shape) {
    std::vector<std::string> words{"topology", "generate"};
    words.insert(words.end(), shape);
    return run(words).err;
  };

  EXPECT_TRUE(contains(said({"--star", "0"}), "the number of clients must be >= 1, got 0")) << said({"--star", "0"});
  EXPECT_TRUE(contains(said({"--star", "3", "--widths", "2,3"}), "--star and --widths are different trees"));
  EXPECT_TRUE(contains(said({"--widths", ""}), "error: --widths: ")) << said({"--widths", ""});
  EXPECT_TRUE(contains(said({"--widths", "2,0"}), "--widths: '0' is not")) << said({"--widths", "2,0"});
  EXPECT_TRUE(contains(said({"--branching", "2", "--height", "3", "--clients", "4"}), "but both are given"));
  EXPECT_TRUE(contains(said({"--height", "3"}), "--height belongs to --branching"));
}

TEST_F(Commands, TopologyFormatsGoByTheirExtensionsToo) {
  const std::string yaml = (scratch_ / "tree.yaml").string();
  ASSERT_EQ(run({"topology", "generate", "--widths", "2,5", "-o", yaml}).exit_code, 0);

  EXPECT_EQ(run({"topology", "convert", yaml, "--to", "csv"}).out,
            run({"topology", "convert", yaml, "--to", "matrix"}).out);
  EXPECT_EQ(run({"topology", "convert", yaml, "--to", "txt"}).out,
            run({"topology", "convert", yaml, "--to", "edges"}).out);
  EXPECT_TRUE(contains(run({"topology", "show", scratch_.path().string()}).err, "is a directory"));
}

TEST_F(Commands, TopologyConvertWarnsOfWhatAFormatCannotHold) {
  const std::string yaml = (scratch_ / "sites.yaml").string();
  const std::string csv = (scratch_ / "sites.csv").string();
  ASSERT_EQ(run({"topology", "generate", "--sites", "north=2,south=3", "-o", yaml}).exit_code, 0);

  const Outcome printed = run({"topology", "convert", yaml, "--to", "edges"});
  const Outcome written = run({"topology", "convert", yaml, csv});
  const Outcome whole = run({"topology", "convert", yaml, "--to", "json"});

  EXPECT_EQ(printed.err, "warning: the format edges holds names only: sites are left out\n");
  EXPECT_TRUE(contains(written.err, "the format matrix holds names only")) << written.err;
  EXPECT_EQ(whole.err, "");
}

TEST_F(Commands, PlanSpeaksOfTheChildrenThatThereAre) {
  const std::string file = scratch_.write("small.yaml", kSynthetic).string();

  const Outcome many = run({"plan", file, "--set", "tiers.default.cohort.count=50"});
  const Outcome one = run({"plan", file, "--set", "tiers.default.cohort.count=1"});
  const nlohmann::json facts = run({"plan", file, "--json"}).json();

  EXPECT_TRUE(contains(many.out, ", 2 children a round")) << many.out << many.err;
  EXPECT_TRUE(contains(many.out, ", 3 children a round")) << many.out;
  EXPECT_TRUE(contains(one.out, ", 1 child a round")) << one.out;
  EXPECT_TRUE(facts.at("bytes_per_round").is_number_integer()) << facts;
  EXPECT_TRUE(facts.at("per_tier").at(0).at("bytes_up").is_number_integer()) << facts;
}

TEST_F(Commands, PlanSaysWhereItsBytesAreTheLeast) {
  const std::string file = scratch_.write("small.yaml", kSynthetic).string();

  const std::string tree = run({"plan", file}).out;
  const std::string star = run({"plan", file, "--set", "topology={star: 3}"}).out;

  EXPECT_TRUE(contains(tree, " payloads, at least ")) << tree;
  EXPECT_TRUE(contains(tree, ">= ")) << tree;
  EXPECT_FALSE(contains(star, "at least")) << star;
  EXPECT_FALSE(contains(star, ">= ")) << star;
  EXPECT_TRUE(contains(tree, " or better, and may be at most 33,554,432\n")) << tree;
}

TEST_F(Commands, PartitionOfEqualSharesNamesTheirSizeOnce) {
  const std::string file = scratch_.write("small.yaml", kSynthetic).string();

  const std::string even =
      run({"partition", file, "--set", "data.partition={kind: iid}", "--set", "data.samples=600"}).out;

  EXPECT_TRUE(contains(even, "600 of 600 samples over 6 clients: 100 each\n")) << even;
}

TEST_F(Commands, PartitionAveragesAllClientsWhateverIsShown) {
  const std::string file = scratch_.write("small.yaml", kSynthetic).string();
  const auto average = [](const std::string& out) {
    const std::size_t end = out.find(" classes effective");
    return out.substr(out.rfind('\n', end));
  };

  const Outcome all = run({"partition", file});
  const Outcome none = run({"partition", file, "--rows", "0"});

  EXPECT_EQ(average(all.out), average(none.out));
  EXPECT_FALSE(contains(none.out, "effective classes")) << none.out;
}

TEST_F(Commands, PartitionCallsDrawsDraws) {
  const std::string file = scratch_.write("small.yaml", kSynthetic).string();

  const Outcome outcome = run({"partition", file, "--set", "data.partition={kind: draw, samples_per_client: 20}"});

  EXPECT_TRUE(contains(outcome.out, "120 draws from ")) << outcome.out << outcome.err;
  EXPECT_TRUE(contains(outcome.out, "with overlap between clients")) << outcome.out;
}

TEST_F(Commands, ALongTreeIsCutWithAHint) {
  const std::string yaml = (scratch_ / "tree.yaml").string();
  ASSERT_EQ(run({"topology", "generate", "--widths", "30,60", "-o", yaml}).exit_code, 0);

  const std::string shown = run({"topology", "show", yaml, "--lines", "5"}).out;

  EXPECT_TRUE(contains(shown, "(55 more lines: --lines)")) << shown;
}

TEST_F(Commands, PartitionPrintsEveryClientAndTheirSum) {
  const std::string file = scratch_.write("small.yaml", kSynthetic).string();

  const Outcome table = run({"partition", file});
  const Outcome lines = run({"partition", file, "--json"});

  EXPECT_EQ(table.exit_code, 0) << table.err;
  EXPECT_TRUE(contains(table.out, "samples over 6 clients")) << table.out;
  std::istringstream stream(lines.out);
  std::string line;
  std::getline(stream, line);
  const nlohmann::json header = nlohmann::json::parse(line);
  std::uint64_t sum = 0;
  int clients = 0;
  while (std::getline(stream, line)) {
    const nlohmann::json client = nlohmann::json::parse(line);
    for (const auto& count : client.at("counts")) { sum += count.get<std::uint64_t>(); }
    ++clients;
  }
  EXPECT_EQ(header.at("event"), "partition");
  EXPECT_EQ(clients, 6);
  EXPECT_EQ(sum, header.at("samples").get<std::uint64_t>());
}

TEST_F(Commands, PartitionWithoutDataIsAConfigurationError) {
  const std::string file = scratch_.write("none.yaml", kSynthetic).string();

  EXPECT_EQ(run({"partition", file, "--set", "data={source: none}"}).exit_code, 78);
}

TEST_F(Commands, InspectTellsWhatIsInAModel) {
  const ParameterSpec spec =
      ParameterSpec::create({{"layer.weight", {2, 2}, TensorKind::kTrainable}, {"bias", {}, TensorKind::kTrainable}})
          .value();
  const std::vector<float> values{1.0F, 2.0F, 3.0F, 4.0F, -1.0F};
  const std::filesystem::path file = scratch_ / "model.safetensors";
  ASSERT_TRUE(write_model(real_file_system(), file, spec, values).ok());

  const nlohmann::json facts = run({"inspect", file.string(), "--json"}).json();
  const Outcome table = run({"inspect", file.string()});

  EXPECT_EQ(facts.at("what"), "model");
  EXPECT_EQ(facts.at("parameters"), 5);
  EXPECT_EQ(facts.at("bytes"), std::filesystem::file_size(file));
  EXPECT_EQ(facts.at("sha256"), sha256(scratch_.read("model.safetensors")).hex());
  EXPECT_EQ(facts.at("fingerprint"), spec.fingerprint().hex());
  bool described = false;
  for (const auto& tensor : facts.at("tensors")) {
    if (tensor.at("name") != "layer.weight") { continue; }
    described = true;
    EXPECT_EQ(tensor.at("shape"), nlohmann::json({2, 2}));
    EXPECT_EQ(tensor.at("mean"), 2.5);
    EXPECT_EQ(tensor.at("min"), 1.0);
    EXPECT_EQ(tensor.at("max"), 4.0);
    EXPECT_EQ(tensor.at("kind"), "trainable");
  }
  EXPECT_TRUE(described) << facts;
  EXPECT_TRUE(contains(table.out, "layer.weight  F32   2x2")) << table.out;
}

TEST_F(Commands, InspectRefusesADamagedFile) {
  const Outcome outcome = run({"inspect", scratch_.write("model.safetensors", "not a model at all").string()});

  EXPECT_EQ(outcome.exit_code, 65);
  EXPECT_TRUE(contains(outcome.err, "model.safetensors: ")) << outcome.err;
}

TEST_F(Commands, InspectSaysWhatIsNoSafetensorsFile) {
  const Outcome outcome = run({"inspect", scratch_.write("small.yaml", kSynthetic).string()});

  EXPECT_EQ(outcome.exit_code, 65);
  EXPECT_TRUE(contains(outcome.err, "small.yaml: is no safetensors file")) << outcome.err;
}

TEST_F(Commands, InspectOfARunWithAnotherModelIsAnErrorAfterTheFacts) {
  scratch_.write("model.safetensors", "altered");
  scratch_.write("records.jsonl", R"({"schema":1,"event":"run","name":"demo","seed":18446744073709551615})"
                                  "\n"
                                  R"({"schema":1,"event":"end","outcome":"finished","model_sha256":"00ff"})"
                                  "\n");

  const Outcome outcome = run({"inspect", scratch_.path().string(), "--json"});

  EXPECT_EQ(outcome.exit_code, 65);
  EXPECT_EQ(outcome.json().at("model"), "not the one that was recorded");
  EXPECT_EQ(outcome.json().at("seed"), 18'446'744'073'709'551'615U);
  EXPECT_TRUE(contains(run({"inspect", scratch_.path().string()}).out, "18446744073709551615"));
}

TEST_F(Commands, InspectSumsARunDirectoryUp) {
  scratch_.write("records.jsonl", R"({"schema":1,"event":"run","name":"demo","clients":4})"
                                  "\n"
                                  R"({"schema":1,"event":"round","round":1,"accuracy":0.5,"seconds":1.5})"
                                  "\n");

  const nlohmann::json facts = run({"inspect", scratch_.path().string(), "--json"}).json();

  EXPECT_EQ(facts.at("what"), "run");
  EXPECT_EQ(facts.at("name"), "demo");
  EXPECT_EQ(facts.at("outcome"), "unfinished");
  EXPECT_EQ(facts.at("seconds"), 1.5);
  EXPECT_TRUE(contains(run({"inspect", scratch_.path().string()}).out, "  time      "));
  EXPECT_EQ(facts.at("accuracy"), 0.5);
  EXPECT_EQ(facts.at("clients"), 4);
}

TEST_F(Commands, DoctorAlwaysSucceedsAndNamesEverySubject) {
  const Outcome outcome = run({"doctor", "--no-measure", "--json", "--directory", scratch_.path().string()});

  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  std::set<std::string> subjects;
  const nlohmann::json facts = outcome.json();
  for (const auto& check : facts.at("checks")) {
    subjects.insert(check.at("subject"));
    EXPECT_FALSE(check.at("value").get<std::string>().empty()) << check;
  }
  for (const char* subject :
       {"processor", "cores", "memory", "BLAS", "libtorch", "MPI", "TLS", "Fashion-MNIST", "disk"}) {
    EXPECT_TRUE(subjects.contains(subject)) << subject;
  }
}

TEST(Doctor, KnowsTheReferenceBlasByItsPlace) {
  EXPECT_TRUE(is_reference_blas("/usr/lib/x86_64-linux-gnu/blas/libblas.so.3.11.0"));
  EXPECT_TRUE(is_reference_blas("/usr/lib/x86_64-linux-gnu/lapack/liblapack.so.3.11.0"));
  EXPECT_FALSE(is_reference_blas("/usr/lib/x86_64-linux-gnu/openblas-pthread/libblas.so.3"));
  EXPECT_FALSE(is_reference_blas("/opt/intel/libmkl_rt.so"));
  EXPECT_FALSE(is_reference_blas(""));
}

TEST(Doctor, ReadsTheNameOfTheMpiFromItsFirstLine) {
  EXPECT_EQ(mpi_name("mpirun (Open MPI) 4.1.4"), "Open MPI 4.1.4");
  EXPECT_EQ(mpi_name("HYDRA build details:"), "MPICH");
  EXPECT_EQ(mpi_name("something else"), "");
}

TEST(TextTable, AlignsByCharactersAndLeavesTheLastColumnUnpadded) {
  TextTable table(
      {{"name", TextTable::Align::kLeft}, {"n", TextTable::Align::kRight}, {"note", TextTable::Align::kLeft}});
  table.add({"µ", "10", "x"});
  table.add({"long", "9", ""});

  EXPECT_EQ(table.render(Paint(false), false),
            "  name   n  note\n"
            "  ----  --  ----\n"
            "  µ     10  x\n"
            "  long   9  \n");
}

// Looking through all entries for each of them took half a minute.
TEST_F(Commands, InspectReadsAHundredThousandEntries) {
  constexpr int kEntries = 100'000;
  std::string metadata;
  std::string tensors;
  for (int i = 0; i < kEntries; ++i) {
    metadata += fmt::format("{}\"key-{}\":\"{}\"", i == 0 ? "" : ",", i, i);
    tensors +=
        fmt::format(",\"t{}\":{{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[{},{}]}}", i, 4 * i, 4 * i + 4);
  }
  const std::string header = "{\"__metadata__\":{" + metadata + "}" + tensors + "}";
  const std::string path =
      scratch_.write("m.safetensors", testing::safetensors_bytes(header, std::string(std::size_t{4} * kEntries, '\0')));

  const Outcome text = run({"inspect", path});
  const Outcome json = run({"inspect", path, "--json"});

  ASSERT_EQ(text.exit_code, 0) << text.err;
  EXPECT_TRUE(contains(text.out, "  metadata.key-99999")) << text.err;
  EXPECT_TRUE(contains(text.out, "100,000 values in 100,000 tensors"));
  EXPECT_EQ(json.json()["metadata.key-99999"], "99999");
  EXPECT_EQ(json.json()["tensors"].size(), std::size_t{kEntries});
}

}  // namespace
}  // namespace tributary::cli
