// SPDX-License-Identifier: Apache-2.0
#include "tributary/run/run_lock.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <string>
#include <string_view>
#include <utility>

#include "base/reading.hpp"

namespace tributary {
namespace {

namespace fs = std::filesystem;

constexpr const char* kLockFile = "run.lock";
constexpr const char* kConfigurationFile = "configuration.yaml";
constexpr std::array<std::string_view, 5> kFilesOfARun{"configuration.yaml", "topology.yaml", "model.safetensors",
                                                       "records.csv", "report.html"};

// What others are told about this process.
std::string self() {
  std::array<char, 256> host{};
  const bool named = ::gethostname(host.data(), host.size() - 1) == 0;
  return fmt::format("process {} since {:%F %T} UTC on host {}", ::getpid(), fmt::gmtime(std::time(nullptr)),
                     named ? host.data() : "unknown");
}

Result<LockAttempt> try_to_claim(FileSystem& files, const fs::path& directory) {
  return files.lock(directory / kLockFile, self());
}

Result<bool> holds_a_run(FileSystem& files, const fs::path& directory) {
  TRIBUTARY_ASSIGN_OR_RETURN(const FileSystem::Kind found, files.kind(directory / kConfigurationFile));
  return found != FileSystem::Kind::kNothing;
}

void remove_temporaries_of(FileSystem& files, const fs::path& directory, std::string_view file_begins) {
  const Result<std::vector<std::string>> names = files.list(directory);
  if (!names.ok()) { return; }
  for (const std::string& name : *names) {
    if (is_temporary_name(name) && std::string_view(name).substr(1).starts_with(file_begins)) {
      // What cannot be removed does no harm.
      static_cast<void>(files.remove(directory / name));
    }
  }
}

}  // namespace

Result<std::unique_ptr<FileLock>> claim_run_directory(FileSystem& files, const fs::path& directory) {
  TRIBUTARY_ASSIGN_OR_RETURN(LockAttempt attempt, try_to_claim(files, directory));
  if (attempt.lock != nullptr) { return std::move(attempt.lock); }
  const std::string holder = attempt.holder.empty() ? "another process" : internal::printable(attempt.holder);
  return invalid_argument(fmt::format("{} is in use by {}: wait until that has ended, or name another directory",
                                      directory.string(), holder));
}

std::string owner_of_run_directory(FileSystem& files, const fs::path& directory) {
  const Result<FileSystem::Kind> found = files.kind(directory / kLockFile);
  if (!found.ok() || *found == FileSystem::Kind::kNothing) { return {}; }
  const Result<LockAttempt> attempt = try_to_claim(files, directory);
  if (!attempt.ok() || attempt->lock != nullptr) { return {}; }
  return attempt->holder.empty() ? "another process" : internal::printable(attempt->holder);
}

Result<ClaimedDirectory> claim_free_directory(FileSystem& files, const fs::path& wanted) {
  fs::path candidate = wanted;
  for (int number = 2;; ++number) {
    // A run that is there for good is passed over without touching its lock.
    TRIBUTARY_ASSIGN_OR_RETURN(bool taken, holds_a_run(files, candidate));
    if (!taken) {
      TRIBUTARY_RETURN_IF_ERROR(files.create_directories(candidate));
      TRIBUTARY_ASSIGN_OR_RETURN(LockAttempt attempt, try_to_claim(files, candidate));
      if (attempt.lock != nullptr) {
        // Another process may have started and ended a run between the look and the lock.
        TRIBUTARY_ASSIGN_OR_RETURN(taken, holds_a_run(files, candidate));
        if (!taken) { return ClaimedDirectory{std::move(candidate), std::move(attempt.lock)}; }
      }
    }
    candidate = fmt::format("{}-{}", wanted.string(), number);
  }
}

void remove_temporaries(FileSystem& files, const fs::path& directory) {
  for (const std::string_view file : kFilesOfARun) { remove_temporaries_of(files, directory, file); }
  remove_temporaries_of(files, directory / "checkpoints", "checkpoint-");
}

}  // namespace tributary
