// SPDX-License-Identifier: Apache-2.0
#include "tributary/run/run_lock.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <string>
#include <vector>

#include "support/faulty_file_system.hpp"
#include "support/scratch_directory.hpp"

namespace tributary {
namespace {

using testing::FaultyFileSystem;
using testing::ScratchDirectory;

// A process that claims the directory and keeps it until it is killed.
class Owner {
 public:
  explicit Owner(const std::filesystem::path& directory) {
    std::array<int, 2> pipe_ends{};
    EXPECT_EQ(::pipe(pipe_ends.data()), 0);
    process_ = ::fork();
    if (process_ == 0) {
      const auto lock = claim_run_directory(real_file_system(), directory);
      const char answer = lock.ok() ? 'y' : 'n';
      if (::write(pipe_ends[1], &answer, 1) != 1) { ::_exit(1); }
      for (;;) { ::pause(); }
    }
    char answer = 0;
    EXPECT_EQ(::read(pipe_ends[0], &answer, 1), 1);
    claimed_ = answer == 'y';
    ::close(pipe_ends[0]);
    ::close(pipe_ends[1]);
  }
  ~Owner() { kill(); }
  Owner(const Owner&) = delete;
  Owner& operator=(const Owner&) = delete;

  void kill() {
    if (process_ <= 0) { return; }
    ::kill(process_, SIGKILL);
    ::waitpid(process_, nullptr, 0);
    process_ = 0;
  }
  [[nodiscard]] bool claimed() const { return claimed_; }
  [[nodiscard]] pid_t process() const { return process_; }

 private:
  pid_t process_ = 0;
  bool claimed_ = false;
};

TEST(RunLock, TheSecondOwnerIsToldWhoAndWhereAndADeadOneIsNoOwner) {
  const ScratchDirectory scratch;
  Owner owner(scratch.path());
  ASSERT_TRUE(owner.claimed());

  const Status refused = claim_run_directory(real_file_system(), scratch.path()).status();

  EXPECT_EQ(refused.code(), Code::kInvalidArgument);
  std::array<char, 256> host{};
  ASSERT_EQ(::gethostname(host.data(), host.size() - 1), 0);
  EXPECT_TRUE(refused.message().starts_with(scratch.path().string() + " is in use by process " +
                                            std::to_string(owner.process()) + " since 2"))
      << refused.message();
  EXPECT_NE(refused.message().find(std::string(" UTC on host ") + host.data()), std::string::npos) << refused.message();

  owner.kill();
  EXPECT_TRUE(claim_run_directory(real_file_system(), scratch.path()).ok());
}

TEST(RunLock, OwnersInOneProcessExcludeEachOtherToo) {
  const ScratchDirectory scratch;
  auto first = claim_run_directory(real_file_system(), scratch.path());
  ASSERT_TRUE(first.ok());
  EXPECT_NE(scratch.read("run.lock"), "");

  EXPECT_EQ(claim_run_directory(real_file_system(), scratch.path()).status().code(), Code::kInvalidArgument);
  first = Status(Code::kNotFound, "given back");

  EXPECT_EQ(scratch.read("run.lock"), "") << "of an owner that has gone nothing is said";
  EXPECT_TRUE(claim_run_directory(real_file_system(), scratch.path()).ok());
}

TEST(RunLock, WhereNothingCanBeWrittenTheErrorSaysSo) {
  const Status status = claim_run_directory(real_file_system(), "/proc").status();

  EXPECT_EQ(status.code(), Code::kIo);
  EXPECT_TRUE(status.message().starts_with("cannot write /proc/run.lock: ")) << status.message();
}

TEST(RunLock, EachNewRunGetsADirectoryOfItsOwn) {
  const ScratchDirectory scratch;
  FileSystem& files = real_file_system();
  const std::string name = (scratch / "name").string();

  const auto first = claim_free_directory(files, name);
  const auto second = claim_free_directory(files, name);
  ASSERT_TRUE(first.ok() && second.ok());
  scratch.write("name-3", "a file in the way");
  const Status third = claim_free_directory(files, name).status();

  EXPECT_EQ(first->path, name);
  EXPECT_EQ(second->path, name + "-2");
  EXPECT_EQ(third.code(), Code::kIo) << third.message();
}

TEST(RunLock, ADirectoryThatHoldsARunIsPassedOverAndAClaimWithoutARunIsReused) {
  FaultyFileSystem files;
  ASSERT_TRUE(write_atomically(files, "runs/x/configuration.yaml", "schema: 1\n").ok());
  { ASSERT_EQ(claim_free_directory(files, "runs/x")->path, "runs/x-2"); }

  EXPECT_EQ(claim_free_directory(files, "runs/x")->path, "runs/x-2") << "its owner died before it began a run";
}

TEST(RunLock, TemporariesOfARunAreRemovedAndNothingElse) {
  const ScratchDirectory scratch;
  ASSERT_TRUE(real_file_system().create_directories(scratch / "checkpoints").ok());
  const std::vector<std::string> remains{
      ".configuration.yaml.7-1.tmp", ".topology.yaml.7-2.tmp",  ".model.safetensors.7-3.tmp",
      ".records.csv.7-0.tmp",        ".report.html.123-44.tmp", "checkpoints/.checkpoint-00000003.safetensors.7-9.tmp"};
  const std::vector<std::string> others{".notes.7-1.tmp",       ".report.html.tmp", ".report.html.7.tmp",
                                        ".report.html.x-1.tmp", "report.html",      "checkpoints/.a.tmp"};
  for (const std::string& name : remains) { scratch.write(name, "x"); }
  for (const std::string& name : others) { scratch.write(name, "x"); }

  remove_temporaries(real_file_system(), scratch.path());

  for (const std::string& name : remains) { EXPECT_FALSE(std::filesystem::exists(scratch / name)) << name; }
  for (const std::string& name : others) { EXPECT_TRUE(std::filesystem::exists(scratch / name)) << name; }
}

}  // namespace
}  // namespace tributary
