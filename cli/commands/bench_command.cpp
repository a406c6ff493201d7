// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <sys/resource.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "commands/bench_loops.hpp"
#include "commands/bench_training.hpp"
#include "commands/bench_transport.hpp"
#include "commands/command.hpp"
#include "commands/load.hpp"
#include "console/json_output.hpp"
#include "tributary/base/printable.hpp"
#include "tributary/nodes/exact_accumulator.hpp"
#include "tributary/simulation/driver.hpp"

namespace tributary::cli {
namespace {

using Clock = std::chrono::steady_clock;
using Facts = nlohmann::ordered_json;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

void print(const Context& context, bool json, const Facts& facts) {
  if (json) {
    print_json(context.out, facts, -1);
    return;
  }
  for (const auto& [key, value] : facts.items()) {
    if (key == "schema") { continue; }
    context.out << fmt::format("{:<28} {}\n", key,
                               value.is_string() ? printable_text(value.get<std::string>()) : value.dump());
  }
}

// One core merges an update into exact sums; beside it, in turn, a float32 axpy over the same values.
Status bench_merge(const Context& context, bool json, std::uint64_t parameters, std::uint32_t repeats) {
  std::vector<float> update(parameters);
  for (std::size_t i = 0; i < update.size(); ++i) { update[i] = static_cast<float>(i % 2001) * 1e-5F - 0.01F; }
  std::vector<float> plain(parameters, 0.0F);
  const Weight weight = Weight::from(100.0).value();
  ExactAccumulator sums;
  sums.begin(parameters, ExactScale::fine(Weight::from(100.0 * (repeats + 1)).value(), repeats + 1));
  const double gigabytes = static_cast<double>(parameters) * sizeof(float) / 1e9;
  std::vector<double> exact_rates;
  std::vector<double> axpy_rates;
  std::vector<double> ratios;
  for (std::uint32_t repeat = 0; repeat <= repeats; ++repeat) {
    auto start = Clock::now();
    TRIBUTARY_RETURN_IF_ERROR(sums.add(update, weight));
    const double exact = seconds_since(start);
    start = Clock::now();
    axpy(100.0F, update, plain);
    const double axpy = seconds_since(start);
    if (repeat == 0) { continue; }  // brings the pages in
    exact_rates.push_back(gigabytes / exact);
    axpy_rates.push_back(gigabytes / axpy);
    ratios.push_back(axpy / exact);
  }
  print(context, json,
        {{"schema", 1},
         {"bench", "merge"},
         {"parameters", parameters},
         {"repeats", repeats},
         {"exact_gb_per_s", rounded(median(exact_rates))},
         {"axpy_gb_per_s", rounded(median(axpy_rates))},
         {"exact_over_axpy", rounded(median(ratios))},
         {"accumulator_bytes", sums.memory()},
         {"checksum", static_cast<double>(plain[parameters / 2])}});
  return {};
}

// Notes when each round ended; keeps nothing else.
class RoundTimer final : public RunObserver {
 public:
  explicit RoundTimer(std::vector<float> initial) : initial_(std::move(initial)) {}

  Result<RootState> restore() override {
    last_ = Clock::now();
    return RootState{{}, {}, std::make_shared<std::vector<float>>(std::move(initial_))};
  }
  Result<bool> published(const RoundReport& report, const ModelValues& /*model*/, ModelEvaluator& /*evaluator*/,
                         const DriverStatistics& /*statistics*/) override {
    if (!report.committed) { return internal_error("a round was abandoned"); }
    const auto now = Clock::now();
    seconds.push_back(std::chrono::duration<double>(now - last_).count());
    last_ = now;
    return false;
  }

  std::vector<double> seconds;

 private:
  std::vector<float> initial_;
  Clock::time_point last_;
};

struct EchoRun {
  std::vector<double> round_seconds;
  DriverStatistics statistics;
  std::uint32_t clients = 0;
  std::uint32_t height = 0;
};

Result<EchoRun> run_echo(std::uint64_t parameters, std::vector<std::uint32_t> widths, std::uint64_t rounds,
                         std::uint32_t threads) {
  Configuration configuration;
  configuration.rounds = rounds;
  configuration.topology.kind = TopologyConfig::Kind::kWidths;
  configuration.topology.widths = std::move(widths);
  configuration.data.source = DataConfig::Source::kNone;
  configuration.model.kind = "echo";
  configuration.model.parameters = parameters;
  configuration.trainer.kind = "echo";
  TRIBUTARY_ASSIGN_OR_RETURN(const Loaded loaded, load_federation(std::move(configuration)));
  const PreparedRun& composition = loaded.composition;
  TRIBUTARY_ASSIGN_OR_RETURN(std::vector<float> initial, composition.factory->initial_model(1));
  RoundTimer timer(std::move(initial));
  SimulationDriver driver({.threads = threads});
  TRIBUTARY_RETURN_IF_ERROR(driver.run(composition.plan, *composition.factory, timer));
  return EchoRun{std::move(timer.seconds), driver.statistics(), composition.plan.tree().clients(),
                 composition.plan.tree().height()};
}

// Everything of a round but training: root, 8 aggregators, 64 clients that return what they are given.
Status bench_round(const Context& context, bool json, std::uint64_t parameters, std::uint32_t rounds) {
  TRIBUTARY_ASSIGN_OR_RETURN(const EchoRun run, run_echo(parameters, {8, 64}, rounds, 1));
  // The first rounds bring code and memory in.
  const std::size_t warm = std::min<std::size_t>(5, run.round_seconds.size() / 2);
  const std::vector<double> warm_rounds(run.round_seconds.begin() + static_cast<std::ptrdiff_t>(warm),
                                        run.round_seconds.end());
  print(context, json,
        {{"schema", 1},
         {"bench", "round"},
         {"parameters", parameters},
         {"clients", run.clients},
         {"tiers", run.height + 1},
         {"rounds", rounds},
         {"first_round_ms", rounded(run.round_seconds.front() * 1e3)},
         {"round_ms", rounded(median(warm_rounds) * 1e3)},
         {"slowest_round_ms", rounded(*std::max_element(warm_rounds.begin(), warm_rounds.end()) * 1e3)},
         {"messages_per_round", run.statistics.traffic.total().messages / rounds}});
  return {};
}

// The largest memory of a process that holds a root with 64 echo clients of a large model.
Status bench_memory(const Context& context, bool json, std::uint64_t parameters, std::uint32_t clients) {
  TRIBUTARY_ASSIGN_OR_RETURN(const EchoRun run, run_echo(parameters, {clients}, 3, 1));
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const double megabyte = 1e6;
  const double model = static_cast<double>(parameters) * sizeof(float) / megabyte;
  const double resident = static_cast<double>(usage.ru_maxrss) * 1024.0 / megabyte;
  print(context, json,
        {{"schema", 1},
         {"bench", "memory"},
         {"clients", run.clients},
         {"model_mb", rounded(model)},
         {"max_rss_mb", rounded(resident)},
         {"bound_mb", rounded(3.0 * model + 100.0)},
         {"round_ms", rounded(median(run.round_seconds) * 1e3)}});
  return {};
}

using Bench = Status (*)(const Context&, bool, std::uint64_t, std::uint32_t);

Action setup_bench(CLI::App& app, Bench bench, std::uint64_t parameters, std::string_view count_option,
                   std::uint32_t count, std::string_view count_help, std::string_view example) {
  struct Options {
    bool json = false;
    std::uint64_t parameters;
    std::uint32_t count;
  };
  auto options = std::make_shared<Options>(Options{false, parameters, count});
  app.add_flag("--json", options->json, "One JSON object");
  app.add_option("--parameters", options->parameters, "float32 values of the model")
      ->capture_default_str()
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1} << 28U));
  app.add_option(std::string(count_option), options->count, std::string(count_help))
      ->capture_default_str()
      ->check(CLI::Range(1U, 1000000U));
  app.footer("Example:\n  " + std::string(example));
  return [options, bench](const Context& context) {
    return bench(context, options->json, options->parameters, options->count);
  };
}

constexpr Command kBenches[] = {
    {"merge", "Exact sums against a float32 axpy, on one core",
     [](CLI::App& app) {
       return setup_bench(app, bench_merge, 25'000'000, "--repeats", 11, "Measured repeats",
                          "tributary bench merge --json");
     }},
    {"round", "Everything of a round but training: 64 echo clients under 8 aggregators",
     [](CLI::App& app) {
       return setup_bench(app, bench_round, 1000, "--rounds", 300, "Rounds", "tributary bench round --json");
     }},
    {"memory", "Largest memory with 64 echo clients of a 100 MB model",
     [](CLI::App& app) {
       return setup_bench(app, bench_memory, 25'000'000, "--clients", 64, "Clients of the root",
                          "tributary bench memory --json");
     }},
    {"training", "How busy the training threads of a round are, beside a bare loop over the same tasks",
     setup_bench_training},
    {"transport", "Messages between processes against bare ones, and what an idle driver costs", setup_bench_transport},
};

}  // namespace

Command bench_command() {
  return {"bench", "Measure this machine and this build", [](CLI::App& app) { return setup_group(app, kBenches); }};
}

}  // namespace tributary::cli
