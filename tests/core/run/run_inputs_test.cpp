// SPDX-License-Identifier: Apache-2.0
#include "tributary/run/run_inputs.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support/scratch_directory.hpp"

namespace tributary {
namespace {

using testing::ScratchDirectory;

std::vector<std::string> keys(const Configuration& configuration) {
  std::vector<std::string> found;
  for (const InputFile& file : input_files(configuration)) { found.push_back(file.key); }
  return found;
}

TEST(RunInputs, FilesOfDataModelAndTrainerAreFound) {
  const ScratchDirectory scratch;
  for (const char* name : {"train.csv", "test.csv", "net.pt", "start.safetensors", "trainer.so", "train.py", "a.ini"}) {
    scratch.write(name, name);
  }
  Configuration configuration;
  configuration.base_directory = scratch.path();
  configuration.data.source = DataConfig::Source::kCsv;
  configuration.data.train = "train.csv";
  configuration.data.test = "test.csv";
  configuration.model.torchscript = "net.pt";
  configuration.model.initial = (scratch / "start.safetensors").string();
  configuration.trainer.library = "trainer.so";
  configuration.trainer.command = {"sh", "train.py", "--lr", "{output}", "--settings=a.ini", "none.py"};

  EXPECT_EQ(keys(configuration), (std::vector<std::string>{"data.train", "data.test", "model.torchscript",
                                                           "model.initial", "trainer.library", "trainer.command[0]",
                                                           "trainer.command[1]", "trainer.command[4]"}));
}

TEST(RunInputs, NothingIsReadWhereNothingIsNamed) {
  Configuration none;
  none.data.source = DataConfig::Source::kNone;
  EXPECT_TRUE(keys(none).empty());
  Configuration missing;
  missing.data.source = DataConfig::Source::kCsv;
  missing.data.train = "/nowhere/train.csv";
  EXPECT_TRUE(keys(missing).empty()) << "who needs it says that it is missing";
}

TEST(RunInputs, AChangedFileIsNamedWithBothStates) {
  const ScratchDirectory scratch;
  const auto path = scratch.write("train.csv", "x,label\n1,0\n");
  FileSystem& files = real_file_system();
  const std::vector<InputFile> inputs{input_file("data.train", path)};
  const InputDigests::Texts before = InputDigests(files, inputs).texts();
  EXPECT_EQ(InputDigests(files, inputs).changes_since(before), "");

  scratch.write("train.csv", "x,label\n2,0\n");

  const std::string change = InputDigests(files, inputs).changes_since(before);
  EXPECT_TRUE(change.starts_with("data.train (" + path.string() + ") has changed: it was 12 bytes, SHA-256 "))
      << change;
  EXPECT_NE(change.find(", it is 12 bytes, SHA-256 "), std::string::npos) << change;
  EXPECT_TRUE(InputDigests(files, {}).changes_since(before).ends_with(", it is not there"));
}

TEST(RunInputs, WhatARunHasMadeItselfIsNoInput) {
  const ScratchDirectory scratch;
  FileSystem& files = real_file_system();
  const InputFile input = input_file("trainer.command[1]", scratch.write("train.py", "train"));
  const InputFile output = input_file("trainer.command[2]", scratch.write("t.log", "one round"));
  const InputDigests::Texts at_the_start = InputDigests(files, {input}).texts();

  InputDigests resumed(files, {input, output});
  EXPECT_EQ(resumed.changes_since(at_the_start), "");
  resumed.keep_only(at_the_start);

  EXPECT_EQ(resumed.texts(), at_the_start) << "the next resume compares with this";
}

TEST(RunInputs, WhatChangesWhileTheRunGoesOnIsForgottenWhereItMayBeWritten) {
  const ScratchDirectory scratch;
  const InputFile data = input_file("data.train", scratch.write("train.csv", "x,label"));
  const InputFile program = input_file("trainer.command[1]", scratch.write("train.py", "train"), true);
  const InputFile log = input_file("trainer.command[2]", scratch.write("t.log", "of an earlier run"), true);
  InputDigests digests(real_file_system(), {data, program, log});
  EXPECT_TRUE(digests.forget_changed().empty());
  EXPECT_EQ(digests.texts().size(), 3U);

  scratch.write("train.csv", "x,label\n1,2");
  scratch.write("t.log", "of an earlier run, and of this one");

  const std::vector<InputFile> changed = digests.forget_changed();
  ASSERT_EQ(changed.size(), 1U);
  EXPECT_EQ(changed[0].key, log.key);
  EXPECT_TRUE(digests.texts().contains(data.key)) << "the run has read them before";
  EXPECT_TRUE(digests.texts().contains(program.key));
  EXPECT_FALSE(digests.texts().contains(log.key));
  EXPECT_TRUE(digests.forget_changed().empty()) << "once for each";
}

// The data are read first, and digested beside the first rounds.
TEST(RunInputs, AFileReplacedBetweenReadingAndDigestingIsNoticed) {
  const ScratchDirectory scratch;
  const auto path = scratch.write("train.csv", "x,label\n1,0\n");
  const InputFile as_read = input_file("data.train", path);
  EXPECT_TRUE(InputDigests(real_file_system(), {as_read}).check_unchanged().ok());

  std::filesystem::rename(scratch.write("other.csv", "x,label\n2,0\n"), path);

  const Status changed = InputDigests(real_file_system(), {as_read}).check_unchanged();
  EXPECT_EQ(changed.code(), Code::kBadData);
  EXPECT_EQ(changed.message(), "data.train (" + path.string() +
                                   ") has changed while it was read, so nobody knows what the run trains on; start it "
                                   "again");
}

TEST(RunInputs, AFileLargerThanOneReadIsDigestedWhole) {
  const ScratchDirectory scratch;
  std::string text(3'000'000, 'x');
  const auto path = scratch.write("large", text);
  const InputDigests::Texts before = InputDigests(real_file_system(), {input_file("key", path)}).texts();

  text.back() = 'y';
  scratch.write("large", text);

  EXPECT_NE(InputDigests(real_file_system(), {input_file("key", path)}).changes_since(before), "");
}

}  // namespace
}  // namespace tributary
