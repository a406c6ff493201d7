// SPDX-License-Identifier: Apache-2.0
// Runs one program to its end, within a bound.
//
// Threads: run() may be called from several threads at once. It blocks, and leaves no process of the program's group.
#pragma once

#include <atomic>
#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "tributary/base/status.hpp"

namespace tributary::internal {

class ProgramWorkspace;

struct ChildProcess {
  std::vector<std::string> arguments;           // the program first; looked up in PATH if it has no slash
  std::filesystem::path working_directory;      // empty: this process's
  const ProgramWorkspace* workspace = nullptr;  // null, or: is told of the process, and gives its mark
  std::chrono::milliseconds timeout{0};
  const std::atomic<bool>* cancel = nullptr;  // null, or: end the program soon after it becomes true
};

// The end of its output, if the program ended by itself with exit code 0. kUnavailable: it could not be started, failed
// or was killed, with the end of its output; kDeadlineExceeded; kCancelled; kIo: the system has no processes or files
// left.
//
// Environment: that of this process, but without variables whose names speak of secrets (SECRET, TOKEN, PASSW...,
// PASSPHRASE, CREDENTIAL, APIKEY, ..._KEY..., PRIVATE, ..._AUTH...) and those of an MPI job (OMPI_, PMIX_, PMI_, PRTE_,
// HYDRA_), which would make a program that uses MPI itself take part in this job.
Result<std::string> run(const ChildProcess& child);

}  // namespace tributary::internal
