// SPDX-License-Identifier: Apache-2.0
#include "tributary/base/file_system.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <system_error>
#include <thread>

namespace tributary {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kTemporarySuffix = ".tmp";

Status refused(std::string_view action, const fs::path& path, int error) {
  std::string message = fmt::format("cannot {} {}: {}", action, path.string(), std::generic_category().message(error));
  return {Code::kIo, std::move(message)};
}

// The same, where a missing file is an answer of its own.
Status refused_or_missing(std::string_view action, const fs::path& path, int error) {
  Status status = refused(action, path, error);
  return error == ENOENT || error == ENOTDIR ? not_found(status.message()) : status;
}

class Descriptor {
 public:
  explicit Descriptor(int number) noexcept : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) { ::close(number_); }
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  [[nodiscard]] int get() const noexcept { return number_; }
  [[nodiscard]] int release() noexcept { return std::exchange(number_, -1); }

 private:
  int number_;
};

int open_retrying(const fs::path& path, int flags, mode_t mode = 0) noexcept {
  int number = -1;
  do { number = ::open(path.c_str(), flags | O_CLOEXEC, mode); } while (number < 0 && errno == EINTR);
  return number;
}

int sync_retrying(int number) noexcept {
  int outcome = 0;
  do { outcome = ::fsync(number); } while (outcome != 0 && errno == EINTR);
  return outcome;
}

class RealReadableFile final : public ReadableFile {
 public:
  RealReadableFile(fs::path path, int number, std::uint64_t size)
      : path_(std::move(path)), descriptor_(number), size_(size) {}

  [[nodiscard]] std::uint64_t size() const noexcept override { return size_; }

  Status read(std::uint64_t offset, std::span<std::byte> into) const override {
    while (!into.empty()) {
      const ssize_t got = ::pread(descriptor_.get(), into.data(), into.size(), static_cast<off_t>(offset));
      if (got < 0 && errno == EINTR) { continue; }
      if (got < 0) { return refused("read", path_, errno); }
      if (got == 0) { return bad_data(fmt::format("{}: ends at byte {}, more was expected", path_.string(), offset)); }
      offset += static_cast<std::uint64_t>(got);
      into = into.subspan(static_cast<std::size_t>(got));
    }
    return ok_status();
  }

 private:
  fs::path path_;
  Descriptor descriptor_;
  std::uint64_t size_;
};

class RealWritableFile final : public WritableFile {
 public:
  RealWritableFile(fs::path shown_as, int number) : shown_as_(std::move(shown_as)), descriptor_(number) {}

  Status write(ByteSpans parts) override {
    std::size_t skip = 0;  // bytes of parts.front() that are written
    while (!parts.empty()) {
      std::array<iovec, 64> batch{};
      const std::size_t count = std::min(batch.size(), parts.size());
      std::size_t wanted = 0;
      for (std::size_t i = 0; i < count; ++i) {
        const std::span<const std::byte> part = i == 0 ? parts[0].subspan(skip) : parts[i];
        // iovec serves reading too, so its pointer is not const; writev does not write through it.
        batch[i] = {const_cast<std::byte*>(part.data()), part.size()};  // NOLINT(cppcoreguidelines-pro-type-const-cast)
        wanted += part.size();
      }
      const ssize_t written = wanted == 0 ? 0 : ::writev(descriptor_.get(), batch.data(), static_cast<int>(count));
      if (written < 0 && errno == EINTR) { continue; }
      if (written < 0) { return refused("write", shown_as_, errno); }
      if (written == 0 && wanted != 0) { return refused("write", shown_as_, ENOSPC); }
      skip += static_cast<std::size_t>(written);
      while (!parts.empty() && skip >= parts.front().size()) {
        skip -= parts.front().size();
        parts = parts.subspan(1);
      }
    }
    return ok_status();
  }

  Status sync() override {
    return sync_retrying(descriptor_.get()) == 0 ? ok_status() : refused("write", shown_as_, errno);
  }

  Status close() override {
    const int number = descriptor_.release();
    // Linux has closed the descriptor even when it reports EINTR.
    return number < 0 || ::close(number) == 0 || errno == EINTR ? ok_status() : refused("write", shown_as_, errno);
  }

 private:
  fs::path shown_as_;
  Descriptor descriptor_;
};

// Lets the lock go and takes the text away first: of a process that is not there any more, nothing is said.
class RealFileLock final : public FileLock {
 public:
  RealFileLock(Descriptor& file, Descriptor& directory) noexcept
      : descriptor_(file.release()), directory_(directory.release()) {}
  ~RealFileLock() override { [[maybe_unused]] const int emptied = ::ftruncate(descriptor_.get(), 0); }
  [[nodiscard]] int number() const noexcept { return descriptor_.get(); }

 private:
  Descriptor descriptor_;
  Descriptor directory_;
};

// For this open file, not for the process: closing another descriptor of the same file does not let it go, and two
// owners in one process exclude each other as well.
int lock_whole_file(int number) noexcept {
  struct flock whole{};
  whole.l_type = F_WRLCK;
  whole.l_whence = SEEK_SET;
  int outcome = 0;
  do { outcome = ::fcntl(number, F_OFD_SETLK, &whole); } while (outcome != 0 && errno == EINTR);
  return outcome == 0 ? 0 : errno;
}

// The directory that holds the file, beside the file: who finds a lock file in the way and removes it must not become a
// second owner. Local file systems have such locks; where there are none (NFS), the file's alone has to do. Another
// process that has it gives EWOULDBLOCK.
int lock_directory(int number) noexcept {
  int outcome = 0;
  do { outcome = ::flock(number, LOCK_EX | LOCK_NB); } while (outcome != 0 && errno == EINTR);
  return outcome == 0 || errno != EWOULDBLOCK ? 0 : EWOULDBLOCK;
}

std::string holder_of(int number) {
  // Who has just got the lock has not written its text yet.
  constexpr int kLooks = 50;
  constexpr std::chrono::milliseconds kPause{2};
  std::array<char, 512> text{};
  for (int look = 0; look < kLooks; ++look) {
    const ssize_t got = ::pread(number, text.data(), text.size(), 0);
    if (got > 0) { return {text.data(), static_cast<std::size_t>(got)}; }
    std::this_thread::sleep_for(kPause);
  }
  return {};
}

class RealFileSystem final : public FileSystem {
 public:
  Result<Kind> kind(const fs::path& path) override {
    struct stat facts{};
    if (::stat(path.c_str(), &facts) != 0) {
      if (errno != ENOENT && errno != ENOTDIR) { return refused("read", path, errno); }
      return ::lstat(path.c_str(), &facts) == 0 ? Kind::kBrokenLink : Kind::kNothing;
    }
    return S_ISREG(facts.st_mode) ? Kind::kFile : S_ISDIR(facts.st_mode) ? Kind::kDirectory : Kind::kOther;
  }

  Result<std::unique_ptr<ReadableFile>> open(const fs::path& path) override {
    // Not blocking: opening a pipe would wait for its other end.
    Descriptor file(open_retrying(path, O_RDONLY | O_NONBLOCK));
    if (file.get() < 0) { return refused_or_missing("read", path, errno); }
    struct stat facts{};
    if (::fstat(file.get(), &facts) != 0) { return refused("read", path, errno); }
    if (S_ISDIR(facts.st_mode)) { return refused("read", path, EISDIR); }
    if (!S_ISREG(facts.st_mode)) { return io_error(fmt::format("cannot read {}: not a regular file", path.string())); }
    const auto size = static_cast<std::uint64_t>(facts.st_size);
    return std::unique_ptr<ReadableFile>(std::make_unique<RealReadableFile>(path, file.release(), size));
  }

  Result<std::unique_ptr<WritableFile>> create(const fs::path& path, const fs::path& shown_as) override {
    const int number = open_retrying(path, O_WRONLY | O_CREAT | O_EXCL, 0666);
    if (number < 0) { return refused("write", shown_as, errno); }
    return std::unique_ptr<WritableFile>(std::make_unique<RealWritableFile>(shown_as, number));
  }

  Result<std::unique_ptr<WritableFile>> append(const fs::path& path) override {
    const int number = open_retrying(path, O_WRONLY | O_CREAT | O_APPEND, 0666);
    if (number < 0) { return refused("write", path, errno); }
    return std::unique_ptr<WritableFile>(std::make_unique<RealWritableFile>(path, number));
  }

  Status truncate(const fs::path& path, std::uint64_t size) override {
    int outcome = 0;
    do { outcome = ::truncate(path.c_str(), static_cast<off_t>(size)); } while (outcome != 0 && errno == EINTR);
    return outcome == 0 ? ok_status() : refused_or_missing("shorten", path, errno);
  }

  Status rename(const fs::path& from, const fs::path& to) override {
    return ::rename(from.c_str(), to.c_str()) == 0 ? ok_status() : refused("write", to, errno);
  }

  Status remove(const fs::path& path) override {
    return ::unlink(path.c_str()) == 0 ? ok_status() : refused_or_missing("remove", path, errno);
  }

  Result<std::vector<std::string>> list(const fs::path& directory) override {
    std::vector<std::string> names;
    std::error_code error;
    for (fs::directory_iterator entry(directory, error), end; !error && entry != end; entry.increment(error)) {
      names.push_back(entry->path().filename().string());
    }
    if (error) { return refused_or_missing("read the directory", directory, error.value()); }
    std::sort(names.begin(), names.end());
    return names;
  }

  Status create_directories(const fs::path& directory) override {
    TRIBUTARY_ASSIGN_OR_RETURN(const Kind found, kind(directory));
    if (found == Kind::kDirectory || directory.empty()) { return ok_status(); }
    if (found != Kind::kNothing) { return refused("create the directory", directory, ENOTDIR); }
    const fs::path parent = directory.parent_path();
    if (parent != directory) { TRIBUTARY_RETURN_IF_ERROR(create_directories(parent)); }
    if (::mkdir(directory.c_str(), 0777) != 0 && errno != EEXIST) {
      return refused("create the directory", directory, errno);
    }
    return sync_directory(parent);
  }

  Result<LockAttempt> lock(const fs::path& path, std::string_view text) override {
    const fs::path parent = path.has_parent_path() ? path.parent_path() : fs::path(".");
    Descriptor directory(open_retrying(parent, O_RDONLY | O_DIRECTORY));
    if (directory.get() < 0) { return refused("read", parent, errno); }
    // Not what a link leads to: that is no file of ours, and would be emptied.
    Descriptor file(open_retrying(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0666));
    if (file.get() < 0) { return refused("write", path, errno); }
    if (lock_directory(directory.get()) != 0) { return LockAttempt{nullptr, holder_of(file.get())}; }
    const int error = lock_whole_file(file.get());
    if (error == EAGAIN || error == EACCES) { return LockAttempt{nullptr, holder_of(file.get())}; }
    if (error != 0) {
      return io_error(fmt::format("cannot lock {}: {} (file locks, fcntl, are needed: use a file system that has them)",
                                  path.string(), std::generic_category().message(error)));
    }
    auto lock = std::make_unique<RealFileLock>(file, directory);
    const int number = lock->number();
    if (::ftruncate(number, 0) != 0) { return refused("write", path, errno); }
    // Nobody depends on the text: where the disk is full it stays short.
    [[maybe_unused]] const ssize_t written = ::pwrite(number, text.data(), text.size(), 0);
    return LockAttempt{std::move(lock), {}};
  }

  Status sync_directory(const fs::path& directory) override {
    const fs::path& named = directory.empty() ? fs::path(".") : directory;
    const Descriptor opened(open_retrying(named, O_RDONLY | O_DIRECTORY));
    if (opened.get() < 0) { return refused("write to the directory", named, errno); }
    // Some file systems cannot sync a directory and say EINVAL: they keep names without being asked, or not at all.
    if (sync_retrying(opened.get()) != 0 && errno != EINVAL) { return refused("write to the directory", named, errno); }
    return ok_status();
  }
};

class MemoryFile final : public ReadableFile {
 public:
  MemoryFile(std::span<const std::byte> bytes, std::string name) : bytes_(bytes), name_(std::move(name)) {}

  [[nodiscard]] std::uint64_t size() const noexcept override { return bytes_.size(); }

  Status read(std::uint64_t offset, std::span<std::byte> into) const override {
    if (offset > bytes_.size() || into.size() > bytes_.size() - offset) {
      return bad_data(fmt::format("{}: ends at byte {}, more was expected", name_, bytes_.size()));
    }
    if (!into.empty()) { std::memcpy(into.data(), bytes_.data() + offset, into.size()); }
    return ok_status();
  }

 private:
  std::span<const std::byte> bytes_;
  std::string name_;
};

Status write_and_close(WritableFile& file, ByteSpans parts) {
  TRIBUTARY_RETURN_IF_ERROR(file.write(parts));
  TRIBUTARY_RETURN_IF_ERROR(file.sync());
  return file.close();
}

}  // namespace

FileSystem& real_file_system() {
  static RealFileSystem files;
  return files;
}

std::unique_ptr<ReadableFile> readable_bytes(std::span<const std::byte> bytes, std::string name) {
  return std::make_unique<MemoryFile>(bytes, std::move(name));
}

Result<std::vector<std::byte>> read_file(FileSystem& files, const fs::path& path, std::uint64_t max_bytes) {
  TRIBUTARY_ASSIGN_OR_RETURN(const std::unique_ptr<ReadableFile> file, files.open(path));
  if (file->size() > max_bytes) {
    return resource_exhausted(
        fmt::format("{}: has {} bytes, at most {} are allowed", path.string(), file->size(), max_bytes));
  }
  std::vector<std::byte> bytes(file->size());
  TRIBUTARY_RETURN_IF_ERROR(file->read(0, bytes));
  return bytes;
}

Status write_atomically(FileSystem& files, const fs::path& path, ByteSpans parts) {
  static std::atomic<std::uint64_t> counter{0};
  TRIBUTARY_ASSIGN_OR_RETURN(const FileSystem::Kind present, files.kind(path));
  if (present == FileSystem::Kind::kDirectory || present == FileSystem::Kind::kOther) {
    return io_error(fmt::format("cannot write {}: it is {}", path.string(),
                                present == FileSystem::Kind::kDirectory ? "a directory" : "not a regular file"));
  }
  const fs::path directory = path.parent_path();
  const fs::path temporary =
      directory / fmt::format(".{}.{}-{}{}", path.filename().string(), ::getpid(), ++counter, kTemporarySuffix);

  TRIBUTARY_ASSIGN_OR_RETURN(const std::unique_ptr<WritableFile> file, files.create(temporary, path));
  Status status = write_and_close(*file, parts);
  if (status.ok()) { status = files.rename(temporary, path); }
  if (!status.ok()) {
    // What went wrong first is the message worth giving.
    static_cast<void>(files.remove(temporary));
    return status;
  }
  return files.sync_directory(directory);
}

Status write_atomically(FileSystem& files, const fs::path& path, std::string_view text) {
  const std::span<const std::byte> part = std::as_bytes(std::span(text));
  return write_atomically(files, path, ByteSpans(&part, 1));
}

bool is_temporary_name(std::string_view name) noexcept {
  if (!name.starts_with('.') || !name.ends_with(kTemporarySuffix)) { return false; }
  name.remove_suffix(kTemporarySuffix.size());
  const auto cut_number = [&name] {
    const std::size_t digits = name.find_last_not_of("0123456789") + 1;
    const bool any = digits < name.size();
    name = name.substr(0, digits);
    return any;
  };
  const auto cut = [&name](char last) {
    const bool there = name.ends_with(last);
    if (there) { name.remove_suffix(1); }
    return there;
  };
  return cut_number() && cut('-') && cut_number() && cut('.') && name.size() > 1;
}

}  // namespace tributary
