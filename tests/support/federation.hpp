// SPDX-License-Identifier: Apache-2.0
// Trees and plans for tests, and an observer that keeps in memory what a run directory would keep.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <thread>
#include <vector>

#include "tributary/aggregators/builtin.hpp"
#include "tributary/nodes/driver.hpp"
#include "tributary/run/plan.hpp"
#include "tributary/wire/codecs.hpp"

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

inline Configuration rounds(std::uint64_t count) {
  Configuration configuration;
  configuration.rounds = count;
  return configuration;
}

inline Result<Plan> make_plan(const Configuration& configuration, const Tree& tree, const TrainerFactory& factory) {
  ExtensionRegistry registry;
  register_builtin_aggregators(registry);
  register_builtin_codecs(registry);
  return Plan::create(configuration, tree, factory, registry);
}

class MemoryObserver final : public RunObserver {
 public:
  using Clock = std::chrono::steady_clock;

  explicit MemoryObserver(std::size_t parameters, std::uint64_t checkpoint_every = 1)
      : every_(checkpoint_every), saved_(parameters, 0.0F), final_(parameters, 0.0F) {}

  Result<RootState> restore() override {
    called();
    ++starts;
    if (!restore_error.ok()) { return restore_error; }
    if (starts == 1) { last_mark_ = Clock::now(); }
    return RootState{saved_round_, saved_version_, std::make_shared<std::vector<float>>(saved_),
                     done_,        saved_tasks_,   saved_snapshot_,
                     /*epoch=*/0,  saved_world_};
  }
  [[nodiscard]] bool may_keep_worlds() const override { return keeps_worlds; }
  bool keeps_world(const RoundReport& report) override { return keeps_worlds && report.round.value % every_ == 0; }
  Result<bool> published(const RoundReport& report, const ModelValues& model, ModelEvaluator& evaluator,
                         const DriverStatistics& statistics) override {
    called();
    round_times[report.round.value] = Clock::now() - last_mark_;
    clocks[report.round.value] = statistics.clock;
    order.push_back(report.round.value);
    reports[report.round.value] = report;
    models[report.round.value] = *model;
    final_ = *model;
    if (report.round.value % every_ == 0) {
      saved_ = *model;
      saved_snapshot_ = report.snapshot ? *report.snapshot : Snapshot{};
      saved_round_ = report.round;
      saved_version_ = report.version;
      saved_tasks_ = report.tasks;
      saved_world_ = report.world;
    }
    Result<bool> stop = on_published ? on_published(report, model, evaluator, statistics) : Result<bool>(false);
    last_mark_ = Clock::now();
    return stop;
  }
  [[nodiscard]] Version durable() const override { return saved_version_; }
  void trained(std::uint64_t more) override {
    called();
    tasks += more;
  }
  Status halted(const ModelValues& model, const std::shared_ptr<const Snapshot>& /*snapshot*/) override {
    called();
    halted_once = true;
    halted_model = model;
    return {};
  }
  void noted(const NodeEvent& note) override {
    called();
    ++notes[note.kind];
    heard.push_back(note);
  }

  // Starts the run there instead of at the beginning.
  void start_from(Round round, Version version, std::vector<float> model, bool done = false) {
    saved_round_ = round;
    saved_version_ = version;
    final_ = model;
    saved_ = std::move(model);
    done_ = done;
  }

  // Likewise where another observer has saved last.
  void start_from(const MemoryObserver& other) {
    saved_round_ = other.saved_round_;
    saved_version_ = other.saved_version_;
    saved_ = other.saved_;
    final_ = other.saved_;
    saved_snapshot_ = other.saved_snapshot_;
    saved_tasks_ = other.saved_tasks_;
    saved_world_ = other.saved_world_;
  }
  [[nodiscard]] Round saved_round() const { return saved_round_; }
  [[nodiscard]] const std::shared_ptr<const std::vector<std::byte>>& world() const { return saved_world_; }
  void set_world(std::vector<std::byte> world) {
    saved_world_ = std::make_shared<const std::vector<std::byte>>(std::move(world));
  }

  [[nodiscard]] const std::vector<float>& model() const { return final_; }
  // What was last saved with a model.
  [[nodiscard]] const Snapshot& snapshot() const { return saved_snapshot_; }
  [[nodiscard]] std::chrono::nanoseconds longest_round() const {
    std::chrono::nanoseconds longest{0};
    for (const auto& [round, time] : round_times) { longest = std::max(longest, time); }
    return longest;
  }

  // What restore() and published() answer, if not the usual.
  Status restore_error;
  std::function<Result<bool>(const RoundReport&, const ModelValues&, ModelEvaluator&, const DriverStatistics&)>
      on_published;

  bool keeps_worlds = false;         // with what it saves
  std::vector<std::uint64_t> order;  // of the rounds published
  std::map<std::uint64_t, RoundReport> reports;
  std::map<std::uint64_t, std::vector<float>> models;
  std::map<std::uint64_t, std::chrono::nanoseconds> round_times;  // real time, less what the observer took itself
  std::map<std::uint64_t, std::chrono::nanoseconds> clocks;       // of the driver, when the round was published
  std::map<NodeEvent::Kind, int> notes;
  std::vector<NodeEvent> heard;
  std::uint64_t tasks = 0;
  int starts = 0;
  std::uint64_t calls = 0;
  bool called_on_other_thread = false;
  bool halted_once = false;
  ModelValues halted_model;
  bool called_after_halt = false;

 private:
  void called() {
    ++calls;
    if (halted_once) { called_after_halt = true; }
    if (std::this_thread::get_id() != thread_) { called_on_other_thread = true; }
  }

  std::uint64_t every_;
  std::vector<float> saved_;
  std::vector<float> final_;
  Round saved_round_;
  Version saved_version_;
  Snapshot saved_snapshot_;
  std::uint64_t saved_tasks_ = 0;
  std::shared_ptr<const std::vector<std::byte>> saved_world_;
  bool done_ = false;
  Clock::time_point last_mark_ = Clock::now();
  std::thread::id thread_ = std::this_thread::get_id();
};

}  // namespace tributary::testing
