// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <unistd.h>
#include <CLI/CLI.hpp>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "commands/command.hpp"
#include "commands/data_facts.hpp"
#include "commands/ineffective_settings.hpp"
#include "commands/load.hpp"
#include "commands/process_group.hpp"
#include "commands/wrong_file.hpp"
#include "console/console_sink.hpp"
#include "report/report.hpp"
#include "tributary/base/file_digest.hpp"
#include "tributary/base/log.hpp"
#include "tributary/base/printable.hpp"
#include "tributary/run/federation.hpp"
#include "tributary/run/record_sinks.hpp"
#include "tributary/run/run_changes.hpp"
#include "tributary/run/run_lock.hpp"
#include "tributary/simulation/driver.hpp"
#include "tributary/topology/write.hpp"

namespace tributary::cli {
namespace {

std::atomic<bool> stop_requested{false};  // finish the round
std::atomic<bool> stop_at_once{false};    // there is no time for that
std::atomic<int> stop_signal{0};
std::atomic<bool> stop_is_told{true};  // on one rank of a job

void write_note(std::string_view text) {
  // Only what is safe in a signal handler. Where nobody reads it the note is lost, and that is all.
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
}

// The first signal asks for a clean stop. A second Ctrl-C ends the process as usual; batch systems repeat theirs.
void finish_round(int signal) {
  if (stop_signal.exchange(signal) == 0 && stop_is_told) {
    write_note(signal == SIGINT ? "\nfinishing this round, then stopping; Ctrl-C again stops at once\n"
                                : "\nfinishing this round, then stopping\n");
  }
  stop_requested = true;
  if (signal == SIGINT) { std::signal(signal, SIG_DFL); }
}

// Under mpirun, which passes SIGTERM and SIGINT on and kills everything two seconds later.
void stop_now(int signal) {
  stop_signal = signal;
  stop_requested = true;
  stop_at_once = true;
}

// While a run goes on. SIGUSR1 asks for a clean stop everywhere: mpirun passes it on and waits.
class SignalWatch {
 public:
  explicit SignalWatch(bool job) {
    stop_requested = false;
    stop_at_once = false;
    stop_signal = 0;
    stop_is_told = speaks_for_job();
    for (const int signal : {SIGINT, SIGTERM}) { std::signal(signal, job ? stop_now : finish_round); }
    std::signal(SIGUSR1, finish_round);
  }
  ~SignalWatch() {
    for (const int signal : {SIGINT, SIGTERM, SIGUSR1}) { std::signal(signal, SIG_DFL); }
  }
  SignalWatch(const SignalWatch&) = delete;
  SignalWatch& operator=(const SignalWatch&) = delete;
};

struct RunOptions {
  std::shared_ptr<ConfigurationOptions> configuration;
  std::string directory;
  std::string resume;
  std::string log_level = "off";
  bool print_configuration = false;
};

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
  if (!options.directory.empty()) {
    return invalid_argument("--resume goes on in its own directory: --output does not belong to it");
  }
  TRIBUTARY_RETURN_IF_ERROR(check_is_run_directory(options.resume, "--resume: "));
  ConfigurationOptions saved{.file = (std::filesystem::path(options.resume) / "configuration.yaml").string(),
                             .set = options.configuration->set};
  return load_configuration(saved);
}

// A run that has come to its end, and is asked for nothing else than before: there is nothing to go on with. What does
// not decide the result, such as the number of threads, may be another now.
bool is_complete(const std::filesystem::path& directory, const Configuration& configuration) {
  if (!std::filesystem::exists(directory / "model.safetensors")) { return false; }
  const Result<std::vector<Record>> records = read_records(real_file_system(), directory / "records.jsonl");
  if (!records.ok() || records->empty() || records->back().event() != "end") { return false; }
  const std::string_view outcome = records->back().text("outcome");
  if (outcome != "finished" && outcome != "stopped") { return false; }
  // A model that has been cut or replaced since is written once more, from the last checkpoint.
  const Result<Digest> model = file_digest(real_file_system(), directory / "model.safetensors");
  if (!model.ok() || model->hex() != records->back().text("model_sha256")) { return false; }
  const Result<std::string> changes = changes_of_run(real_file_system(), directory, configuration);
  return changes.ok() && changes->empty();
}

// Everything that can be wrong before a file is written.
struct Prepared {
  Loaded loaded;
  std::filesystem::path directory;
  bool resume = false;
  bool numbered = false;           // where `directory` is taken, the run goes to another with a number
  std::unique_ptr<FileLock> lock;  // a resume's, where this process writes
};

Result<Prepared> prepare(const RunOptions& options, Configuration configuration, std::unique_ptr<FileLock> lock) {
  const bool resume = !options.resume.empty();
  std::filesystem::path directory = options.resume;
  bool numbered = false;
  if (!resume && !options.directory.empty()) {
    directory = options.directory;
  } else if (!resume && !configuration.output.directory.empty()) {
    directory = configuration.output.directory;
  } else if (!resume) {
    directory = std::filesystem::path("runs") / configuration.name;
    numbered = true;
  }
  TRIBUTARY_ASSIGN_OR_RETURN(Loaded loaded, load_federation(std::move(configuration)));
  TRIBUTARY_RETURN_IF_ERROR(check_memory(loaded.composition.plan));
  return Prepared{std::move(loaded), std::move(directory), resume, numbered, std::move(lock)};
}

// Who is told about the run besides its directory.
struct Audience {
  std::unique_ptr<ConsoleSink> console;

  Audience(const Context& context, FederationOptions& options) {
    console = std::make_unique<ConsoleSink>(context.out, context.err,
                                            ConsoleOptions{.out = context.out_terminal,
                                                           .notes = context.err_terminal,
                                                           .show_faults = context.verbosity > 0,
                                                           .only_end = context.quiet,
                                                           .logged = logs(LogLevel::kWarning)});
    options.sinks.push_back(console.get());
    if (context.quiet || logs(LogLevel::kError)) { return; }
    options.on_progress = [this](std::uint64_t done, std::uint64_t of) { console->show_tasks(done, of); };
  }
};

bool keeps_states(const Plan& plan) {
  return plan.local_method() != nullptr && plan.local_method()->keeps_state();
}

std::filesystem::path states_in(const std::filesystem::path& directory) {
  return directory / "clients";
}

// From here on the directory's name is the run's own.
Status claim_directory(const Context& context, Prepared& prepared) {
  if (!prepared.numbered) { return {}; }
  TRIBUTARY_ASSIGN_OR_RETURN(ClaimedDirectory claimed, claim_free_directory(real_file_system(), prepared.directory));
  if (claimed.path != prepared.directory) {
    context.note(
        fmt::format("{} holds a run already: this one goes to {}", prepared.directory.string(), claimed.path.string()));
  }
  prepared.directory = std::move(claimed.path);
  prepared.lock = std::move(claimed.lock);
  return {};
}

Result<std::unique_ptr<Federation>> open_federation(Prepared& prepared, FederationOptions options) {
  const PreparedRun& composition = prepared.loaded.composition;
  options.directory = prepared.directory;
  options.resume = prepared.resume;
  options.lock = std::move(prepared.lock);
  options.preamble = composition.data_records();
  options.model_metadata = composition.model_metadata();
  options.stop = &stop_requested;
  options.inputs = composition.inputs;
  TRIBUTARY_ASSIGN_OR_RETURN(std::unique_ptr<Federation> federation,
                             Federation::open(composition.plan, *composition.factory, std::move(options)));
  if (!std::filesystem::exists(prepared.directory / "topology.yaml")) {
    TRIBUTARY_RETURN_IF_ERROR(
        write_atomically(real_file_system(), prepared.directory / "topology.yaml", to_yaml(prepared.loaded.topology)));
  }
  return federation;
}

// Ctrl-C is the user's wish; SIGTERM and SIGUSR1 are how batch systems ask, and they look at the exit code. What was
// asked for is no error: it is told here, and the status has no words of its own.
Status stopped(const Context& context, const FederationOutcome& outcome, const std::filesystem::path& directory) {
  const std::string text = outcome.round.value == 0
                               ? fmt::format(
                                     "stopped as asked before a round was done; start again with: tributary "
                                     "run --resume {}",
                                     directory.string())
                               : fmt::format("stopped after round {} as asked; go on with: tributary run --resume {}",
                                             outcome.round.value, directory.string());
  context.err << fmt::format("{}\n", printable_lines(text));
  return stop_signal == SIGINT ? cancelled("") : deadline_exceeded("");
}

Status carry_out(const Context& context, const Prepared& prepared, Federation& federation, Driver& driver) {
  const Configuration& configuration = prepared.loaded.composition.plan.configuration();
  Result<FederationOutcome> outcome = federation.run(driver);
  if (!outcome.ok()) {
    // What there is to see of a run that failed; its own error is the one to report.
    if (driver.statistics().tasks_trained > 0) {
      static_cast<void>(write_presentations(configuration, prepared.directory).ok());
    }
    return outcome.status();
  }
  TRIBUTARY_RETURN_IF_ERROR(write_presentations(configuration, prepared.directory));
  if (outcome->kind == FederationOutcome::Kind::kInterrupted) { return stopped(context, *outcome, prepared.directory); }
  // With --quiet there is nothing else that says where the results are.
  const auto name_file = [&](std::string_view what, std::string_view file) {
    const std::string path = (prepared.directory / file).string();
    if (context.quiet) {
      context.out << fmt::format("  {:<10}{}\n", what, printable_text(path));
    } else {
      context.note(fmt::format("{:<8}{}", what, path));
    }
  };
  name_file("model", "model.safetensors");
  if (configuration.output.report) { name_file("report", "report.html"); }
  return {};
}

void warn_of_ineffective_settings(const Context& context, const PreparedRun& composition, bool in_job) {
  for (const std::string& text :
       ineffective_settings(composition.plan.configuration(), composition.plan.tree(), in_job)) {
    context.warn(text);
  }
}

Status run_here(const Context& context, Prepared& prepared) {
  const PreparedRun& composition = prepared.loaded.composition;
  warn_of_ineffective_settings(context, composition, false);
  FederationOptions options;
  const Audience audience(context, options);
  std::optional<ClientStates> states;
  TRIBUTARY_RETURN_IF_ERROR(claim_directory(context, prepared));
  if (keeps_states(composition.plan)) {
    states.emplace(real_file_system(), states_in(prepared.directory), composition.plan.spec().parameters(),
                   ClientStates::Writing::kWhenFlushed);
    options.client_states = &*states;
  }
  TRIBUTARY_ASSIGN_OR_RETURN(const std::unique_ptr<Federation> federation,
                             open_federation(prepared, std::move(options)));
  context.note(data_line(composition));
  SimulationSettings settings = simulation_settings(composition);
  settings.client_states = states ? &*states : nullptr;
  SimulationDriver driver(std::move(settings));
  return carry_out(context, prepared, *federation, driver);
}

// What an aggregator sends names the increments of clients' states in it, in a message of bounded size.
Status check_members(const Plan& plan) {
  if (!keeps_states(plan) || plan.local_method()->parents_own_states()) { return {}; }
  const Tree& tree = plan.tree();
  std::vector<std::uint64_t> below(tree.size(), 0);
  for (std::uint32_t n = tree.size(); n-- > 1;) {
    const NodeId node{n};
    if (tree.is_client(node)) {
      below[n] = 1;
    } else if (below[n] > kMostMembers) {
      return unsupported(
          fmt::format("{} has {} clients below it, and with this algorithm.kind an aggregator can send the work of at "
                      "most {} under "
                      "mpirun: use more aggregators, or run in one process",
                      tree.name(node), below[n], kMostMembers));
    }
    below[tree.parent(node).value] += below[n];
  }
  return {};
}

JobSettings job_settings(const PreparedRun& composition) {
  const Configuration& configuration = composition.plan.configuration();
  return {.threads = configuration.threads,
          .lost_after_s = configuration.mpi.lost_after_s,
          .work = client_work(composition),
          .stop_now = &stop_at_once,
          .state_directory = {},
          .keeps_states = keeps_states(composition.plan),
          .parameters = composition.plan.spec().parameters()};
}

// The same in a job: the first rank runs, the others serve it.
Status run_in_job(const Context& context, ProcessGroup& job, Result<Prepared>& prepared) {
  // What the first rank cannot tell any more.
  const auto speak_for_the_first = [&job](const Status& status) {
    if (!status.ok() && !job.is_first() && job.has_lost_ranks()) {
      write_note(fmt::format("error: {}\n", printable_lines(status.message())));
    }
    return status;
  };
  TRIBUTARY_RETURN_IF_ERROR(
      speak_for_the_first(job.agree(prepared.status(), prepared.ok() ? &prepared->loaded.composition : nullptr)));
  const PreparedRun& composition = prepared->loaded.composition;
  TRIBUTARY_RETURN_IF_ERROR(check_members(composition.plan));
  if (!job.is_first()) {
    context.note(job.describe());
    return speak_for_the_first(job.serve(composition, job_settings(composition)));
  }
  FederationOptions options;
  const Audience audience(context, options);
  const Status claimed = claim_directory(context, *prepared);
  const Result<std::unique_ptr<Federation>> federation =
      claimed.ok() ? open_federation(*prepared, std::move(options)) : Result<std::unique_ptr<Federation>>(claimed);
  // The others wait for the run to begin, or to hear why it does not.
  if (!federation.ok()) { return job.agree(federation.status(), &composition); }
  warn_of_ineffective_settings(context, composition, true);
  context.note(data_line(composition));
  JobSettings settings = job_settings(composition);
  settings.state_directory = std::filesystem::absolute(states_in(prepared->directory));
  const std::unique_ptr<Driver> driver = job.driver(std::move(settings));
  if (Status status = carry_out(context, *prepared, **federation, *driver); !status.ok()) {
    if (!job.has_lost_ranks() || status.message().empty()) { return status; }
    return Status(status.code(), fmt::format("{}; go on with: tributary run --resume {}", status.message(),
                                             prepared->directory.string()));
  }
  if (job.has_lost_ranks()) {
    return unavailable(fmt::format(
        "the run has finished, but a rank was lost on the way: rounds were closed with the quorum that was left "
        "(see the warnings, and records.jsonl in {})",
        prepared->directory.string()));
  }
  return {};
}

Status run(const Context& context, const RunOptions& options) {
  TRIBUTARY_ASSIGN_OR_RETURN(const LogLevel log_level, log_level_from(options.log_level));
  set_log_level(log_level);
  // Before MPI starts: until then SIGUSR1 would end the process.
  const SignalWatch signals(in_job());
  ProcessGroup* job = nullptr;
  if (in_job() && !options.print_configuration) { TRIBUTARY_ASSIGN_OR_RETURN(job, ProcessGroup::join()); }
  Result<Configuration> configuration = configuration_of(options);
  if (configuration.ok() && options.print_configuration) {
    if (speaks_for_job()) { context.out << print_configuration(*configuration); }
    return {};
  }
  const bool resume = !options.resume.empty();
  if (configuration.ok() && resume && is_complete(options.resume, *configuration)) {
    context.note(fmt::format("{} has finished already: there is nothing to go on with", options.resume));
    if (!speaks_for_job()) { return {}; }
    const Result<std::unique_ptr<FileLock>> lock = claim_run_directory(real_file_system(), options.resume);
    // Somebody else who owns the directory may be writing its last files just now.
    if (!lock.ok()) { return {}; }
    remove_temporaries(real_file_system(), options.resume);
    return complete_presentations(*configuration, options.resume);
  }
  // From here on nobody else changes the directory of a resume.
  std::unique_ptr<FileLock> lock;
  Status ready = configuration.status();
  if (ready.ok() && resume && speaks_for_job()) {
    Result<std::unique_ptr<FileLock>> claimed = claim_run_directory(real_file_system(), options.resume);
    ready = claimed.status();
    if (claimed.ok()) { lock = std::move(claimed).value(); }
  }
  Result<Prepared> prepared =
      ready.ok() ? prepare(options, std::move(configuration).value(), std::move(lock)) : Result<Prepared>(ready);
  if (job != nullptr) { return run_in_job(context, *job, prepared); }
  TRIBUTARY_RETURN_IF_ERROR(prepared.status());
  return run_here(context, *prepared);
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
            app.add_option("--log-level", options->log_level,
                           "Write log lines to standard error: off, error, warning, info, debug or trace")
                ->type_name("LEVEL");
            app.add_flag("--print-config", options->print_configuration,
                         "Print the configuration with every default written out, and stop");
            app.footer(
                "Examples:\n"
                "  tributary run configs/quickstart.yaml\n"
                "  tributary run configs/quickstart.yaml --set rounds=5 --set trainer.optimizer.lr=0.02\n"
                "  tributary run --resume runs/quickstart\n"
                "  mpirun -n 8 tributary run configs/quickstart.yaml     the same model, spread over 8 ranks\n"
                "Ctrl-C finishes the round, saves a checkpoint and stops; a second Ctrl-C stops at once. SIGTERM and\n"
                "SIGUSR1 do the same; under mpirun SIGTERM and Ctrl-C keep the newest finished round (docs/mpi.md).\n"
                "Exit codes: 0 done, 64 run directory in use, 65 diverged, 69 a rank or too many clients lost, 74\n"
                "files, 75 stopped by SIGTERM or SIGUSR1, 78 configuration, 130 stopped by Ctrl-C (docs/errors.md)");
            return [options](const Context& context) { return run(context, *options); };
          }};
}

}  // namespace tributary::cli
