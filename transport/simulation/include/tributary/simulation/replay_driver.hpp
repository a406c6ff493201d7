// SPDX-License-Identifier: Apache-2.0
// Repeats a run in one process: tells every inner node what it was told then, in the same order, and lets everything
// else follow. The same nodes train, merge and commit, without a clock and without a network.
//
// Inputs:  of one run from its beginning, by node, as its nodes noted them (NodeInput). Those that came after the root
//          had its last model may be missing.
// Errors:  kBadData where a recorded input cannot happen: it names the node and the input. The observer's errors as
//          they are.
// Memory:  updates wait for the place in which they were counted, and models for the updates that start from them.
// Threads: run() belongs to one thread; training uses as many as the settings say, run()'s own included.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "tributary/nodes/client_state.hpp"
#include "tributary/nodes/driver.hpp"
#include "tributary/nodes/node_input.hpp"

namespace tributary {

struct ReplaySettings {
  std::uint32_t threads = 1;
  std::map<NodeId, std::vector<NodeInput>> inputs;
  // Of the clients, where the method keeps any; must outlive the driver.
  ClientStateStore* client_states = nullptr;
};

class ReplayDriver final : public Driver {
 public:
  explicit ReplayDriver(ReplaySettings settings);
  ~ReplayDriver() override;

  Status run(const AgreedPlan& plan, const TrainerFactory& factory, RunObserver& observer) override;
  [[nodiscard]] const DriverStatistics& statistics() const noexcept override { return statistics_; }
  [[nodiscard]] std::string_view name() const noexcept override { return "replay"; }
  [[nodiscard]] std::uint32_t threads() const noexcept override { return settings_.threads; }
  // Inputs that were told.
  [[nodiscard]] std::uint64_t told() const noexcept { return told_; }

 private:
  ReplaySettings settings_;
  DriverStatistics statistics_;
  std::uint64_t told_ = 0;
};

}  // namespace tributary
