// SPDX-License-Identifier: Apache-2.0
// The job that this process is a part of, if mpirun or srun has started it. Without them MPI is never touched.
//
// Threads: one thread.
#pragma once

#include <atomic>
#include <filesystem>
#include <memory>
#include <string>

#include "commands/load.hpp"
#include "tributary/base/status.hpp"
#include "tributary/nodes/driver.hpp"

namespace tributary {
class MpiSession;
}

namespace tributary::cli {

// True if a launcher has made this process part of a job.
[[nodiscard]] bool in_job() noexcept;
// False on all processes of a job but the first one: they say nothing unless --all-ranks is given.
[[nodiscard]] bool speaks_for_job() noexcept;

// How long messages may take, who works where, and when to stop.
struct JobSettings {
  std::uint32_t threads = 0;  // 0: the machine's cores, shared by its ranks
  double lost_after_s = 15.0;
  std::function<double(ClientIndex)> work;
  const std::atomic<bool>* stop_now = nullptr;
  std::filesystem::path state_directory;  // of the states of clients; known to the first rank
  bool keeps_states = false;
  std::size_t parameters = 0;  // of the model
};

class ProcessGroup {
 public:
  virtual ~ProcessGroup() = default;

  // Starts MPI, at the first call. kUnsupported: this build has none.
  static Result<ProcessGroup*> join();
  // Ends the process with `exit_code` if a job was joined; returns it otherwise, a failure of a silent rank after a
  // moment in which the first can say what is wrong.
  static int leave(int exit_code);

  [[nodiscard]] virtual bool is_first() const noexcept = 0;
  [[nodiscard]] virtual std::string describe() const = 0;
  // All ranks call it with what they have, or with why they have nothing, and get the same answer.
  virtual Status agree(const Status& mine, const PreparedRun* composition) = 0;
  // For the first rank to run a federation with, once per run.
  virtual std::unique_ptr<Driver> driver(JobSettings settings) = 0;
  // What the other ranks do meanwhile.
  virtual Status serve(const PreparedRun& composition, JobSettings settings) = 0;
  [[nodiscard]] virtual MpiSession& session() noexcept = 0;
  // A rank was lost on the way: what was run did not have everybody.
  [[nodiscard]] virtual bool has_lost_ranks() const noexcept = 0;
};

}  // namespace tributary::cli
