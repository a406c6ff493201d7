// SPDX-License-Identifier: Apache-2.0
// The simulation driver under the contract of all drivers.
#include "contract/driver_contract.hpp"

#include "tributary/simulation/driver.hpp"

namespace tributary::testing {
namespace {

DriverCase simulation(std::string name, SimulationConfig::Clock clock, std::uint32_t threads) {
  return {.name = std::move(name),
          .make =
              [clock, threads](const ComputeTime& compute_time) {
                SimulationSettings settings{.threads = threads, .compute_time = compute_time};
                settings.simulation.clock = clock;
                return std::make_unique<OneProcessDriver>(std::make_unique<SimulationDriver>(std::move(settings)));
              },
          .real_time = clock == SimulationConfig::Clock::kReal};
}

using Clock = SimulationConfig::Clock;

INSTANTIATE_TEST_SUITE_P(Simulation, DriverContract,
                         ::testing::Values(simulation("VirtualClock", Clock::kVirtual, 1),
                                           simulation("VirtualClockTwoThreads", Clock::kVirtual, 2),
                                           simulation("VirtualClockFourThreads", Clock::kVirtual, 4),
                                           simulation("RealClock", Clock::kReal, 1),
                                           simulation("RealClockTwoThreads", Clock::kReal, 2)),
                         case_name);

}  // namespace
}  // namespace tributary::testing
