// SPDX-License-Identifier: Apache-2.0
#include "ineffective_settings.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace tributary::cli {
namespace {

bool has_links(const Tree& tree) {
  for (std::uint32_t n = 0; n < tree.size(); ++n) {
    if (tree.attributes(NodeId{n}).link != Link{}) { return true; }
  }
  return false;
}

// The first tier with a deadline.
std::optional<std::uint32_t> tier_with_deadline(const Configuration& configuration, const Tree& tree) {
  for (std::uint32_t tier = 0; tier < tree.height(); ++tier) {
    if (configuration.tier(tier).deadline_s > 0.0) { return tier; }
  }
  return std::nullopt;
}

// On the virtual clock only what is modelled takes time.
std::string about_deadlines(const Configuration& configuration, const Tree& tree) {
  const std::optional<std::uint32_t> tier = tier_with_deadline(configuration, tree);
  const SimulationConfig& simulation = configuration.simulation;
  if (!tier || simulation.clock == SimulationConfig::Clock::kReal) { return {}; }
  if (configuration.trainer.kind == "command") {
    return fmt::format(
        "tiers.{}.deadline_s does not bound how long a program runs, as simulation.clock is virtual: one that hangs is "
        "ended by trainer.timeout_s, after {} s; with simulation.clock: real the deadline counts real seconds",
        *tier, configuration.trainer.timeout_s);
  }
  const SimulationConfig::Faults& faults = simulation.faults;
  const bool faulty = faults.drop > 0.0 || faults.delay > 0.0 || faults.kill > 0.0;
  if (faulty || simulation.compute_seconds_per_sample > 0.0 || has_links(tree)) { return {}; }
  return fmt::format(
      "tiers.{}.deadline_s has no effect: on the virtual clock nothing takes time here; give links a bandwidth or a "
      "latency, set simulation.compute_seconds_per_sample, or set simulation.clock: real",
      *tier);
}

std::uint32_t most_children(const Tree& tree, std::uint32_t tier) {
  std::uint32_t most = 0;
  for (std::uint32_t n = 0; n < tree.size(); ++n) {
    if (!tree.is_client(NodeId{n}) && tree.tier(NodeId{n}) == tier) {
      most = std::max(most, static_cast<std::uint32_t>(tree.children(NodeId{n}).size()));
    }
  }
  return most;
}

}  // namespace

std::vector<std::string> ineffective_settings(const Configuration& configuration, const Tree& tree, bool in_job) {
  std::vector<std::string> sentences;
  if (in_job) {
    if (configuration.simulation != SimulationConfig()) {
      sentences.emplace_back("the section `simulation` of the configuration has no effect under mpirun");
    }
  } else {
    if (configuration.mpi != MpiConfig()) {
      sentences.emplace_back("the section `mpi` of the configuration has no effect without mpirun");
    }
    if (std::string text = about_deadlines(configuration, tree); !text.empty()) {
      sentences.push_back(std::move(text));
    }
  }
  for (std::uint32_t tier = 0; tier < tree.height(); ++tier) {
    const std::optional<std::uint32_t> count = configuration.tier(tier).cohort_count;
    if (!count) { continue; }
    if (const std::uint32_t most = most_children(tree, tier); *count > most) {
      sentences.push_back(
          fmt::format("tiers.{}.cohort.count {} has no effect: no node there has more than {} children, and all are "
                      "asked",
                      tier, *count, most));
    }
  }
  return sentences;
}

}  // namespace tributary::cli
