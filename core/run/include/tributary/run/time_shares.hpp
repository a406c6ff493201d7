// SPDX-License-Identifier: Apache-2.0
// What the time of rounds went into: one calculation for the terminal and for the report, so that they agree.
//
// Threads: values.
#pragma once

#include <cstddef>

#include "tributary/run/record.hpp"

namespace tributary {

// Of one round or of several together, in seconds. None is negative, and together they are `seconds`.
struct TimeShares {
  double training = 0.0;
  double merging = 0.0;
  double evaluation = 0.0;
  double checkpoints = 0.0;
  double other = 0.0;  // waiting, moving bytes, threads without work
};

// Adds up the times of `round` records, and learns from `where` records who shared the work.
class TimeAccount {
 public:
  // How many processes share the work, each with so many threads, until `where` records say it exactly.
  void set_run(const Record& run);
  void add_round(const Record& round);
  void add_process(const Record& where);
  [[nodiscard]] TimeShares shares() const;
  [[nodiscard]] double seconds() const noexcept { return seconds_; }

  // Of a single round, with the threads and processes known by now.
  [[nodiscard]] TimeShares shares_of(const Record& round) const;

 private:
  [[nodiscard]] TimeShares divide(double seconds, double train, double merge, double evaluate, double checkpoint) const;

  double expected_threads_ = 1.0;  // of each process
  double expected_processes_ = 1.0;
  double threads_ = 0.0;  // of all processes that were added
  std::size_t processes_ = 0;
  double seconds_ = 0.0;
  double train_ = 0.0;  // summed over threads
  double merge_ = 0.0;  // summed over processes
  double evaluate_ = 0.0;
  double checkpoint_ = 0.0;
};

}  // namespace tributary
