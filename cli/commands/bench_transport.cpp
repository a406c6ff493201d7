// SPDX-License-Identifier: Apache-2.0
#include "commands/bench_transport.hpp"
#include "commands/bench_loops.hpp"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "commands/load.hpp"
#include "commands/process_group.hpp"
#include "console/json_output.hpp"
#include "tributary/topology/read.hpp"
#ifdef TRIBUTARY_WITH_MPI
#include "tributary/mpi/benchmark.hpp"
#include "tributary/mpi/driver.hpp"
#endif

namespace tributary::cli {
namespace {

struct Options {
  std::string driver = "mpi";
  bool json = false;
  std::uint32_t repeats = 9;
  std::vector<std::uint64_t> sizes;
};

#ifdef TRIBUTARY_WITH_MPI

using Clock = std::chrono::steady_clock;
using Facts = nlohmann::ordered_json;

const std::vector<std::uint64_t> kSizes{8,       64,      1024,     4096,     16384,    65536,
                                        1 << 20, 4 << 20, 16 << 20, 64 << 20, 256 << 20};
constexpr std::uint64_t kLargestLatency = 65536;  // above it rates are what matters
constexpr std::uint32_t kWarmRounds = 2;

[[gnu::noinline]] double timed_work() {
  const auto start = Clock::now();
  const volatile double checksum = arithmetic();
  static_cast<void>(checksum);
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Trains by working for a fixed time. One training thread in each process, so the times need no lock.
class WorkFactory final : public TrainerFactory {
 public:
  [[nodiscard]] const ParameterSpec& spec() const noexcept override { return spec_; }
  [[nodiscard]] Result<std::vector<float>> initial_model(std::uint64_t /*seed*/) const override {
    return std::vector<float>(spec_.parameters());
  }
  [[nodiscard]] double weight_bound(ClientIndex /*client*/) const override { return 1.0; }
  [[nodiscard]] Result<std::unique_ptr<Trainer>> create() const override {
    return std::unique_ptr<Trainer>(std::make_unique<WorkTrainer>(times));
  }

  mutable std::vector<double> times;

 private:
  class WorkTrainer final : public Trainer {
   public:
    explicit WorkTrainer(std::vector<double>& times) : times_(times) {}
    Result<TrainOutcome> train(const TrainTask& task) override {
      times_.push_back(timed_work());
      return TrainOutcome{.model = task.base, .weight = 1.0, .samples = 1, .steps = 1, .metrics = {}};
    }
    Result<Evaluation> evaluate(std::span<const float> /*model*/, std::uint32_t /*part*/,
                                std::uint32_t /*parts*/) override {
      return unsupported("there is nothing to measure");
    }

   private:
    std::vector<double>& times_;
  };

  ParameterSpec spec_ = ParameterSpec::create({{.name = "values", .shape = {16}}}).value();
};

class Silent final : public RunObserver {
 public:
  Result<RootState> restore() override { return RootState{{}, {}, std::make_shared<std::vector<float>>(16)}; }
  Result<bool> published(const RoundReport& /*report*/, const ModelValues& /*model*/, ModelEvaluator& /*evaluator*/,
                         const DriverStatistics& /*statistics*/) override {
    return false;
  }
};

// Every rank trains one client, with the driver waiting beside it; before and after, the same work without one.
Result<Facts> measure_idle_driver(ProcessGroup& job, std::uint32_t repeats) {
  Configuration configuration;
  configuration.rounds = repeats + kWarmRounds;
  configuration.topology.kind = TopologyConfig::Kind::kStar;
  configuration.topology.clients = static_cast<std::uint32_t>(job.session().size());
  configuration.data.source = DataConfig::Source::kNone;
  TRIBUTARY_ASSIGN_OR_RETURN(const Topology topology, build_topology(configuration));
  auto factory = std::make_unique<WorkFactory>();
  WorkFactory& trainers = *factory;
  TRIBUTARY_ASSIGN_OR_RETURN(const PreparedRun composition, prepare_run(std::move(configuration), topology.to_tree(),
                                                                        known_extensions(), std::move(factory)));
  std::vector<double> bare;
  const auto measure_bare = [&bare, repeats] {
    for (std::uint32_t i = 0; i < repeats; ++i) { bare.push_back(timed_work()); }
  };
  TRIBUTARY_RETURN_IF_ERROR(job.agree({}, &composition));
  measure_bare();
  if (job.is_first()) {
    Silent observer;
    TRIBUTARY_RETURN_IF_ERROR(job.driver({.threads = 1})->run(composition.plan, *composition.factory, observer));
  } else {
    TRIBUTARY_RETURN_IF_ERROR(job.serve(composition, {.threads = 1}));
  }
  TRIBUTARY_RETURN_IF_ERROR(job.agree({}, &composition));
  measure_bare();
  const std::vector<double> driven(
      trainers.times.begin() + std::min<std::ptrdiff_t>(kWarmRounds, std::ssize(trainers.times)), trainers.times.end());
  return Facts{{"bare_ms", rounded(median(bare) * 1e3)},
               {"with_idle_driver_ms", rounded(median(driven) * 1e3)},
               {"ratio", rounded(median(driven) / median(bare))}};
}

Status run_mpi(const Context& context, const Options& options) {
  if (!in_job()) {
    return invalid_argument("MPI is measured between two ranks: mpirun -n 2 tributary bench transport --driver mpi");
  }
  TRIBUTARY_ASSIGN_OR_RETURN(ProcessGroup* const job, ProcessGroup::join());
  TRIBUTARY_RETURN_IF_ERROR(job->agree({}, nullptr));
  TRIBUTARY_ASSIGN_OR_RETURN(
      const std::vector<TransferMeasurement> transfers,
      measure_transfers(job->session(), {options.sizes.begin(), options.sizes.end()}, options.repeats));
  TRIBUTARY_ASSIGN_OR_RETURN(const Facts idle, measure_idle_driver(*job, options.repeats));
  if (options.json) {
    Facts sizes = Facts::array();
    for (const TransferMeasurement& one : transfers) {
      const auto bytes = static_cast<double>(one.bytes);
      Facts facts{{"bytes", one.bytes},
                  {"plain_us", rounded(one.plain_seconds * 1e6)},
                  {"letter_us", rounded(one.letter_seconds * 1e6)},
                  {"message_us", rounded(one.message_seconds * 1e6)},
                  {"letter_over_plain", rounded(one.letter_ratio)},
                  {"message_over_plain", rounded(one.message_ratio)}};
      if (one.bytes > kLargestLatency) {
        facts["plain_gb_per_s"] = rounded(bytes / one.plain_seconds / 1e9);
        facts["message_gb_per_s"] = rounded(bytes / one.message_seconds / 1e9);
        facts["rate_share"] = rounded(1.0 / one.message_ratio);
      }
      sizes.push_back(std::move(facts));
    }
    print_json(context.out,
               Facts{{"schema", 1}, {"bench", "transport"}, {"driver", "mpi"}, {"sizes", sizes}, {"idle_driver", idle}},
               -1);
    return {};
  }
  context.out << "bytes        plain MPI          letter            update message\n";
  for (const TransferMeasurement& one : transfers) {
    context.out << fmt::format("{:<10} {:>9.2f} us   {:>9.2f} us {:>5.2f}x   {:>9.2f} us {:>5.2f}x\n", one.bytes,
                               one.plain_seconds * 1e6, one.letter_seconds * 1e6, one.letter_ratio,
                               one.message_seconds * 1e6, one.message_ratio);
  }
  context.out << fmt::format("training beside an idle driver takes {:.4f}x as long as without\n",
                             idle["ratio"].get<double>());
  return {};
}

#else

Status run_mpi(const Context& /*context*/, const Options& /*options*/) {
  return ProcessGroup::join().status();
}

#endif

}  // namespace

Action setup_bench_transport(CLI::App& app) {
  auto options = std::make_shared<Options>();
#ifdef TRIBUTARY_WITH_MPI
  options->sizes = kSizes;
#endif
  app.add_option("--driver", options->driver, "Which one")->capture_default_str()->check(CLI::IsMember({"mpi"}));
  app.add_flag("--json", options->json, "One JSON object");
  app.add_option("--repeats", options->repeats, "Measured repeats of each size")
      ->capture_default_str()
      ->check(CLI::Range(1U, 1000U));
  app.add_option("--sizes", options->sizes, "Bytes of a payload")
      ->delimiter(',')
      ->type_name("BYTES")
      ->check(CLI::Range(std::uint64_t{4}, std::uint64_t{1} << 30U));
  app.footer("Example:\n  mpirun -n 2 tributary bench transport --driver mpi --json");
  return [options](const Context& context) { return run_mpi(context, *options); };
}

}  // namespace tributary::cli
