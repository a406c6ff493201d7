// SPDX-License-Identifier: Apache-2.0
// A file system in memory that fails any chosen operation and, at a power cut, forgets what was not synced.
//
// Use:     fail_at(n) lets the n-th operation from now fail (0: the next), and with kDead all later ones too, as if the
//          machine had stopped there. power_cut() then leaves what a disk would hold; the run goes on with the same
//          object.
// Threads: one.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tributary/base/file_system.hpp"

namespace tributary::testing {

class FaultyFileSystem final : public FileSystem {
 public:
  enum class After { kGoesOn, kDead };
  // What of the names changed since the last sync_directory(): all forgotten, or all kept while unsynced bytes are
  // lost.
  enum class Names { kForgotten, kKept };

  void fail_at(std::size_t operation, After after) {
    operations_ = 0;
    fail_at_ = operation;
    after_ = after;
  }
  void never_fail() { fail_at_ = kNever; }
  [[nodiscard]] std::size_t operations() const { return operations_; }

  void power_cut(Names names) {
    never_fail();
    if (names == Names::kForgotten) { files_ = durable_; }
    for (auto& [path, file] : files_) { file->bytes = file->durable; }
    durable_ = files_;
    locks_->clear();
  }

  // The process dies and the machine does not: all that was written stays, locks are free.
  void kill() {
    never_fail();
    locks_->clear();
  }

  // Changes bytes behind everyone's back.
  std::vector<std::byte>& content(const std::filesystem::path& path) { return files_.at(path.string())->bytes; }
  [[nodiscard]] std::vector<std::string> paths() const {
    std::vector<std::string> all;
    for (const auto& [path, file] : files_) { all.push_back(path); }
    return all;
  }

  Result<Kind> kind(const std::filesystem::path& path) override {
    TRIBUTARY_RETURN_IF_ERROR(step("read", path));
    if (files_.contains(path.string())) { return Kind::kFile; }
    return directories_.contains(path.string()) ? Kind::kDirectory : Kind::kNothing;
  }

  Result<std::unique_ptr<ReadableFile>> open(const std::filesystem::path& path) override {
    TRIBUTARY_RETURN_IF_ERROR(step("read", path));
    const auto found = files_.find(path.string());
    if (found == files_.end()) { return not_found(fmt::format("cannot read {}: missing", path.string())); }
    return std::unique_ptr<ReadableFile>(std::make_unique<Reader>(*this, found->second, path));
  }

  Result<std::unique_ptr<WritableFile>> create(const std::filesystem::path& path,
                                               const std::filesystem::path& shown_as) override {
    TRIBUTARY_RETURN_IF_ERROR(step("write", shown_as));
    const auto [place, fresh] = files_.emplace(path.string(), std::make_shared<File>());
    if (!fresh) { return io_error(fmt::format("cannot write {}: exists", shown_as.string())); }
    return std::unique_ptr<WritableFile>(std::make_unique<Writer>(*this, place->second, shown_as));
  }

  Result<std::unique_ptr<WritableFile>> append(const std::filesystem::path& path) override {
    TRIBUTARY_RETURN_IF_ERROR(step("write", path));
    const auto place = files_.emplace(path.string(), std::make_shared<File>()).first;
    return std::unique_ptr<WritableFile>(std::make_unique<Writer>(*this, place->second, path));
  }

  Status truncate(const std::filesystem::path& path, std::uint64_t size) override {
    TRIBUTARY_RETURN_IF_ERROR(step("shorten", path));
    if (!files_.contains(path.string())) { return not_found(fmt::format("cannot shorten {}", path.string())); }
    files_.at(path.string())->bytes.resize(size);
    return ok_status();
  }

  Status rename(const std::filesystem::path& from, const std::filesystem::path& to) override {
    TRIBUTARY_RETURN_IF_ERROR(step("write", to));
    files_[to.string()] = files_.at(from.string());
    files_.erase(from.string());
    return ok_status();
  }

  Status remove(const std::filesystem::path& path) override {
    TRIBUTARY_RETURN_IF_ERROR(step("remove", path));
    return files_.erase(path.string()) == 1 ? ok_status() : not_found(fmt::format("cannot remove {}", path.string()));
  }

  Result<std::vector<std::string>> list(const std::filesystem::path& directory) override {
    TRIBUTARY_RETURN_IF_ERROR(step("read the directory", directory));
    if (!directories_.contains(directory.string())) { return not_found("no directory " + directory.string()); }
    std::vector<std::string> names;
    for (const auto& [path, file] : files_) {
      const std::filesystem::path entry(path);
      if (entry.parent_path() == directory) { names.push_back(entry.filename().string()); }
    }
    return names;
  }

  Status create_directories(const std::filesystem::path& directory) override {
    TRIBUTARY_RETURN_IF_ERROR(step("create the directory", directory));
    directories_.insert(directory.string());
    return ok_status();
  }

  Result<LockAttempt> lock(const std::filesystem::path& path, std::string_view text) override {
    TRIBUTARY_RETURN_IF_ERROR(step("lock", path));
    const auto [place, fresh] = locks_->emplace(path.string(), std::string(text));
    if (!fresh) { return LockAttempt{nullptr, place->second}; }
    return LockAttempt{std::make_unique<Lock>(locks_, path.string()), {}};
  }

  Status sync_directory(const std::filesystem::path& directory) override {
    TRIBUTARY_RETURN_IF_ERROR(step("write to the directory", directory));
    const auto inside = [&](const auto& entry) {
      return std::filesystem::path(entry.first).parent_path() == directory;
    };
    std::erase_if(durable_, inside);
    std::copy_if(files_.begin(), files_.end(), std::inserter(durable_, durable_.end()), inside);
    return ok_status();
  }

 private:
  static constexpr std::size_t kNever = std::numeric_limits<std::size_t>::max();

  struct File {
    std::vector<std::byte> bytes;
    std::vector<std::byte> durable;
  };

  using Locks = std::map<std::string, std::string>;  // by path: what their holders wrote

  class Lock final : public FileLock {
   public:
    Lock(std::shared_ptr<Locks> locks, std::string path) : locks_(std::move(locks)), path_(std::move(path)) {}
    ~Lock() override { locks_->erase(path_); }

   private:
    std::shared_ptr<Locks> locks_;
    std::string path_;
  };

  class Reader final : public ReadableFile {
   public:
    Reader(FaultyFileSystem& owner, std::shared_ptr<File> file, std::filesystem::path path)
        : owner_(owner), file_(std::move(file)), path_(std::move(path)) {}
    [[nodiscard]] std::uint64_t size() const noexcept override { return file_->bytes.size(); }
    Status read(std::uint64_t offset, std::span<std::byte> into) const override {
      TRIBUTARY_RETURN_IF_ERROR(owner_.step("read", path_));
      if (offset + into.size() > file_->bytes.size()) { return bad_data(path_.string() + ": too short"); }
      if (!into.empty()) { std::memcpy(into.data(), file_->bytes.data() + offset, into.size()); }
      return ok_status();
    }

   private:
    FaultyFileSystem& owner_;
    std::shared_ptr<File> file_;
    std::filesystem::path path_;
  };

  class Writer final : public WritableFile {
   public:
    Writer(FaultyFileSystem& owner, std::shared_ptr<File> file, std::filesystem::path shown_as)
        : owner_(owner), file_(std::move(file)), shown_as_(std::move(shown_as)) {}
    Status write(ByteSpans parts) override {
      const Status status = owner_.step("write", shown_as_);
      for (std::span<const std::byte> part : parts) {
        // A failing write leaves half of its bytes.
        if (!status.ok()) { part = part.first(part.size() / 2); }
        file_->bytes.insert(file_->bytes.end(), part.begin(), part.end());
        if (!status.ok()) { break; }
      }
      return status;
    }
    Status sync() override {
      TRIBUTARY_RETURN_IF_ERROR(owner_.step("write", shown_as_));
      file_->durable = file_->bytes;
      return ok_status();
    }
    Status close() override { return owner_.step("write", shown_as_); }

   private:
    FaultyFileSystem& owner_;
    std::shared_ptr<File> file_;
    std::filesystem::path shown_as_;
  };

  Status step(std::string_view action, const std::filesystem::path& path) {
    const std::size_t now = operations_++;
    const bool fails = now == fail_at_ || (now > fail_at_ && after_ == After::kDead);
    return fails ? io_error(fmt::format("cannot {} {}: injected", action, path.string())) : ok_status();
  }

  std::map<std::string, std::shared_ptr<File>> files_;
  std::map<std::string, std::shared_ptr<File>> durable_;  // the names a power cut leaves
  std::set<std::string> directories_;
  std::shared_ptr<Locks> locks_ = std::make_shared<Locks>();
  std::size_t operations_ = 0;
  std::size_t fail_at_ = kNever;
  After after_ = After::kGoesOn;
};

}  // namespace tributary::testing
