// SPDX-License-Identifier: Apache-2.0
// One owner of a run directory at a time: whoever writes there holds the lock on its file run.lock. The operating
// system frees the lock when the owner's process ends, however that happens; the file itself stays.
//
// Life cycle: claim, keep the lock as long as anything is written, destroy it.
// Hosts:      on a shared file system the lock holds between hosts too, if it is mounted with locks (NFS, Lustre and
//             GPFS can be). Where there are no locks a claim is an error: two owners would ruin the run.
// Errors:     kInvalidArgument: somebody else owns the directory; the message says which process, where and since when.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "tributary/base/file_system.hpp"
#include "tributary/base/status.hpp"

namespace tributary {

// Of an existing directory.
Result<std::unique_ptr<FileLock>> claim_run_directory(FileSystem& files, const std::filesystem::path& directory);

// Who writes in the directory now: "process 17 since ... on host ..."; empty if nobody does, or if that cannot be found
// out. Holds the lock itself for a moment, unless there is no lock file yet.
[[nodiscard]] std::string owner_of_run_directory(FileSystem& files, const std::filesystem::path& directory);

struct ClaimedDirectory {
  std::filesystem::path path;
  std::unique_ptr<FileLock> lock;
};

// For a new run: the first of `wanted`, `wanted`-2, `wanted`-3, ... that holds no run and that nobody else has claimed,
// made if need be. However many processes ask at once, each gets a directory of its own.
Result<ClaimedDirectory> claim_free_directory(FileSystem& files, const std::filesystem::path& wanted);

// Removes what write_atomically() left of the files of a run when its process was killed. For the directory's owner.
void remove_temporaries(FileSystem& files, const std::filesystem::path& directory);

}  // namespace tributary
