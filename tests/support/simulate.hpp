// SPDX-License-Identifier: Apache-2.0
// Runs a federation in the simulation driver.
#pragma once

#include "support/federation.hpp"
#include "tributary/simulation/driver.hpp"

namespace tributary::testing {

struct Simulated {
  Status status;
  MemoryObserver observer;
  DriverStatistics statistics;
};

inline Simulated simulate(const Configuration& configuration, const Tree& tree, const TrainerFactory& factory,
                          SimulationSettings settings = {},
                          const std::function<void(MemoryObserver&)>& prepare = nullptr) {
  Simulated run{.status = {},
                .observer = MemoryObserver(factory.spec().parameters(), configuration.checkpoint.every),
                .statistics = {}};
  if (prepare) { prepare(run.observer); }
  const Result<Plan> plan = make_plan(configuration, tree, factory);
  if (!plan.ok()) {
    run.status = plan.status();
    return run;
  }
  settings.simulation = configuration.simulation;
  SimulationDriver driver(std::move(settings));
  run.status = driver.run(*plan, factory, run.observer);
  run.statistics = driver.statistics();
  return run;
}

}  // namespace tributary::testing
