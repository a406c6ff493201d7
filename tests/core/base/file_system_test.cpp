// SPDX-License-Identifier: Apache-2.0
#include "tributary/base/file_system.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <string>

#include "support/faulty_file_system.hpp"
#include "support/file_bytes.hpp"
#include "support/scratch_directory.hpp"

namespace tributary {
namespace {

using testing::bytes_of;
using testing::FaultyFileSystem;
using testing::ScratchDirectory;

std::string text_of(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

TEST(FileSystem, AnAtomicWriteJoinsItsPartsInOrder) {
  const ScratchDirectory scratch;
  std::vector<std::string> texts;
  for (int i = 0; i < 200; ++i) { texts.push_back(i % 7 == 0 ? "" : std::to_string(i) + ","); }
  std::vector<std::span<const std::byte>> parts;
  std::string expected;
  for (const std::string& text : texts) {
    parts.push_back(bytes_of(text));
    expected += text;
  }

  const Status status = write_atomically(real_file_system(), scratch / "joined", parts);

  EXPECT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(scratch.read("joined"), expected);
}

TEST(FileSystem, AnAtomicWriteReplacesTheFileAndLeavesNothingElse) {
  const ScratchDirectory scratch;
  scratch.write("file", "old");

  ASSERT_TRUE(write_atomically(real_file_system(), scratch / "file", "new").ok());

  EXPECT_EQ(real_file_system().list(scratch.path()).value(), std::vector<std::string>{"file"});
  EXPECT_EQ(scratch.read("file"), "new");
}

TEST(FileSystem, AFailedAtomicWriteNamesTheFileAndKeepsTheOldOne) {
  const ScratchDirectory scratch;
  const auto path = scratch.write("model", "old");
  const std::string large(200'000, 'x');
  std::array<int, 2> pipe_ends{};
  ASSERT_EQ(::pipe(pipe_ends.data()), 0);

  const pid_t child = ::fork();
  if (child == 0) {  // where a file can have 100,000 bytes and no more
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{100'000, 100'000};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    const std::string message = write_atomically(real_file_system(), path, large).message();
    const ssize_t written = ::write(pipe_ends[1], message.data(), message.size());
    ::_exit(written == static_cast<ssize_t>(message.size()) ? 0 : 1);
  }
  ::close(pipe_ends[1]);
  std::string message(1000, '\0');
  message.resize(static_cast<std::size_t>(std::max<ssize_t>(::read(pipe_ends[0], message.data(), message.size()), 0)));
  ::close(pipe_ends[0]);
  int outcome = 0;
  ::waitpid(child, &outcome, 0);

  EXPECT_EQ(message, "cannot write " + path.string() + ": File too large");
  EXPECT_EQ(real_file_system().list(scratch.path()).value(), std::vector<std::string>{"model"});
  EXPECT_EQ(scratch.read("model"), "old");
}

TEST(FileSystem, AFullDiskIsSaidInTheSystemsWords) {
  const auto file = real_file_system().append("/dev/full").value();
  const std::span<const std::byte> part = bytes_of("anything");

  const Status status = file->write(ByteSpans(&part, 1));

  EXPECT_EQ(status, io_error("cannot write /dev/full: No space left on device"));
}

TEST(FileSystem, NoDeviceOrDirectoryIsEverReplaced) {
  const ScratchDirectory scratch;
  ASSERT_TRUE(real_file_system().create_directories(scratch / "inner").ok());

  EXPECT_EQ(write_atomically(real_file_system(), "/dev/null", "x"),
            io_error("cannot write /dev/null: it is not a regular file"));
  EXPECT_EQ(write_atomically(real_file_system(), scratch / "inner", "x"),
            io_error("cannot write " + (scratch / "inner").string() + ": it is a directory"));
}

TEST(FileSystem, WhereNothingCanBeWrittenTheMessageSaysWhy) {
  const ScratchDirectory scratch;
  const auto file = scratch.write("file", "");
  FileSystem& files = real_file_system();

  EXPECT_EQ(write_atomically(files, file / "model", "x"),
            io_error("cannot write " + (file / "model").string() + ": Not a directory"));
  EXPECT_EQ(write_atomically(files, scratch / "no" / "model", "x"),
            io_error("cannot write " + (scratch / "no" / "model").string() + ": No such file or directory"));
  EXPECT_EQ(files.create_directories(file / "run"),
            io_error("cannot create the directory " + file.string() + ": Not a directory"));
  EXPECT_EQ(files.create_directories("/proc/run").code(), Code::kIo);
}

TEST(FileSystem, ReadingSaysWhatIsMissingAndWhatIsNoFile) {
  const ScratchDirectory scratch;
  const auto pipe = scratch / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  FileSystem& files = real_file_system();

  EXPECT_EQ(files.open(scratch / "none").status(),
            not_found("cannot read " + (scratch / "none").string() + ": No such file or directory"));
  EXPECT_EQ(files.open(scratch.path()).status(),
            io_error("cannot read " + scratch.path().string() + ": Is a directory"));
  EXPECT_EQ(files.open(pipe).status(), io_error("cannot read " + pipe.string() + ": not a regular file"));
}

TEST(FileSystem, AFileBeyondTheLimitIsNotRead) {
  const ScratchDirectory scratch;
  const auto path = scratch.write("file", "12345");

  EXPECT_EQ(text_of(read_file(real_file_system(), path, 5).value()), "12345");
  EXPECT_EQ(read_file(real_file_system(), path, 4).status(),
            resource_exhausted(path.string() + ": has 5 bytes, at most 4 are allowed"));
}

TEST(FileSystem, AFileThatShrankIsDamageNotSilence) {
  const ScratchDirectory scratch;
  const auto path = scratch.write("file", "12345");
  const auto file = real_file_system().open(path).value();
  ASSERT_TRUE(real_file_system().truncate(path, 2).ok());
  std::vector<std::byte> into(5);

  EXPECT_EQ(file->read(0, into), bad_data(path.string() + ": ends at byte 2, more was expected"));
}

TEST(FileSystem, AppendedBytesFollowAndCanBeCutOff) {
  const ScratchDirectory scratch;
  FileSystem& files = real_file_system();
  const std::span<const std::byte> line = bytes_of("line\n");
  for (int i = 0; i < 3; ++i) {
    const auto file = files.append(scratch / "records").value();
    ASSERT_TRUE(file->write(ByteSpans(&line, 1)).ok());
    ASSERT_TRUE(file->sync().ok());
    ASSERT_TRUE(file->close().ok());
  }

  ASSERT_TRUE(files.truncate(scratch / "records", 10).ok());

  EXPECT_EQ(scratch.read("records"), "line\nline\n");
}

TEST(FileSystem, DirectoriesAreMadeWithTheirParents) {
  const ScratchDirectory scratch;
  FileSystem& files = real_file_system();

  EXPECT_TRUE(files.create_directories(scratch / "a" / "b" / "c").ok());
  EXPECT_TRUE(files.create_directories(scratch / "a" / "b").ok());
  EXPECT_EQ(files.kind(scratch / "a" / "b" / "c").value(), FileSystem::Kind::kDirectory);
  EXPECT_EQ(files.kind(scratch / "a" / "x").value(), FileSystem::Kind::kNothing);
}

TEST(FileSystem, ALinkToNowhereIsNotNothing) {
  const ScratchDirectory scratch;
  std::filesystem::create_symlink(scratch / "gone", scratch / "link");
  FileSystem& files = real_file_system();

  EXPECT_EQ(files.kind(scratch / "link").value(), FileSystem::Kind::kBrokenLink);
  EXPECT_EQ(files.kind(scratch / "gone").value(), FileSystem::Kind::kNothing);
  EXPECT_TRUE(write_atomically(files, scratch / "link", "now it is a file").ok());
  EXPECT_EQ(files.kind(scratch / "link").value(), FileSystem::Kind::kFile);
}

TEST(FileSystem, OnlyNamesOfOurOwnMakeAreTemporary) {
  EXPECT_TRUE(is_temporary_name(".model.safetensors.4711-1.tmp"));
  for (const char* name : {"", ".tmp", "model.4711-1.tmp", ".model.tmp", ".model.4711.tmp", ".model.4711-.tmp",
                           ".model.-1.tmp", ".4711-1.tmp", ".model4711-1.tmp", ".model.4711-1.tmp2"}) {
    EXPECT_FALSE(is_temporary_name(name)) << name;
  }
}

TEST(FileSystem, AfterAPowerCutAtAnyMomentTheFileIsTheOldOneOrTheNewOne) {
  for (const auto names : {FaultyFileSystem::Names::kForgotten, FaultyFileSystem::Names::kKept}) {
    for (std::size_t moment = 0; moment < 12; ++moment) {
      FaultyFileSystem files;
      ASSERT_TRUE(write_atomically(files, "/run/file", "old content").ok());
      files.fail_at(moment, FaultyFileSystem::After::kDead);

      const Status status = write_atomically(files, "/run/file", "new");
      files.power_cut(names);

      const std::string found = text_of(read_file(files, "/run/file", 100).value());
      if (status.ok()) {
        EXPECT_EQ(found, "new") << moment;
      } else {
        EXPECT_TRUE(status.message().ends_with(": injected")) << status.message();
        EXPECT_TRUE(found == "old content" || found == "new") << moment << found;
      }
    }
  }
}

TEST(FileSystem, AnyOneFailingOperationRemovesTheTemporary) {
  for (std::size_t moment = 0; moment < 6; ++moment) {
    FaultyFileSystem files;
    ASSERT_TRUE(write_atomically(files, "/run/file", "old").ok());
    files.fail_at(moment, FaultyFileSystem::After::kGoesOn);

    EXPECT_FALSE(write_atomically(files, "/run/file", "new").ok());

    EXPECT_EQ(files.paths(), std::vector<std::string>{"/run/file"}) << moment;
    EXPECT_EQ(text_of(read_file(files, "/run/file", 100).value()), "old");
  }
}

}  // namespace
}  // namespace tributary
