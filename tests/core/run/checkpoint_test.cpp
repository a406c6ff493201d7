// SPDX-License-Identifier: Apache-2.0
#include "tributary/run/checkpoint.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <fstream>
#include <sstream>
#include <string>

#include "support/faulty_file_system.hpp"
#include "support/file_bytes.hpp"
#include "support/scratch_directory.hpp"
#include "tributary/data/model_file.hpp"

namespace tributary {
namespace {

using testing::FaultyFileSystem;
using testing::ScratchDirectory;

ParameterSpec small_spec() {
  return ParameterSpec::create({{"w", {2}, {}}, {"b", {1}, {}}}).value();
}

std::vector<float> values_of(std::uint64_t round) {
  const auto value = static_cast<float>(round);
  return {value, -value, 0.5F};
}

CheckpointState state_of(std::uint64_t round) {
  return {.round = Round{round},
          .version = Version{round},
          .configuration = sha256("name: example\n"),
          .seed = 7,
          .records_bytes = 100 * round,
          .extra = {{"optimizer", "none"}}};
}

Status save(CheckpointStore& store, std::uint64_t round) {
  return store.save(small_spec(), values_of(round), state_of(round));
}

std::vector<std::uint64_t> rounds(const CheckpointStore& store) {
  std::vector<std::uint64_t> numbers;
  const std::vector<CheckpointFile> files = store.list().value();
  for (const CheckpointFile& file : files) { numbers.push_back(file.round.value); }
  return numbers;
}

TEST(Checkpoint, WhatIsSavedComesBackBitForBit) {
  const ScratchDirectory scratch;
  CheckpointStore store(real_file_system(), scratch / "run" / "checkpoints", 2);
  CheckpointState state = state_of(3);
  state.seed = ~std::uint64_t{0};
  state.extra = {{"ledger", "{\"spent\": 1.5}\n\"quoted\""}, {"", "ü"}};
  const std::vector<float> values{std::bit_cast<float>(0x7FC00123U), -0.0F, 1e-45F};

  ASSERT_TRUE(store.save(small_spec(), values, state).ok());
  const Checkpoint read = store.load_latest(small_spec()).value();

  EXPECT_EQ(read.state, state);
  EXPECT_EQ(std::bit_cast<std::uint32_t>(read.values[0]), 0x7FC00123U);
  EXPECT_EQ(std::bit_cast<std::uint32_t>(read.values[1]), 0x80000000U);
  EXPECT_EQ(std::bit_cast<std::uint32_t>(read.values[2]), 1U);
  EXPECT_EQ(read.path.filename(), "checkpoint-00000003.safetensors");
  EXPECT_TRUE(read.warnings.empty());
}

Snapshot a_snapshot() {
  Snapshot snapshot;
  snapshot.texts = {{"policy/buffer", "3\n\"quoted\""}};
  snapshot.vectors = {
      {"optimizer/m", std::make_shared<const std::vector<double>>(std::vector{1.0 / 3.0, -0.0, 1e-320})},
      {"optimizer/v", std::make_shared<const std::vector<double>>(std::vector{2.0})}};
  return snapshot;
}

TEST(Checkpoint, StatesOfPartsComeBackBitForBitBesideAModelThatOthersCanRead) {
  const ScratchDirectory scratch;
  CheckpointStore store(real_file_system(), scratch.path(), 2);
  CheckpointState state = state_of(3);
  state.snapshot = a_snapshot();

  ASSERT_TRUE(store.save(small_spec(), values_of(3), state).ok());
  const Checkpoint read = store.load_latest(small_spec()).value();

  EXPECT_EQ(read.state, state);
  EXPECT_TRUE(std::signbit(read.state.snapshot.find("optimizer/m")->at(1)));
  EXPECT_EQ(read.values, values_of(3));
  EXPECT_EQ(read_model(real_file_system(), read.path, small_spec()).value(), values_of(3));
  const CheckpointFacts facts = inspect_checkpoint(real_file_system(), read.path).value();
  EXPECT_EQ(facts.spec, small_spec());
  EXPECT_EQ(facts.state.snapshot.texts, state.snapshot.texts);
}

TEST(Checkpoint, AWorldComesBackBesideAModelThatOthersCanRead) {
  const ScratchDirectory scratch;
  CheckpointStore store(real_file_system(), scratch.path(), 2);
  CheckpointState state = state_of(3);
  for (const std::size_t size : {std::size_t{1}, std::size_t{8}, std::size_t{13}}) {
    const auto world = std::make_shared<const std::vector<std::byte>>(size, std::byte{0x5A});
    ASSERT_TRUE(store.save(small_spec(), values_of(3), state, world).ok());
    const Checkpoint read = store.load_latest(small_spec()).value();

    EXPECT_EQ(read.state, state);
    EXPECT_EQ(read.values, values_of(3));
    ASSERT_NE(read.world, nullptr);
    EXPECT_EQ(read.world->size(), (size + 7) / 8 * 8) << "filled up with zeros";
    EXPECT_TRUE(std::equal(world->begin(), world->end(), read.world->begin()));
    EXPECT_EQ(inspect_checkpoint(real_file_system(), read.path)->spec, small_spec());
    const SafetensorsFile file = SafetensorsFile::open(real_file_system(), read.path).value();
    EXPECT_EQ(file.metadata().at("tributary.checkpoint"), "3");

    std::vector<std::byte> bytes = read_file(real_file_system(), read.path, std::uint64_t{1} << 20U).value();
    bytes[bytes.size() - values_of(3).size() * sizeof(float) - 1] ^= std::byte{1};  // the last of the world
    const std::string_view damaged(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    std::ofstream(read.path, std::ios::binary) << damaged;
    EXPECT_EQ(store.load(read.path, small_spec()).status().code(), Code::kBadData);
    EXPECT_EQ(inspect_checkpoint(real_file_system(), read.path).status().code(), Code::kBadData);
  }
}

TEST(Checkpoint, TheSeedOfFuzzingIsACheckpointOfToday) {
  const auto seed = std::filesystem::path(TRIBUTARY_SOURCE_DIR) / "tests/fuzz/corpus/checkpoint/round1.safetensors";
  const Result<CheckpointFacts> facts = inspect_checkpoint(real_file_system(), seed);
  EXPECT_TRUE(facts.ok()) << facts.status().message();
}

TEST(Checkpoint, EveryFlippedBitOfAStateIsNoticed) {
  const ScratchDirectory scratch;
  CheckpointStore store(real_file_system(), scratch.path(), 2);
  CheckpointState state = state_of(1);
  state.snapshot = a_snapshot();
  ASSERT_TRUE(store.save(small_spec(), values_of(1), state).ok());
  const std::string bytes = scratch.read("checkpoint-00000001.safetensors");

  for (std::size_t i = 0; i < bytes.size(); ++i) {
    std::string damaged = bytes;
    damaged[i] = static_cast<char>(damaged[i] ^ 4);
    scratch.write("checkpoint-00000001.safetensors", damaged);
    const Result<Checkpoint> read = store.load(scratch / "checkpoint-00000001.safetensors", small_spec());
    if (read.ok()) { EXPECT_EQ(read->state, state) << i; }
    if (i + 32 + 12 > bytes.size()) { EXPECT_FALSE(read.ok()) << i << ": of a value"; }
  }
}

// A program that knows no states would take them for tensors of the model.
TEST(Checkpoint, OnlyAFileWithStatesHasTheLaterFormat) {
  const ScratchDirectory scratch;
  CheckpointStore store(real_file_system(), scratch.path(), 2);
  CheckpointState state = state_of(2);
  state.snapshot = a_snapshot();
  ASSERT_TRUE(save(store, 1).ok());
  ASSERT_TRUE(store.save(small_spec(), values_of(2), state).ok());
  const auto has = [&scratch](const char* file, std::string_view text) {
    return scratch.read(file).find(text) != std::string::npos;
  };

  EXPECT_TRUE(has("checkpoint-00000001.safetensors", R"("tributary.checkpoint":"1")"));
  EXPECT_TRUE(has("checkpoint-00000002.safetensors", R"("tributary.checkpoint":"2")"));
  std::string bytes = scratch.read("checkpoint-00000002.safetensors");
  bytes[bytes.find(R"("tributary.checkpoint":"2")") + 24] = '1';
  scratch.write("checkpoint-00000002.safetensors", bytes);
  const Status refused = store.load(scratch / "checkpoint-00000002.safetensors", small_spec()).status();
  EXPECT_EQ(refused.code(), Code::kBadData);
  EXPECT_NE(refused.message().find("tributary.state/optimizer/m is no vector of a state"), std::string::npos)
      << refused.message();
}

TEST(Checkpoint, OnlyTheNewestStay) {
  const ScratchDirectory scratch;
  CheckpointStore store(real_file_system(), scratch.path(), 2);

  for (const std::uint64_t round : {1U, 2U, 3U, 99'999'999U, 100'000'000U}) { ASSERT_TRUE(save(store, round).ok()); }

  EXPECT_EQ(rounds(store), (std::vector<std::uint64_t>{99'999'999U, 100'000'000U}));
}

TEST(Checkpoint, OtherFilesAreLeftAloneAndTemporariesOfACrashAreNot) {
  const ScratchDirectory scratch;
  for (const char* name : {"notes.txt", "checkpoint-7.safetensors", "checkpoint-00000001.safetensors.bak",
                           ".other.1-1.tmp", ".checkpoint-00000004.safetensors.77-1.tmp"}) {
    scratch.write(name, "x");
  }
  CheckpointStore store(real_file_system(), scratch.path(), 1);

  ASSERT_TRUE(save(store, 5).ok());

  EXPECT_EQ(real_file_system().list(scratch.path()).value(),
            (std::vector<std::string>{".other.1-1.tmp", "checkpoint-00000001.safetensors.bak",
                                      "checkpoint-00000005.safetensors", "checkpoint-7.safetensors", "notes.txt"}));
}

TEST(Checkpoint, ADamagedNewestFallsBackToTheOneBeforeAndSaysSo) {
  const ScratchDirectory scratch;
  CheckpointStore store(real_file_system(), scratch.path(), 3);
  for (const std::uint64_t round : {1U, 2U, 3U}) { ASSERT_TRUE(save(store, round).ok()); }
  std::string bytes = scratch.read("checkpoint-00000003.safetensors");
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  scratch.write("checkpoint-00000003.safetensors", bytes);
  scratch.write("checkpoint-00000002.safetensors", "");

  const Checkpoint read = store.load_latest(small_spec()).value();

  EXPECT_EQ(read.state, state_of(1));
  ASSERT_EQ(read.warnings.size(), 2U);
  EXPECT_TRUE(read.warnings[0].starts_with((scratch / "checkpoint-00000003.safetensors").string() +
                                           ": damaged: the digest of its content is "));
  EXPECT_EQ(read.warnings[1],
            (scratch / "checkpoint-00000002.safetensors").string() + ": 0 bytes are too few for a safetensors file");
}

TEST(Checkpoint, ANameWithoutAFileIsNotNoCheckpoint) {
  const ScratchDirectory scratch;
  CheckpointStore store(real_file_system(), scratch.path(), 3);
  std::filesystem::create_symlink(scratch / "gone", scratch / "checkpoint-00000007.safetensors");
  const Status alone = store.load_latest(small_spec()).status();
  ASSERT_TRUE(save(store, 6).ok());
  std::filesystem::create_symlink(scratch / "gone", scratch / "checkpoint-00000007.safetensors");

  const Checkpoint read = store.load_latest(small_spec()).value();

  EXPECT_EQ(alone.code(), Code::kBadData) << "not kNotFound: the run would begin anew";
  EXPECT_NE(alone.message().find("checkpoint-00000007.safetensors: No such file"), std::string::npos);
  EXPECT_EQ(read.state, state_of(6));
  EXPECT_EQ(read.warnings.size(), 1U);
}

TEST(Checkpoint, ALinkToNowhereInPlaceOfTheDirectoryIsAnError) {
  const ScratchDirectory scratch;
  std::filesystem::create_symlink(scratch / "gone", scratch / "checkpoints");
  const CheckpointStore store(real_file_system(), scratch / "checkpoints", 1);

  EXPECT_EQ(store.load_latest(small_spec()).status().code(), Code::kIo);
}

TEST(Checkpoint, OneThatIsNotAcceptedIsPassedOverForAnOlderOne) {
  const ScratchDirectory scratch;
  CheckpointStore store(real_file_system(), scratch.path(), 3);
  for (const std::uint64_t round : {1U, 2U, 3U}) { ASSERT_TRUE(save(store, round).ok()); }
  const auto up_to = [](std::uint64_t bytes) {
    return [bytes](const Checkpoint& checkpoint) {
      return checkpoint.state.records_bytes <= bytes ? ok_status() : bad_data("the records are shorter");
    };
  };

  const Checkpoint read = store.load_latest(small_spec(), up_to(250)).value();
  const Status none = store.load_latest(small_spec(), up_to(50)).status();

  EXPECT_EQ(read.state, state_of(2));
  EXPECT_EQ(read.warnings, std::vector<std::string>{(scratch / "checkpoint-00000003.safetensors").string() +
                                                    ": passed over: the records are shorter"});
  EXPECT_EQ(none.code(), Code::kBadData);
  EXPECT_TRUE(none.message().starts_with("no checkpoint in " + scratch.path().string() + " can be used:\n"))
      << none.message();
}

TEST(Checkpoint, AfterGoingBackTheAbandonedRoundsAreRemoved) {
  const ScratchDirectory scratch;
  CheckpointStore store(real_file_system(), scratch.path(), 1);
  ASSERT_TRUE(save(store, 9).ok());

  ASSERT_TRUE(save(store, 4).ok());

  EXPECT_EQ(rounds(store), std::vector<std::uint64_t>{4});
}

TEST(Checkpoint, ADirectoryWithoutCheckpointsSaysSo) {
  const ScratchDirectory scratch;
  const CheckpointStore empty(real_file_system(), scratch.path(), 1);
  const CheckpointStore missing(real_file_system(), scratch / "none", 1);

  EXPECT_EQ(empty.load_latest(small_spec()).status(),
            not_found("there is no checkpoint in " + scratch.path().string()));
  EXPECT_EQ(missing.load_latest(small_spec()).status().code(), Code::kNotFound);
}

TEST(Checkpoint, ACheckpointOfAnotherModelIsNotPassedOver) {
  const ScratchDirectory scratch;
  CheckpointStore store(real_file_system(), scratch.path(), 2);
  ASSERT_TRUE(save(store, 1).ok());
  const ParameterSpec other = ParameterSpec::create({{"w", {2}, {}}, {"bias", {1}, {}}}).value();

  EXPECT_EQ(store.load_latest(other).status(),
            invalid_argument((scratch / "checkpoint-00000001.safetensors").string() +
                             ": a checkpoint of another model: its tensor 1 is b [1], the model's is bias [1]"));
}

TEST(Checkpoint, InspectionNeedsNoModel) {
  const ScratchDirectory scratch;
  CheckpointStore store(real_file_system(), scratch.path(), 1);
  ASSERT_TRUE(save(store, 6).ok());
  const auto path = scratch / "checkpoint-00000006.safetensors";

  const CheckpointFacts facts = inspect_checkpoint(real_file_system(), path).value();

  EXPECT_EQ(facts.state, state_of(6));
  EXPECT_EQ(facts.spec, small_spec());
  EXPECT_EQ(facts.bytes, std::filesystem::file_size(path));
}

TEST(Checkpoint, NoFlippedBitGoesUnnoticed) {
  FaultyFileSystem files;
  CheckpointStore store(files, "/run", 1);
  ASSERT_TRUE(save(store, 1).ok());
  std::vector<std::byte>& bytes = files.content("/run/checkpoint-00000001.safetensors");

  for (std::size_t bit = 0; bit < bytes.size() * 8; bit += 3) {  // at least two in each byte
    bytes[bit / 8] ^= std::byte{1} << (bit % 8);
    const Result<Checkpoint> read = store.load_latest(small_spec());
    bytes[bit / 8] ^= std::byte{1} << (bit % 8);
    if (read.ok()) {  // padding that became another kind of white space
      EXPECT_EQ(read->state, state_of(1)) << "bit " << bit;
      EXPECT_EQ(read->values, values_of(1)) << "bit " << bit;
    }
  }
}

TEST(Checkpoint, APowerCutAtAnyMomentOfASaveLosesNoEarlierCheckpoint) {
  for (const auto names : {FaultyFileSystem::Names::kForgotten, FaultyFileSystem::Names::kKept}) {
    for (std::size_t moment = 0; moment < 15; ++moment) {
      FaultyFileSystem files;
      CheckpointStore store(files, "/run", 1);
      ASSERT_TRUE(save(store, 1).ok());
      files.fail_at(moment, FaultyFileSystem::After::kDead);

      const Status saved = save(store, 2);
      files.power_cut(names);
      const Checkpoint read = store.load_latest(small_spec()).value();

      EXPECT_TRUE(read.warnings.empty());
      if (saved.ok()) { EXPECT_EQ(read.state.round.value, 2U) << moment; }
      EXPECT_EQ(read.state, state_of(read.state.round.value));
      EXPECT_EQ(read.values, values_of(read.state.round.value));
    }
  }
}

TEST(Checkpoint, ASaveThatFailsKeepsTheEarlierOnesAndTheNextOneWorks) {
  for (std::size_t moment = 0; moment < 8; ++moment) {
    FaultyFileSystem files;
    CheckpointStore store(files, "/run", 1);
    ASSERT_TRUE(save(store, 1).ok());
    files.fail_at(moment, FaultyFileSystem::After::kGoesOn);

    const Status saved = save(store, 2);
    files.never_fail();

    EXPECT_EQ(saved.code(), Code::kIo) << moment;
    EXPECT_TRUE(saved.message().ends_with(": injected")) << saved.message();
    EXPECT_EQ(store.load_latest(small_spec()).status(), ok_status());
    EXPECT_TRUE(save(store, 3).ok());
    EXPECT_EQ(files.paths(), std::vector<std::string>{"/run/checkpoint-00000003.safetensors"}) << moment;
  }
}

// The bytes of the hexadecimal dump in docs/checkpoint.md: lines "00000010  7b 22 ...".
std::string documented_bytes() {
  const auto page = std::filesystem::path(TRIBUTARY_SOURCE_DIR) / "docs/checkpoint.md";
  std::ifstream file(page);
  std::string bytes;
  for (std::string line; std::getline(file, line);) {
    if (line.size() < 12 || line.find_first_not_of("0123456789abcdef") != 8 || line.substr(8, 2) != "  ") { continue; }
    std::istringstream numbers(line.substr(10, 48));
    for (unsigned number = 0; numbers >> std::hex >> number;) { bytes += static_cast<char>(number); }
  }
  return bytes;
}

TEST(Checkpoint, TheDocumentedExampleIsWhatIsWritten) {
  const ScratchDirectory scratch;
  CheckpointStore store(real_file_system(), scratch.path(), 1);

  ASSERT_TRUE(save(store, 1).ok());

  EXPECT_EQ(documented_bytes(), scratch.read("checkpoint-00000001.safetensors"));
}

}  // namespace
}  // namespace tributary
