// SPDX-License-Identifier: Apache-2.0
// How fast the devices of simulated clients are, by a configuration's `simulation.devices.slowness`: all alike, drawn
// by the run's seed, stated in the topology, or taken from a trace of real devices.
//
// Threads: immutable after creation; const calls may run together.
// Memory:  nothing where speeds are drawn; 8 bytes a client where they are stated or taken from a trace.
#pragma once

#include <cstdint>
#include <vector>

#include "tributary/base/ids.hpp"
#include "tributary/base/status.hpp"
#include "tributary/config/configuration.hpp"
#include "tributary/nodes/tree.hpp"

namespace tributary {

class DeviceSpeeds {
 public:
  // A stated slowness stands as `extra.slowness` at a client, or at a node above it, for all below that say nothing of
  // their own. A trace is a table with a column `slowness`, and `client` where its rows belong to clients by their
  // names; without that column each client draws one of the rows. All are from 0.001 to 1,000. kConfiguration: no or
  // wrong statements; kBadData, kNotFound, kIo: of the trace, by its name and line.
  static Result<DeviceSpeeds> create(const Configuration& configuration, const Tree& tree);

  // How many times as long as `simulation.compute_seconds_per_sample` says the client works. The same in every run of
  // the same seed.
  [[nodiscard]] double slowness(ClientIndex client) const noexcept;

 private:
  SimulationConfig::Devices devices_;
  std::uint64_t seed_ = 0;
  std::vector<double> stated_;  // by client; empty: drawn
};

}  // namespace tributary
