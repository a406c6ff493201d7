// SPDX-License-Identifier: Apache-2.0
// What goes wrong in a simulation, by a seed.
//
// Threads: one thread. Reproducible: the same calls in the same order get the same fates.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>

#include "tributary/base/duration.hpp"
#include "tributary/base/random.hpp"
#include "tributary/config/configuration.hpp"

namespace tributary::internal {

class FaultInjector {
 public:
  // An inner node dies at most so often in one run, a client in one task: faults end, so that runs can.
  static constexpr std::uint32_t kMostDeaths = 8;

  explicit FaultInjector(const SimulationConfig::Faults& faults)
      : faults_(faults), rng_(stream_seed(faults.seed, Purpose::kFaults)) {}

  struct Fate {
    bool dropped = false;
    bool repeated = false;
    std::chrono::nanoseconds delay{0};
    std::chrono::nanoseconds repeat_delay{0};
  };

  Fate fate_of_message() {
    Fate fate;
    if (faults_.drop > 0.0) { fate.dropped = rng_.chance(faults_.drop); }
    if (faults_.duplicate > 0.0 && rng_.chance(faults_.duplicate)) {
      fate.repeated = true;
      fate.repeat_delay = some_time(faults_.delay_s);
    }
    if (faults_.delay > 0.0 && rng_.chance(faults_.delay)) { fate.delay = some_time(faults_.delay_s); }
    return fate;
  }

  // Drawn when a node begins a piece of work: how many more events it sees before it dies, if it is to die.
  std::optional<std::uint64_t> events_to_live(std::uint64_t children) {
    if (faults_.kill <= 0.0 || !rng_.chance(faults_.kill)) { return std::nullopt; }
    return rng_.below(2 * children + 3);
  }

  std::chrono::nanoseconds time_down() { return some_time(faults_.down_s); }

  template <typename Archive>
  void persist(Archive& archive) {
    rng_.persist(archive);
  }

 private:
  std::chrono::nanoseconds some_time(double mean_seconds) {
    return std::max(std::chrono::nanoseconds{1}, to_nanoseconds(rng_.exponential() * mean_seconds));
  }

  SimulationConfig::Faults faults_;
  Rng rng_;
};

}  // namespace tributary::internal
