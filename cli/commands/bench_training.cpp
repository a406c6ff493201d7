// SPDX-License-Identifier: Apache-2.0
#include "commands/bench_training.hpp"
#include "commands/bench_loops.hpp"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>
#include <vector>

#include "commands/load.hpp"
#include "console/json_output.hpp"
#include "tributary/simulation/driver.hpp"

namespace tributary::cli {
namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

// Of all rounds of one run.
struct Times {
  double wall = 0.0;
  double busy = 0.0;  // in trainers, summed over threads
};

// Keeps nothing, and measures no model.
class Rounds final : public RunObserver {
 public:
  explicit Rounds(std::vector<float> initial) : initial_(std::move(initial)) {}

  Result<RootState> restore() override {
    start_ = Clock::now();
    return RootState{{}, {}, std::make_shared<std::vector<float>>(std::move(initial_))};
  }
  Result<bool> published(const RoundReport& report, const ModelValues& /*model*/, ModelEvaluator& /*evaluator*/,
                         const DriverStatistics& statistics) override {
    if (!report.committed) { return internal_error("a round was abandoned"); }
    times.wall = Seconds(Clock::now() - start_).count();
    times.busy = Seconds(statistics.train_time).count();
    return false;
  }

  Times times;

 private:
  std::vector<float> initial_;
  Clock::time_point start_;
};

Result<Times> run_federation(const PreparedRun& composition, std::uint32_t threads) {
  TRIBUTARY_ASSIGN_OR_RETURN(std::vector<float> initial,
                             composition.factory->initial_model(composition.plan.configuration().seed));
  Rounds rounds(std::move(initial));
  SimulationDriver driver({.threads = threads});
  TRIBUTARY_RETURN_IF_ERROR(driver.run(composition.plan, *composition.factory, rounds));
  return rounds.times;
}

// The same tasks in the same rounds, by as many threads that take one after the other; nothing is merged.
Result<Times> run_bare(const PreparedRun& composition, std::uint32_t threads) {
  const Plan& plan = composition.plan;
  const Tree& tree = plan.tree();
  Drift drift;
  if (plan.local_method() != nullptr) {
    TRIBUTARY_ASSIGN_OR_RETURN(drift, plan.local_method()->drift({.spec = plan.spec(), .broadcast = {}, .state = {}}));
  }
  TRIBUTARY_ASSIGN_OR_RETURN(std::vector<float> initial, composition.factory->initial_model(plan.configuration().seed));
  const auto base = std::make_shared<const std::vector<float>>(std::move(initial));
  std::vector<std::unique_ptr<Trainer>> trainers;
  for (std::uint32_t i = 0; i < threads; ++i) {
    TRIBUTARY_ASSIGN_OR_RETURN(std::unique_ptr<Trainer> trainer, composition.factory->create());
    trainers.push_back(std::move(trainer));
  }
  std::atomic<std::int64_t> busy{0};
  std::atomic<bool> failed{false};
  const auto start = Clock::now();
  for (std::uint64_t round = 1; round <= plan.configuration().rounds; ++round) {
    std::atomic<std::uint32_t> next{0};
    std::vector<std::thread> crew;
    for (const auto& trainer : trainers) {
      crew.emplace_back([&, own = trainer.get()] {
        const auto begun = Clock::now();
        for (std::uint32_t client = next++; client < tree.clients(); client = next++) {
          TrainTask task = plan.train_task(tree.client_node(ClientIndex{client}),
                                           {.key = {0, round}, .global_round = Round{round}, .base = base});
          task.drift = drift;
          if (!own->train(task).ok()) { failed = true; }
        }
        busy += std::chrono::nanoseconds(Clock::now() - begun).count();
      });
    }
    for (std::thread& one : crew) { one.join(); }
  }
  const double wall = Seconds(Clock::now() - start).count();
  if (failed) { return internal_error("a client could not train"); }
  return Times{wall, Seconds(std::chrono::nanoseconds(busy.load())).count()};
}

struct Options {
  std::shared_ptr<ConfigurationOptions> configuration;
  std::uint32_t repeats = 3;
  bool json = false;
};

Status run_bench(const Context& context, const Options& options) {
  TRIBUTARY_ASSIGN_OR_RETURN(Configuration configuration, load_configuration(*options.configuration));
  const std::uint32_t threads = thread_count(configuration);
  TRIBUTARY_ASSIGN_OR_RETURN(const Loaded loaded, load_federation(std::move(configuration)));
  if (const LocalMethod* method = loaded.composition.plan.local_method(); method != nullptr && method->keeps_state()) {
    return configuration_error(
        "this measures training, and no state of clients is kept for it: choose an algorithm.kind whose clients have "
        "none");
  }
  std::vector<double> idle;
  std::vector<double> ratios;
  std::vector<double> walls;
  for (std::uint32_t repeat = 0; repeat < options.repeats; ++repeat) {
    TRIBUTARY_ASSIGN_OR_RETURN(const Times federation, run_federation(loaded.composition, threads));
    TRIBUTARY_ASSIGN_OR_RETURN(const Times bare, run_bare(loaded.composition, threads));
    idle.push_back(1.0 - federation.busy / (threads * federation.wall));
    ratios.push_back(federation.wall / bare.wall);
    walls.push_back(federation.wall);
  }
  const Plan& plan = loaded.composition.plan;
  const nlohmann::ordered_json facts{
      {"schema", 1},
      {"bench", "training"},
      {"clients", plan.tree().clients()},
      {"threads", threads},
      {"rounds", plan.configuration().rounds},
      {"repeats", options.repeats},
      {"round_seconds", rounded(median(walls) / static_cast<double>(plan.configuration().rounds))},
      {"idle_share", rounded(median(idle))},
      {"over_bare_loop", rounded(median(ratios))}};
  if (options.json) {
    print_json(context.out, facts, -1);
    return {};
  }
  for (const auto& [key, value] : facts.items()) {
    if (key != "schema") {
      context.out << fmt::format("{:<28} {}\n", key, value.is_string() ? value.get<std::string>() : value.dump());
    }
  }
  return {};
}

}  // namespace

Action setup_bench_training(CLI::App& app) {
  auto options = std::make_shared<Options>();
  options->configuration = ConfigurationOptions::declare(app);
  app.add_flag("--json", options->json, "One JSON object");
  app.add_option("--repeats", options->repeats, "Measured repeats")
      ->capture_default_str()
      ->check(CLI::Range(1U, 1000U));
  app.footer(
      "Example:\n"
      "  tributary bench training configs/quickstart.yaml --set rounds=2 --set topology.star=16");
  return [options](const Context& context) { return run_bench(context, *options); };
}

}  // namespace tributary::cli
