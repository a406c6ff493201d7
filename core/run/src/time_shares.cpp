// SPDX-License-Identifier: Apache-2.0
#include "tributary/run/time_shares.hpp"

#include <algorithm>
#include <cmath>
#include <string_view>

namespace tributary {
namespace {

// Records are read from files: a number there may be anything.
double number_of(const Record& record, std::string_view key) {
  const double value = record.number(key);
  return std::isfinite(value) ? std::max(0.0, value) : 0.0;
}

}  // namespace

void TimeAccount::set_run(const Record& run) {
  expected_threads_ = std::max(1.0, number_of(run, "threads"));
  expected_processes_ = std::max(1.0, number_of(run, "processes"));
}

void TimeAccount::add_round(const Record& round) {
  seconds_ += number_of(round, "seconds");
  train_ += number_of(round, "train_seconds");
  merge_ += number_of(round, "merge_seconds");
  evaluate_ += number_of(round, "evaluate_seconds");
  checkpoint_ += number_of(round, "checkpoint_seconds");
}

void TimeAccount::add_process(const Record& where) {
  ++processes_;
  threads_ += where.find("threads") == nullptr ? expected_threads_ : std::max(1.0, number_of(where, "threads"));
}

TimeShares TimeAccount::shares() const {
  return divide(seconds_, train_, merge_, evaluate_, checkpoint_);
}

TimeShares TimeAccount::shares_of(const Record& round) const {
  return divide(number_of(round, "seconds"), number_of(round, "train_seconds"), number_of(round, "merge_seconds"),
                number_of(round, "evaluate_seconds"), number_of(round, "checkpoint_seconds"));
}

// What is measured exactly comes first; training, whose threads are many, gets no more than the others leave.
TimeShares TimeAccount::divide(double seconds, double train, double merge, double evaluate, double checkpoint) const {
  const double processes = processes_ > 0 ? static_cast<double>(processes_) : expected_processes_;
  const double threads = processes_ > 0 ? threads_ : expected_threads_ * expected_processes_;
  double left = seconds;
  const auto take = [&left](double time) {
    const double taken = std::min(time, left);
    left -= taken;
    return taken;
  };
  TimeShares shares;
  shares.checkpoints = take(checkpoint);
  shares.evaluation = take(evaluate);
  shares.merging = take(merge / processes);
  shares.training = take(train / threads);
  shares.other = left;
  return shares;
}

}  // namespace tributary
