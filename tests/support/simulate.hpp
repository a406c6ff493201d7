// SPDX-License-Identifier: Apache-2.0
// Runs a federation in the simulation driver, keeping in memory what a run directory would keep.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "tributary/aggregators/builtin.hpp"
#include "tributary/core/driver.hpp"
#include "tributary/transport/simulation.hpp"

namespace tributary::testing {

// Breadth-first child counts of a tree in which every inner node of a tier has the same number of children.
inline std::vector<std::uint32_t> balanced_counts(std::uint32_t branching, std::uint32_t height) {
  std::vector<std::uint32_t> counts;
  std::uint32_t width = 1;
  for (std::uint32_t tier = 0; tier <= height; ++tier, width *= branching) {
    counts.insert(counts.end(), width, tier < height ? branching : 0);
  }
  return counts;
}

inline Tree make_tree(std::vector<std::uint32_t> child_counts) {
  return Tree::create({.child_counts = std::move(child_counts), .attributes = {}}).value();
}

class MemoryObserver final : public RunObserver {
 public:
  MemoryObserver(std::size_t parameters, std::uint64_t checkpoint_every = 1)
      : every_(checkpoint_every), saved_(parameters, 0.0F), final_(parameters, 0.0F) {}

  Result<RootState> restore() override {
    ++starts;
    return RootState{saved_round_, saved_version_, std::make_shared<std::vector<float>>(saved_)};
  }
  Result<bool> published(const RoundReport& report, const ModelValues& model, TrainingPool& /*pool*/,
                         const DriverStatistics& /*statistics*/) override {
    reports[report.round.value] = report;
    models[report.round.value] = *model;
    final_ = *model;
    if (report.round.value % every_ == 0) {
      saved_ = *model;
      saved_round_ = report.round;
      saved_version_ = report.version;
    }
    return false;
  }
  void noted(const NodeNote& note) override { ++notes[note.kind]; }

  [[nodiscard]] const std::vector<float>& model() const { return final_; }

  std::map<std::uint64_t, RoundReport> reports;
  std::map<std::uint64_t, std::vector<float>> models;
  std::map<NodeNote::Kind, int> notes;
  int starts = 0;

 private:
  std::uint64_t every_;
  std::vector<float> saved_;
  std::vector<float> final_;
  Round saved_round_;
  Version saved_version_;
};

struct Simulated {
  Status status;
  MemoryObserver observer;
  DriverStatistics statistics;
};

inline Simulated simulate(const Configuration& configuration, const Tree& tree, const TrainerFactory& factory,
                          SimulationSettings settings = {}) {
  ExtensionRegistry registry;
  register_builtin_aggregators(registry);
  Simulated run{.status = {},
                .observer = MemoryObserver(factory.spec().parameters(), configuration.checkpoint.every),
                .statistics = {}};
  Result<Plan> plan = Plan::create(configuration, tree, factory, registry);
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
