// SPDX-License-Identifier: Apache-2.0
#include "commands/load.hpp"

#include <fmt/format.h>
#include <unistd.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <string>
#include <string_view>
#include <thread>

#include "commands/wrong_file.hpp"
#include "tributary/aggregators/builtin.hpp"
#include "tributary/base/machine_memory.hpp"
#include "tributary/topology/read.hpp"
#include "tributary/training/devices.hpp"
#include "tributary/training/training_time.hpp"
#include "tributary/wire/codecs.hpp"

namespace tributary::cli {
namespace {

constexpr std::string_view kPrefix = "TRIBUTARY_";

// Every variable of ours, as an override that says where it comes from.
std::vector<std::string> environment_overrides() {
  std::vector<std::string> overrides;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    if (std::string_view(*entry).starts_with(kPrefix)) { overrides.push_back("env:" + std::string(*entry)); }
  }
  std::sort(overrides.begin(), overrides.end());
  return overrides;
}

}  // namespace

std::shared_ptr<ConfigurationOptions> ConfigurationOptions::declare(CLI::App& app) {
  auto options = std::make_shared<ConfigurationOptions>();
  app.add_option("configuration", options->file, "The federation's YAML file")->required()->type_name("FILE");
  app.add_option("--set", options->set, "Set a key, e.g. --set trainer.batch_size=16; may be repeated")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  return options;
}

Result<Configuration> load_configuration(const ConfigurationOptions& options) {
  std::vector<std::string> overrides = environment_overrides();
  overrides.insert(overrides.end(), options.set.begin(), options.set.end());
  Result<Configuration> configuration = read_configuration(options.file, overrides);
  if (configuration.ok()) { return configuration; }
  TRIBUTARY_RETURN_IF_ERROR(check_is_no_other_file(options.file));
  return configuration;
}

const ExtensionRegistry& known_extensions() {
  static const ExtensionRegistry registry = [] {
    ExtensionRegistry made;
    register_builtin_aggregators(made);
    register_builtin_codecs(made);
    return made;
  }();
  return registry;
}

const TrainerRegistry& known_trainers() {
  static const TrainerRegistry registry = [] {
    TrainerRegistry made;
    register_builtin_trainers(made);
    return made;
  }();
  return registry;
}

Result<Loaded> load_federation(Configuration configuration) {
  TRIBUTARY_ASSIGN_OR_RETURN(Topology topology, build_topology(configuration));
  Tree tree = topology.to_tree();
  TRIBUTARY_ASSIGN_OR_RETURN(PreparedRun composition, prepare_run(std::move(configuration), std::move(tree),
                                                                  known_extensions(), known_trainers()));
  return Loaded{std::move(topology), std::move(composition)};
}

std::function<double(ClientIndex)> client_work(const PreparedRun& composition) {
  if (composition.partition == nullptr) {
    return [](ClientIndex) { return 1.0; };
  }
  return [partition = composition.partition, configuration = composition.plan.configuration()](ClientIndex client) {
    return std::max(1.0, samples_of_task(configuration, partition->count(client)));
  };
}

SimulationSettings simulation_settings(const PreparedRun& run) {
  const Configuration& configuration = run.plan.configuration();
  SimulationSettings settings;
  settings.threads = thread_count(configuration);
  settings.simulation = configuration.simulation;
  if (configuration.simulation.compute_seconds_per_sample > 0.0) {
    settings.compute_time = [&run](ClientIndex client) { return run.training_time(client); };
    settings.evaluation_time = [&run](ClientIndex client) { return run.evaluation_time(client); };
  }
  if (configuration.simulation.devices.available_share < 1.0) {
    settings.until_available = [&configuration](ClientIndex client, std::chrono::nanoseconds now) {
      return until_available(configuration, client, now);
    };
  }
  if (configuration.simulation.devices.drop_out > 0.0) {
    settings.leaves_after = [&configuration](ClientIndex client, Round round, std::uint32_t attempt) {
      return leaves_after(configuration, client, round, attempt);
    };
  }
  return settings;
}

std::uint32_t thread_count(const Configuration& configuration) {
  return configuration.threads > 0 ? configuration.threads : std::max(1U, std::thread::hardware_concurrency());
}

Status check_memory(const Plan& plan) {
  const auto parameters = static_cast<double>(plan.spec().parameters());
  const double needed = 2.0 * sizeof(float) * parameters + static_cast<double>(plan.payload_bytes());
  return check_memory_for(
      needed, fmt::format("a model of {} parameters takes, with one client's and their sum,", plan.spec().parameters()),
      machine_memory());
}

}  // namespace tributary::cli
