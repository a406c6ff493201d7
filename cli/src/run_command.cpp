// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "command.hpp"
#include "load.hpp"
#include "report.hpp"
#include "tributary/core/console_sink.hpp"
#include "tributary/core/federation.hpp"
#include "tributary/core/record_sinks.hpp"
#include "tributary/topology/write.hpp"
#include "tributary/transport/simulation.hpp"

namespace tributary::cli {
namespace {

std::atomic<bool> stop_requested{false};

// The first signal asks for a clean stop; the second one ends the process as usual.
void request_stop(int signal) {
  static constexpr std::string_view kText = "\nfinishing this round, then stopping; the same again stops at once\n";
  stop_requested = true;
  // Only what is safe in a signal handler. Where nobody reads it the note is lost, and that is all.
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, kText.data(), kText.size());
  std::signal(signal, SIG_DFL);
}

struct RunOptions {
  std::shared_ptr<ConfigurationOptions> configuration;
  std::string directory;
  std::string resume;
  bool print_configuration = false;
};

// `wanted`, or the first of wanted-2, wanted-3, ... that holds no run yet.
std::filesystem::path free_directory(const std::filesystem::path& wanted) {
  std::filesystem::path candidate = wanted;
  for (int number = 2; std::filesystem::exists(candidate / "configuration.yaml"); ++number) {
    candidate = fmt::format("{}-{}", wanted.string(), number);
  }
  return candidate;
}

Result<Configuration> configuration_of(const RunOptions& options) {
  if (options.resume.empty()) {
    if (options.configuration->file.empty()) {
      return invalid_argument("name a configuration to run, or a run directory with --resume DIR");
    }
    return load_configuration(*options.configuration);
  }
  if (!options.configuration->file.empty()) {
    return invalid_argument("--resume takes the configuration from the run directory: do not name another one");
  }
  ConfigurationOptions saved{.file = (std::filesystem::path(options.resume) / "configuration.yaml").string(),
                             .set = options.configuration->set};
  return load_configuration(saved);
}

SimulationSettings simulation_settings(const Configuration& configuration, const Composition& composition) {
  SimulationSettings settings;
  settings.threads = thread_count(configuration);
  settings.simulation = configuration.simulation;
  const double per_sample = configuration.simulation.compute_seconds_per_sample * configuration.trainer.epochs;
  if (per_sample > 0.0) {
    settings.compute_time = [per_sample, &composition](ClientIndex client) {
      return std::chrono::nanoseconds(
          static_cast<std::int64_t>(per_sample * 1e9 * static_cast<double>(composition.samples(client))));
    };
  }
  return settings;
}

// With --quiet: warnings alone.
class WarningSink final : public RecordSink {
 public:
  explicit WarningSink(const Context& context) : context_(context) {}
  Status write(const Record& record) override {
    if (record.event() == "warning") { context_.warn(record.text("text")); }
    return {};
  }
  Status flush() override { return {}; }

 private:
  const Context& context_;
};

// A run that has come to its end: there is nothing to go on with.
bool is_complete(const std::filesystem::path& directory) {
  if (!std::filesystem::exists(directory / "model.safetensors")) { return false; }
  const Result<std::vector<Record>> records = read_records(real_file_system(), directory / "records.jsonl");
  if (!records.ok() || records->empty() || records->back().event() != "end") { return false; }
  const std::string_view outcome = records->back().text("outcome");
  return outcome == "finished" || outcome == "stopped";
}

// What is made from the records for people to look at.
Status write_presentations(const Configuration& configuration, const std::filesystem::path& directory) {
  if (configuration.output.csv) { TRIBUTARY_RETURN_IF_ERROR(write_csv(directory)); }
  if (configuration.output.report) { TRIBUTARY_RETURN_IF_ERROR(write_report(directory, directory / "report.html")); }
  return {};
}

Status run(const Context& context, const RunOptions& options) {
  TRIBUTARY_ASSIGN_OR_RETURN(Configuration configuration, configuration_of(options));
  if (options.print_configuration) {
    context.out << print_configuration(configuration);
    return {};
  }
  const bool resume = !options.resume.empty();
  if (resume && !options.directory.empty()) {
    return invalid_argument("--resume goes on in its own directory: --output does not belong to it");
  }
  if (resume && options.configuration->set.empty() && is_complete(options.resume)) {
    context.note(fmt::format("{} has finished already: there is nothing to go on with", options.resume));
    return {};
  }
  FederationOptions federation_options;
  federation_options.resume = resume;
  if (resume) {
    federation_options.directory = options.resume;
  } else if (!options.directory.empty()) {
    federation_options.directory = options.directory;
  } else if (!configuration.output.directory.empty()) {
    federation_options.directory = configuration.output.directory;
  } else {
    federation_options.directory = free_directory(std::filesystem::path("runs") / configuration.name);
  }
  const std::filesystem::path directory = federation_options.directory;
  TRIBUTARY_ASSIGN_OR_RETURN(const Loaded loaded, load_federation(std::move(configuration)));
  const Composition& composition = loaded.composition;
  const Configuration& resolved = composition.plan.configuration();

  WarningSink warnings(context);
  if (context.quiet) { federation_options.sinks.push_back(&warnings); }
  std::unique_ptr<ConsoleSink> console;
  if (!context.quiet) {
    console = std::make_unique<ConsoleSink>(
        context.out, context.err,
        ConsoleOptions{
            .out = context.out_terminal, .notes = context.err_terminal, .show_faults = context.verbosity > 0});
    federation_options.sinks.push_back(console.get());
    federation_options.on_progress = [&console](std::uint64_t done, std::uint64_t of) {
      console->show_tasks(done, of);
    };
  }
  federation_options.preamble = composition.label_records();
  stop_requested = false;
  federation_options.stop = &stop_requested;
  TRIBUTARY_ASSIGN_OR_RETURN(const std::unique_ptr<Federation> federation,
                             Federation::open(composition.plan, *composition.factory, std::move(federation_options)));
  if (!std::filesystem::exists(directory / "topology.yaml")) {
    TRIBUTARY_RETURN_IF_ERROR(
        write_atomically(real_file_system(), directory / "topology.yaml", to_yaml(loaded.topology)));
  }

  std::signal(SIGINT, request_stop);
  std::signal(SIGTERM, request_stop);
  SimulationDriver driver(simulation_settings(resolved, composition));
  Result<FederationOutcome> outcome = federation->run(driver);
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);

  if (!outcome.ok()) {
    // What there is to see of a run that failed; its own error is the one to report.
    if (driver.statistics().tasks_trained > 0) { static_cast<void>(write_presentations(resolved, directory).ok()); }
    return outcome.status();
  }
  TRIBUTARY_RETURN_IF_ERROR(write_presentations(resolved, directory));
  if (outcome->kind == FederationOutcome::Kind::kInterrupted) {
    return cancelled(fmt::format("stopped after round {} as asked; go on with: tributary run --resume {}",
                                 outcome->round.value, directory.string()));
  }
  context.note(fmt::format("model   {}", (directory / "model.safetensors").string()));
  if (resolved.output.report) { context.note(fmt::format("report  {}", (directory / "report.html").string())); }
  return {};
}

}  // namespace

Command run_command() {
  return {"run", "Run a federation, or go on with one", [](CLI::App& app) -> Action {
            auto options = std::make_shared<RunOptions>();
            options->configuration = ConfigurationOptions::declare(app);
            app.get_option("configuration")->required(false);
            app.add_option("-o,--output", options->directory, "Run directory (default: runs/<name>)")->type_name("DIR");
            app.add_option("--resume", options->resume, "Go on from the newest checkpoint of this run directory")
                ->type_name("DIR");
            app.add_flag("--print-config", options->print_configuration,
                         "Print the configuration with every default written out, and stop");
            app.footer(
                "Examples:\n"
                "  tributary run configs/quickstart.yaml\n"
                "  tributary run configs/quickstart.yaml --set rounds=5 --set trainer.optimizer.lr=0.02\n"
                "  tributary run --resume runs/quickstart\n"
                "Ctrl-C finishes the round, saves a checkpoint and stops; a second Ctrl-C stops at once.\n"
                "Exit codes: 0 done, 78 configuration, 69 too few clients answered, 74 files, 130 stopped "
                "(docs/errors.md)");
            return [options](const Context& context) { return run(context, *options); };
          }};
}

}  // namespace tributary::cli
