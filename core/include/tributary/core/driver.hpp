// SPDX-License-Identifier: Apache-2.0
// What carries out the actions of nodes: moves messages, keeps time, trains. The same nodes run on every driver.
//
// Life cycle: one run() per driver.
// Threads:    run() calls its observer on its own thread only.
#pragma once

#include <chrono>
#include <map>
#include <string_view>

#include "tributary/core/inner_node.hpp"
#include "tributary/core/plan.hpp"
#include "tributary/core/traffic.hpp"
#include "tributary/core/trainer.hpp"
#include "tributary/core/training_pool.hpp"

namespace tributary {

// What a driver has measured so far.
struct DriverStatistics {
  Traffic traffic;
  std::chrono::nanoseconds train_time{0};  // summed over threads
  std::chrono::nanoseconds merge_time{0};  // spent in inner nodes
  std::chrono::nanoseconds clock{0};       // virtual or real time since the start
  std::map<std::uint32_t, std::chrono::nanoseconds> merge_by_tier;
  std::uint64_t tasks_trained = 0;
  std::uint64_t events = 0;  // of the simulation
};

// Whoever runs a federation: told what the root does, asked where it starts.
class RunObserver {
 public:
  virtual ~RunObserver() = default;

  // Where the root starts: the beginning, or the last checkpoint. Called again when a driver restarts a killed root.
  virtual Result<RootState> restore() = 0;
  // The root closed a round; `model` is the root's model after it. Returns true to stop the run.
  virtual Result<bool> published(const RoundReport& report, const ModelValues& model, TrainingPool& pool,
                                 const DriverStatistics& statistics) = 0;
  // A client's task has been carried out.
  virtual void trained(NodeId /*client*/) {}
  virtual void noted(const NodeNote& /*note*/) {}
};

class Driver {
 public:
  virtual ~Driver() = default;

  // Runs the federation to its end. kUnavailable: too few nodes answered; the observer's errors as they are.
  virtual Status run(const Plan& plan, const TrainerFactory& factory, RunObserver& observer) = 0;
  [[nodiscard]] virtual const DriverStatistics& statistics() const noexcept = 0;
  // As records name it: "simulation".
  [[nodiscard]] virtual std::string_view name() const noexcept = 0;
  // Training threads of this process.
  [[nodiscard]] virtual std::uint32_t threads() const noexcept = 0;
};

}  // namespace tributary
