// SPDX-License-Identifier: Apache-2.0
// What a session keeps of MPI.
#pragma once

#include <mpi.h>

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "tributary/mpi/driver.hpp"

namespace tributary {

struct MpiSession::State {
  MPI_Comm start_up = MPI_COMM_NULL;  // agree() alone
};

namespace internal {

// Ends the process with `exit_code` and `message` on standard error, after `last`, if it is not disarmed in time: for
// the few calls of MPI that wait for other ranks and know no deadline.
class Watchdog {
 public:
  Watchdog(std::chrono::nanoseconds patience, int exit_code, std::string message, std::function<void()> last = {});
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

 private:
  std::mutex mutex_;
  std::condition_variable done_;
  bool disarmed_ = false;
  std::thread thread_;
};

// A communicator of its own with the ranks of the job, which returns errors.
class Communicator {
 public:
  // Collective.
  Communicator();
  // Collective; left alone if the job has lost a rank.
  void free();
  [[nodiscard]] MPI_Comm get() const noexcept { return communicator_; }

 private:
  MPI_Comm communicator_ = MPI_COMM_NULL;
};

}  // namespace internal
}  // namespace tributary
