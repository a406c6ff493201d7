// SPDX-License-Identifier: Apache-2.0
// Files as this project uses them, injectable so that tests can fail any single operation or forget what was not
// synced.
//
// Life cycle: a file object closes itself when destroyed; close() is for those who must know whether it worked.
// Threads:    a FileSystem and a ReadableFile may be used by several threads at once; a WritableFile by one at a time.
// Durability: WritableFile::sync() makes a file's bytes survive a power cut, sync_directory() the names in a directory.
//             write_atomically() does both.
// Errors:     kNotFound: there is no such file to read. kIo: the operating system refused. Messages read
//             "cannot <read|write|...> <path>: <reason of the system>".
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tributary/base/status.hpp"

namespace tributary {

using ByteSpans = std::span<const std::span<const std::byte>>;

class ReadableFile {
 public:
  virtual ~ReadableFile() = default;

  // Bytes in the file when it was opened.
  [[nodiscard]] virtual std::uint64_t size() const noexcept = 0;
  // Fills `into` with the bytes from `offset` on. kBadData: the file ends before that.
  virtual Status read(std::uint64_t offset, std::span<std::byte> into) const = 0;
};

class WritableFile {
 public:
  virtual ~WritableFile() = default;

  // All bytes of all parts, in order; nothing is copied. After an error an unknown number of them is in the file.
  virtual Status write(ByteSpans parts) = 0;
  virtual Status sync() = 0;
  virtual Status close() = 0;
};

// Held against every other process, and every other FileSystem::lock() of this one, until it is destroyed or the
// process dies.
class FileLock {
 public:
  virtual ~FileLock() = default;
};

struct LockAttempt {
  std::unique_ptr<FileLock> lock;  // null: somebody else holds it
  std::string holder;              // what that one wrote into the file; empty if it is not to be found out
};

class FileSystem {
 public:
  // kBrokenLink: a symbolic link to nothing. Other links stand for what they lead to.
  enum class Kind { kNothing, kFile, kDirectory, kOther, kBrokenLink };

  virtual ~FileSystem() = default;

  virtual Result<Kind> kind(const std::filesystem::path& path) = 0;
  // An existing regular file.
  virtual Result<std::unique_ptr<ReadableFile>> open(const std::filesystem::path& path) = 0;
  // A new, empty file; an error if the name is taken. Messages name `shown_as`: what a temporary will become.
  virtual Result<std::unique_ptr<WritableFile>> create(const std::filesystem::path& path,
                                                       const std::filesystem::path& shown_as) = 0;
  // Writes after the last byte; makes the file if there is none.
  virtual Result<std::unique_ptr<WritableFile>> append(const std::filesystem::path& path) = 0;
  virtual Status truncate(const std::filesystem::path& path, std::uint64_t size) = 0;
  // Replaces `to` if it exists.
  virtual Status rename(const std::filesystem::path& from, const std::filesystem::path& to) = 0;
  // kNotFound: there is none.
  virtual Status remove(const std::filesystem::path& path) = 0;
  // Names, not paths, ascending. kNotFound: there is no such directory.
  virtual Result<std::vector<std::string>> list(const std::filesystem::path& directory) = 0;
  // With all parents, durably. OK if it exists.
  virtual Status create_directories(const std::filesystem::path& directory) = 0;
  virtual Status sync_directory(const std::filesystem::path& directory) = 0;
  // Does not wait. Makes the file if there is none, and while the lock is held it says `text`, for others to read. The
  // lock survives the removal of the file where directories can be locked (not on NFS). kIo: the file cannot be made,
  // is a symbolic link, or its file system has no locks.
  virtual Result<LockAttempt> lock(const std::filesystem::path& path, std::string_view text) = 0;
};

// The file system of this machine. Lives as long as the program.
[[nodiscard]] FileSystem& real_file_system();

// A file in memory; borrows `bytes`. `name` stands in messages.
[[nodiscard]] std::unique_ptr<ReadableFile> readable_bytes(std::span<const std::byte> bytes, std::string name);

// The whole file. kResourceExhausted: it has more than max_bytes; no memory is taken then.
Result<std::vector<std::byte>> read_file(FileSystem& files, const std::filesystem::path& path, std::uint64_t max_bytes);

// Replaces the file by `parts`, wholly or not at all, whatever happens meanwhile: temporary in the same directory,
// sync, rename, sync of the directory. After an error the old file is still there and the temporary is removed; only an
// error of the very last step can leave the new file in place. A name that stands for a directory or a device is
// refused; a symbolic link is replaced by the file.
Status write_atomically(FileSystem& files, const std::filesystem::path& path, ByteSpans parts);
Status write_atomically(FileSystem& files, const std::filesystem::path& path, std::string_view text);

// True for names of temporaries of write_atomically(), ".NAME.PROCESS-NUMBER.tmp": left behind only by a crash, safe to
// remove, never to be read.
[[nodiscard]] bool is_temporary_name(std::string_view name) noexcept;

}  // namespace tributary
