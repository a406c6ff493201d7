// SPDX-License-Identifier: Apache-2.0
// What several commands do with a configuration: read it with overrides, build its tree, compose a plan.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tributary/config/configuration.hpp"
#include "tributary/nodes/extensions.hpp"
#include "tributary/run/prepared_run.hpp"
#include "tributary/simulation/driver.hpp"
#include "tributary/topology/topology.hpp"
#include "tributary/training/trainer_registry.hpp"

namespace CLI {
class App;
}

namespace tributary::cli {

// The options that name a configuration, the same for every command that takes one.
struct ConfigurationOptions {
  std::string file;
  std::vector<std::string> set;

  static std::shared_ptr<ConfigurationOptions> declare(CLI::App& app);
};

// Flags win over the environment (TRIBUTARY_TRAINER_BATCH_SIZE), which wins over the file.
Result<Configuration> load_configuration(const ConfigurationOptions& options);

// Policies, rules and trainers that this program knows.
const ExtensionRegistry& known_extensions();
const TrainerRegistry& known_trainers();

struct Loaded {
  Topology topology;
  PreparedRun composition;
};
Result<Loaded> load_federation(Configuration configuration);

// What one round costs a client, in samples that it trains on: for placing clients by their work. 1 without data. Keeps
// what it needs of the composition.
std::function<double(ClientIndex)> client_work(const PreparedRun& composition);

// kResourceExhausted: this machine cannot hold the model, what one client makes of it, and one sum.
Status check_memory(const Plan& plan);

// How a simulation carries the run. Keeps references to it.
SimulationSettings simulation_settings(const PreparedRun& run);

// Training threads of a run: as configured, or one per core.
std::uint32_t thread_count(const Configuration& configuration);

}  // namespace tributary::cli
