// SPDX-License-Identifier: Apache-2.0
#include "tributary/run/client_states.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "support/faulty_file_system.hpp"
#include "support/scratch_directory.hpp"

namespace tributary {
namespace {

using testing::FaultyFileSystem;
using testing::ScratchDirectory;
using Writing = ClientStates::Writing;

std::shared_ptr<const ClientState> a_state(float value = 0.5F) {
  auto state = std::make_shared<ClientState>(9, 4, 3, std::vector<double>{1.0 / 3.0, -2.0},
                                             std::vector<ClientState::Undecided>{});
  state->add(std::make_shared<const std::vector<float>>(std::vector<float>{value, 0.25F}));
  state->add(std::make_shared<const std::vector<float>>(std::vector<float>{-value, 1.0F}));
  return state;
}

void expect_same(const ClientState& a, const ClientState& b) {
  EXPECT_EQ(a.epoch(), b.epoch());
  EXPECT_EQ(a.next(), b.next());
  EXPECT_EQ(a.last_settled(), b.last_settled());
  EXPECT_EQ(a.settled(), b.settled());
  ASSERT_EQ(a.undecided().size(), b.undecided().size());
  for (std::size_t i = 0; i < a.undecided().size(); ++i) {
    EXPECT_EQ(a.undecided()[i].sequence, b.undecided()[i].sequence);
    EXPECT_EQ(*a.undecided()[i].increment, *b.undecided()[i].increment);
  }
}

TEST(ClientStates, AClientWithoutAFileHasAnEmptyState) {
  const ScratchDirectory scratch;
  ClientStates states(real_file_system(), scratch.path(), 2, Writing::kAtOnce);
  const auto state = states.load(ClientIndex{3});
  ASSERT_TRUE(state.ok());
  EXPECT_EQ((*state)->epoch(), 0U);
  EXPECT_TRUE((*state)->current().empty());
}

TEST(ClientStates, AnotherProcessFindsWhatWasSaved) {
  const ScratchDirectory scratch;
  for (const std::uint32_t client : {0U, 999U, 1000U, 4000000000U}) {
    ClientStates here(real_file_system(), scratch.path(), 2, Writing::kAtOnce);
    ASSERT_TRUE(here.save(ClientIndex{client}, a_state()).ok());
    ClientStates there(real_file_system(), scratch.path(), 2, Writing::kAtOnce);
    const auto found = there.load(ClientIndex{client});
    ASSERT_TRUE(found.ok()) << found.status().message();
    expect_same(**found, *a_state());
  }
}

TEST(ClientStates, InSimulationFilesAreWrittenWithTheCheckpointOnly) {
  const ScratchDirectory scratch;
  ClientStates states(real_file_system(), scratch.path(), 2, Writing::kWhenFlushed);
  ASSERT_TRUE(states.save(ClientIndex{1}, a_state()).ok());
  EXPECT_FALSE(std::filesystem::exists(states.file_of(ClientIndex{1})));
  expect_same(**states.load(ClientIndex{1}), *a_state());

  const ClientStates::Marked marked = states.mark();
  ASSERT_TRUE(states.save(ClientIndex{1}, a_state(0.75F)).ok());
  ASSERT_TRUE(states.prepare(marked, "5-1").ok());
  EXPECT_FALSE(std::filesystem::exists(states.file_of(ClientIndex{1})));
  ASSERT_TRUE(states.commit(marked).ok());

  ClientStates later(real_file_system(), scratch.path(), 2, Writing::kWhenFlushed);
  expect_same(**later.load(ClientIndex{1}), *a_state());
  expect_same(**states.load(ClientIndex{1}), *a_state(0.75F));
  EXPECT_EQ(states.mark().size(), 1U) << "it has changed since it was marked";
}

// A run that is killed between the checkpoint and the files of states, or before the checkpoint.
TEST(ClientStates, WhatWasPreparedBelongsToItsCheckpointAlone) {
  for (const bool saved : {true, false}) {
    const ScratchDirectory scratch;
    ClientStates states(real_file_system(), scratch.path(), 2, Writing::kWhenFlushed);
    for (const float value : {0.5F, 0.75F}) {
      ASSERT_TRUE(states.save(ClientIndex{1001}, a_state(value)).ok());
      const ClientStates::Marked marked = states.mark();
      ASSERT_TRUE(states.prepare(marked, value == 0.5F ? "5-1" : "6-2").ok());
      if (value == 0.5F) { ASSERT_TRUE(states.commit(marked).ok()); }
    }

    ASSERT_TRUE(finish_states(real_file_system(), scratch.path(), saved ? "6-2" : "5-1").ok());

    ClientStates later(real_file_system(), scratch.path(), 2, Writing::kWhenFlushed);
    expect_same(**later.load(ClientIndex{1001}), *a_state(saved ? 0.75F : 0.5F));
    EXPECT_EQ(real_file_system().list(scratch.path() / "1")->size(), 1U) << "nothing is left over";
  }
}

TEST(ClientStates, ADamagedFileIsNoState) {
  const ScratchDirectory scratch;
  ClientStates states(real_file_system(), scratch.path(), 2, Writing::kAtOnce);
  ASSERT_TRUE(states.save(ClientIndex{1}, a_state()).ok());
  const std::filesystem::path file = states.file_of(ClientIndex{1});
  std::ostringstream read;
  read << std::ifstream(file, std::ios::binary).rdbuf();
  const std::string whole = read.str();
  for (std::size_t place = 0; place < whole.size(); ++place) {
    std::string damaged = whole;
    damaged[place] = static_cast<char>(damaged[place] ^ 1);
    std::ofstream(file, std::ios::binary) << damaged;
    const auto found = states.load(ClientIndex{1});
    // Names and spaces of the header may change without a loss; numbers may not.
    if (found.ok()) { expect_same(**found, *a_state()); }
  }
  for (std::size_t size = 0; size < whole.size(); ++size) {
    std::ofstream(file, std::ios::binary) << whole.substr(0, size);
    EXPECT_FALSE(states.load(ClientIndex{1}).ok()) << size;
  }
}

TEST(ClientStates, AStateOfAnotherModelIsNoState) {
  const ScratchDirectory scratch;
  ASSERT_TRUE(
      ClientStates(real_file_system(), scratch.path(), 2, Writing::kAtOnce).save(ClientIndex{1}, a_state()).ok());

  ClientStates of_another(real_file_system(), scratch.path(), 3, Writing::kAtOnce);

  EXPECT_EQ(of_another.load(ClientIndex{1}).status().code(), Code::kBadData);
}

TEST(ClientStates, AClientThatHasLostItsFileNeverUsesANumberTwice) {
  const ScratchDirectory scratch;
  ClientStates states(real_file_system(), scratch.path(), 2, Writing::kAtOnce);
  ClientState state = **states.load(ClientIndex{1});
  state.begin(7);
  for (int i = 0; i < 5; ++i) { state.add(std::make_shared<const std::vector<float>>(2, 1.0F)); }

  ClientStates lost(real_file_system(), scratch.path() / "elsewhere", 2, Writing::kAtOnce);

  EXPECT_GT((*lost.load(ClientIndex{1}))->next(), state.undecided().back().sequence);
  EXPECT_LT(state.next(), std::uint64_t{1} << 53U);
}

TEST(ClientStates, AnotherClientsFileIsNoState) {
  const ScratchDirectory scratch;
  ClientStates states(real_file_system(), scratch.path(), 2, Writing::kAtOnce);
  ASSERT_TRUE(states.save(ClientIndex{1}, a_state()).ok());
  std::filesystem::copy_file(states.file_of(ClientIndex{1}), states.file_of(ClientIndex{2}));

  EXPECT_EQ(states.load(ClientIndex{2}).status().code(), Code::kBadData);
}

// Whatever operation fails, and if the power goes with it: there is the one state or the other, whole.
TEST(ClientStates, ADiskThatFailsKeepsOneStateOrTheOther) {
  for (const auto names : {FaultyFileSystem::Names::kForgotten, FaultyFileSystem::Names::kKept}) {
    bool done = false;
    for (std::size_t operation = 0; !done; ++operation) {
      ASSERT_LT(operation, 100U);
      FaultyFileSystem disk;
      ClientStates before(disk, "run/clients", 2, Writing::kAtOnce);
      ASSERT_TRUE(before.save(ClientIndex{1}, a_state(0.125F)).ok());
      disk.fail_at(operation, FaultyFileSystem::After::kDead);
      const Status saved = ClientStates(disk, "run/clients", 2, Writing::kAtOnce).save(ClientIndex{1}, a_state(0.5F));
      done = saved.ok();
      disk.power_cut(names);

      const auto found = ClientStates(disk, "run/clients", 2, Writing::kAtOnce).load(ClientIndex{1});

      ASSERT_TRUE(found.ok()) << found.status().message();
      const bool is_new = *(*found)->undecided().front().increment == *a_state(0.5F)->undecided().front().increment;
      EXPECT_TRUE(is_new || !done);
      expect_same(**found, *a_state(is_new ? 0.5F : 0.125F));
    }
  }
}

}  // namespace
}  // namespace tributary
