// SPDX-License-Identifier: Apache-2.0
// Where the programs of one command trainer keep the files of their tasks, and who cleans up after them.
//
// Whatever ends this process, SIGKILL included, nothing stays behind: a small watching process (a shell) sees the end
// of a connection, kills the groups of the programs that were running and every process that carries the mark of this
// workspace in its environment, and removes the directory. The mark is inherited, so that it also finds what a program
// has started and moved to a group or session of its own; the group finds what has another environment. Nothing finds
// a process that has both.
// Where the watching process was killed as well, the next workspace of this user finds the directory without an owner
// and has it cleaned up in the same way.
//
// Threads: task_directory(), started() and ended() may be called from several threads at once.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "tributary/base/status.hpp"

namespace tributary::internal {

// A file descriptor, closed when the object goes.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int value) : value_(value) {}
  Descriptor(Descriptor&& other) noexcept : value_(std::exchange(other.value_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(value_, other.value_);
    return *this;
  }
  ~Descriptor() { close(); }
  void close() noexcept;
  [[nodiscard]] int get() const noexcept { return value_; }

 private:
  int value_ = -1;
};

// A directory that only this user can enter, gone with everything in it when the object goes.
class PrivateDirectory {
 public:
  explicit PrivateDirectory(std::filesystem::path path) : path_(std::move(path)) {}
  PrivateDirectory(PrivateDirectory&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  PrivateDirectory& operator=(PrivateDirectory&&) = delete;
  ~PrivateDirectory();
  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

 private:
  std::filesystem::path path_;
};

class ProgramWorkspace {
 public:
  // Below the system's directory for temporary files. kIo, kUnavailable.
  static Result<std::unique_ptr<ProgramWorkspace>> create();
  ProgramWorkspace(const ProgramWorkspace&) = delete;
  ProgramWorkspace& operator=(const ProgramWorkspace&) = delete;
  // Waits until nothing of any program is left.
  ~ProgramWorkspace();

  [[nodiscard]] Result<PrivateDirectory> task_directory();

  // Tell the watching process: of a program that leads a group of its own, and before it is reaped.
  void started(pid_t process) const { tell('+', process); }
  void ended(pid_t process) const { tell('-', process); }

  // NAME=VALUE, for the environment of every program.
  [[nodiscard]] std::string mark() const;

 private:
  ProgramWorkspace(PrivateDirectory directory, Descriptor owner, Descriptor alive, pid_t watcher)
      : directory_(std::move(directory)), owner_(std::move(owner)), alive_(std::move(alive)), watcher_(watcher) {}

  void tell(char what, pid_t process) const;

  PrivateDirectory directory_;
  Descriptor owner_;  // a locked file: as long as it is, the directory has an owner
  Descriptor alive_;  // the end of the connection that only this process holds
  pid_t watcher_;
  std::atomic<std::uint64_t> tasks_{0};
};

}  // namespace tributary::internal
