// SPDX-License-Identifier: Apache-2.0
// The simulation driver: any number of nodes in one process, with a virtual or a real clock, and injected faults.
//
// Virtual clock: events happen in the order of their virtual time and, at one time, of their making. The same plan
// gives
//                the same events, records and model for any number of threads. Messages take what their link says
//                (bytes / rate + latency), training takes what SimulationConfig says; by default both take no time.
// Real clock:    training takes as long as it takes, timers are real.
// Faults:        messages are dropped, repeated and delayed (so reordered), nodes die and come back, all by a seed.
// Memory:        inner nodes exist from their first message on, clients only while they have something to do.
// Threads:       run() belongs to one thread; training uses as many as the settings say, run()'s own included.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "tributary/config/configuration.hpp"
#include "tributary/nodes/client_state.hpp"
#include "tributary/nodes/driver.hpp"

namespace tributary {

struct SimulationSettings {
  std::uint32_t threads = 1;
  SimulationConfig simulation;
  // Virtual time that one task of a client to train takes; none if empty.
  std::function<std::chrono::nanoseconds(ClientIndex)> compute_time;
  // The same of one that measures a model.
  std::function<std::chrono::nanoseconds(ClientIndex)> evaluation_time;
  // With the virtual clock: from `now` until the client's device is there; at once if empty.
  std::function<std::chrono::nanoseconds(ClientIndex, std::chrono::nanoseconds now)> until_available;
  // Likewise: after which part of a task the device leaves, in [0, 1), and the task fails; nothing, or empty: it stays.
  std::function<std::optional<double>(ClientIndex, Round, std::uint32_t attempt)> leaves_after;
  // Of the clients, where the method keeps any; must outlive the driver.
  ClientStateStore* client_states = nullptr;
  // Stop with kInternal after so many events: a safety net for tests; 0: none.
  std::uint64_t largest_events = 0;
};

class SimulationDriver final : public Driver {
 public:
  explicit SimulationDriver(SimulationSettings settings);
  ~SimulationDriver() override;

  Status run(const AgreedPlan& plan, const TrainerFactory& factory, RunObserver& observer) override;
  [[nodiscard]] const DriverStatistics& statistics() const noexcept override { return statistics_; }
  [[nodiscard]] std::string_view name() const noexcept override { return "simulation"; }
  [[nodiscard]] std::uint32_t threads() const noexcept override { return settings_.threads; }

 private:
  SimulationSettings settings_;
  DriverStatistics statistics_;
};

}  // namespace tributary
