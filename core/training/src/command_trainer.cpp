// SPDX-License-Identifier: Apache-2.0
#include "command_trainer.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <optional>
#include <utility>

#include "child_process.hpp"
#include "client_weight.hpp"
#include "config/configuration_schema.hpp"
#include "program_workspace.hpp"
#include "tributary/base/weight.hpp"
#include "tributary/data/model_file.hpp"

namespace tributary {
namespace {

using internal::config::kDriftWord;
using internal::config::kInputWord;
using internal::config::kOutputWord;

struct CommandSettings {
  ParameterSpec spec;
  std::vector<float> initial;
  std::vector<std::string> command;
  std::filesystem::path working_directory;
  std::chrono::seconds timeout{0};
  std::map<std::string, std::string> options;
  std::map<std::string, std::string> training;  // by key
  internal::ClientWeight weights;
  double weight_bound = 1.0;
  bool gives_drift = false;  // the program is given a file that says what to add to its gradients

  explicit CommandSettings(const Configuration& configuration) : weights(configuration) {}

  // Made by the first task: a plan that is only looked at leaves no trace.
  Result<internal::ProgramWorkspace*> workspace() {
    const std::lock_guard lock(mutex_);
    if (!workspace_) { TRIBUTARY_ASSIGN_OR_RETURN(workspace_, internal::ProgramWorkspace::create()); }
    return workspace_.get();
  }

 private:
  std::mutex mutex_;
  std::unique_ptr<internal::ProgramWorkspace> workspace_;
};

bool is_program(const std::filesystem::path& file) {
  std::error_code ignored;
  return std::filesystem::is_regular_file(file, ignored) && access(file.c_str(), X_OK) == 0;
}

// Can `program` be started in `directory`? As the system will look for it: a word without a slash in the PATH.
Status find_program(const std::string& program, const std::filesystem::path& directory) {
  if (program.find('/') != std::string::npos) {
    return is_program(program) ? ok_status()
                               : configuration_error(fmt::format("trainer.command: there is no program {}", program));
  }
  const char* const path = std::getenv("PATH");
  for (std::string_view rest = path == nullptr ? "/bin:/usr/bin" : path;;) {
    const std::size_t colon = rest.find(':');
    if (is_program(directory / rest.substr(0, colon) / program)) { return ok_status(); }
    if (colon == std::string_view::npos) { break; }
    rest.remove_prefix(colon + 1);
  }
  return configuration_error(
      fmt::format("trainer.command: there is no program {0} on the PATH; one beside the "
                  "configuration is written ./{0}",
                  program));
}

std::string with_all_replaced(std::string text, std::string_view what, std::string_view by) {
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + by.size())) {
    text.replace(at, what.size(), by);
  }
  return text;
}

// The files of a task, which are gone when it has ended: messages name them as trainer.command does.
struct TaskFiles {
  std::filesystem::path input;
  std::filesystem::path output;
  std::filesystem::path drift;

  explicit TaskFiles(const std::filesystem::path& directory)
      : input(directory / "input.safetensors"),
        output(directory / "output.safetensors"),
        drift(directory / "drift.safetensors") {}

  [[nodiscard]] std::string put_into(std::string argument) const {
    for (const auto& [word, file] : names()) { argument = with_all_replaced(std::move(argument), word, file); }
    return argument;
  }
  [[nodiscard]] std::string taken_out_of(std::string message) const {
    for (const auto& [word, file] : names()) { message = with_all_replaced(std::move(message), file, word); }
    return message;
  }

 private:
  [[nodiscard]] std::array<std::pair<std::string_view, std::string>, 3> names() const {
    return {{{kInputWord, input.string()}, {kOutputWord, output.string()}, {kDriftWord, drift.string()}}};
  }
};

Result<double> number_of(const std::string& key, const std::string& text) {
  double value = 0.0;
  const char* end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stopped != end) {
    return bad_data(fmt::format("metadata {} must be a number, got \"{}\"", key, text));
  }
  return value;
}

Result<double> finite_number_of(const std::string& key, const std::string& text) {
  TRIBUTARY_ASSIGN_OR_RETURN(const double value, number_of(key, text));
  if (std::isfinite(value)) { return value; }
  return bad_data(fmt::format("metadata {} must be a finite number, got \"{}\"", key, text));
}

Result<std::uint64_t> count_of(const std::string& key, const std::string& text) {
  TRIBUTARY_ASSIGN_OR_RETURN(const double value, finite_number_of(key, text));
  if (value < 0.0 || value > 0x1p53 || value != std::floor(value)) {
    return bad_data(fmt::format("metadata {} must be a whole number in [0, 2^53], got {}", key, value));
  }
  return static_cast<std::uint64_t>(value);
}

// What a program says about its work, in the metadata of the file that it wrote.
struct ProgramReport {
  std::optional<double> weight;
  std::optional<std::uint64_t> samples;
  std::uint64_t steps = 0;
  double learning_rate = 0.0;
  Metrics metrics;
};

Result<ProgramReport> read_report(const SafetensorsMetadata& metadata) {
  ProgramReport report;
  for (const auto& [key, text] : metadata) {
    // Ours ("tributary.kinds", "option.lr", "trainer.epochs"), PyTorch's, and what a program merely passed on from its
    // input.
    constexpr std::array<std::string_view, 7> kPassed{"format", "client", "round",         "global_round",
                                                      "rounds", "seed",   "evaluate_first"};
    constexpr std::array<std::string_view, 4> kOurs{"tributary.", "option.", "trainer.", "algorithm."};
    const bool ours = std::ranges::any_of(
        kOurs, [name = std::string_view(key)](std::string_view start) { return name.starts_with(start); });
    if (ours || std::ranges::find(kPassed, key) != kPassed.end()) { continue; }
    if (key == "weight") {
      TRIBUTARY_ASSIGN_OR_RETURN(report.weight, finite_number_of(key, text));
    } else if (key == "samples") {
      TRIBUTARY_ASSIGN_OR_RETURN(report.samples, count_of(key, text));
    } else if (key == "steps") {
      TRIBUTARY_ASSIGN_OR_RETURN(report.steps, count_of(key, text));
    } else if (key == "learning_rate") {
      TRIBUTARY_ASSIGN_OR_RETURN(report.learning_rate, finite_number_of(key, text));
    } else {
      // Not every metric is defined everywhere: who sums them leaves out what is no number, and says so.
      TRIBUTARY_ASSIGN_OR_RETURN(report.metrics[key], number_of(key, text));
    }
  }
  return report;
}

class CommandTrainer final : public Trainer {
 public:
  explicit CommandTrainer(std::shared_ptr<CommandSettings> settings) : settings_(std::move(settings)) {}

  Result<TrainOutcome> train(const TrainTask& task) override {
    TRIBUTARY_ASSIGN_OR_RETURN(internal::ProgramWorkspace* const workspace, settings_->workspace());
    TRIBUTARY_ASSIGN_OR_RETURN(const internal::PrivateDirectory directory, workspace->task_directory());
    const TaskFiles files(directory.path());
    Result<TrainOutcome> outcome = train_with(task, files, *workspace);
    if (outcome.ok()) { return outcome; }
    return Status(outcome.status().code(),
                  fmt::format("client {}, round {}: {}", task.client.value, task.global_round.value,
                              files.taken_out_of(outcome.status().message())));
  }

  Result<Evaluation> evaluate(std::span<const float> /*model*/, std::uint32_t /*part*/,
                              std::uint32_t /*parts*/) override {
    return unsupported("the command trainer has no held-out data to evaluate on");
  }

 private:
  Result<TrainOutcome> train_with(const TrainTask& task, const TaskFiles& files,
                                  const internal::ProgramWorkspace& workspace) {
    SafetensorsMetadata metadata{{"client", std::to_string(task.client.value)},
                                 {"round", std::to_string(task.round.value)},
                                 {"global_round", std::to_string(task.global_round.value)},
                                 {"seed", std::to_string(task.seed)},
                                 {"evaluate_first", task.evaluate_first ? "1" : "0"}};
    metadata.insert(settings_->training.begin(), settings_->training.end());
    for (const auto& [key, value] : settings_->options) { metadata.emplace("option." + key, value); }
    TRIBUTARY_RETURN_IF_ERROR(write_model(real_file_system(), files.input, settings_->spec, *task.base, metadata));
    if (settings_->gives_drift) { TRIBUTARY_RETURN_IF_ERROR(write_drift(task.drift, files)); }

    internal::ChildProcess child;
    for (const std::string& argument : settings_->command) { child.arguments.push_back(files.put_into(argument)); }
    child.working_directory = settings_->working_directory;
    child.workspace = &workspace;
    child.timeout = settings_->timeout;
    child.cancel = task.cancel;
    TRIBUTARY_ASSIGN_OR_RETURN(const std::string printed, internal::run(child));

    auto file = SafetensorsFile::open(real_file_system(), files.output);
    if (!file.ok()) {
      return bad_data(fmt::format("{} left no usable output: {}; it printed{}", child.arguments.front(),
                                  file.status().message(), printed.empty() ? " nothing" : ": " + printed));
    }
    TRIBUTARY_ASSIGN_OR_RETURN(auto values, read_model(file.value(), settings_->spec));
    auto report = read_report(file->metadata());
    if (!report.ok()) { return report.status().with_context(std::string(kOutputWord)); }
    TrainOutcome outcome;
    TRIBUTARY_ASSIGN_OR_RETURN(outcome.weight, weight_of(*report));
    outcome.model = std::make_shared<const std::vector<float>>(std::move(values));
    outcome.samples = report->samples.value_or(0);
    outcome.steps = report->steps;
    outcome.learning_rate = report->learning_rate;
    outcome.metrics = std::move(report->metrics);
    return outcome;
  }

  // As TrainTask::drift says it: the program adds the tensors, and pull times how far it has come, to each gradient.
  Status write_drift(const Drift& drift, const TaskFiles& files) const {
    const SafetensorsMetadata metadata{{"pull", fmt::format("{}", drift.pull)},
                                       {"after_clipping", drift.constant_after_clipping ? "1" : "0"}};
    const std::vector<float> none(drift.constant ? 0 : settings_->spec.parameters(), 0.0F);
    return write_model(real_file_system(), files.drift, settings_->spec, drift.constant ? *drift.constant : none,
                       metadata);
  }

  Result<double> weight_of(const ProgramReport& report) const {
    const std::string_view what = report.weight ? "weight" : "samples";
    const double value = report.weight.value_or(static_cast<double>(report.samples.value_or(1)));
    if (!(value > 0.0)) {
      return bad_data(fmt::format("{}: metadata {} must be > 0, got {}", kOutputWord, what, value));
    }
    return settings_->weights.weight(what, value, settings_->weight_bound);
  }

  std::shared_ptr<CommandSettings> settings_;
};

class CommandTrainerFactory final : public TrainerFactory {
 public:
  explicit CommandTrainerFactory(std::shared_ptr<CommandSettings> settings) : settings_(std::move(settings)) {}

  [[nodiscard]] const ParameterSpec& spec() const noexcept override { return settings_->spec; }
  [[nodiscard]] Result<std::vector<float>> initial_model(std::uint64_t /*seed*/) const override {
    return settings_->initial;
  }
  [[nodiscard]] double weight_bound(ClientIndex /*client*/) const override { return settings_->weight_bound; }
  [[nodiscard]] Result<std::unique_ptr<Trainer>> create() const override {
    return std::unique_ptr<Trainer>(std::make_unique<CommandTrainer>(settings_));
  }
  [[nodiscard]] bool honours_drift() const override { return settings_->gives_drift; }

 private:
  std::shared_ptr<CommandSettings> settings_;
};

}  // namespace

Result<std::unique_ptr<TrainerFactory>> make_command_trainer_factory(const TrainerContext& context) {
  const Configuration& configuration = context.configuration;
  if (configuration.trainer.command.empty() || configuration.trainer.command.front().empty()) {
    return configuration_error("trainer.command must name a program for trainer.kind command");
  }
  if (std::ranges::none_of(configuration.trainer.command,
                           [](const std::string& word) { return word.find(kOutputWord) != std::string::npos; })) {
    return configuration_error(
        fmt::format("trainer.command must hold {}, the file that the program writes", kOutputWord));
  }
  if (configuration.trainer.timeout_s == 0) { return configuration_error("trainer.timeout_s must be > 0, got 0"); }
  if (configuration.model.initial.empty()) {
    return configuration_error(
        "model.initial must name a safetensors file for trainer.kind command: it says what the "
        "model is made of");
  }
  auto stored = read_model_with_spec(real_file_system(), configuration.resolve(configuration.model.initial));
  if (!stored.ok()) { return stored.status().with_context("model.initial"); }
  auto settings = std::make_shared<CommandSettings>(configuration);
  settings->spec = std::move(stored->spec);
  settings->initial = std::move(stored->values);
  settings->command = configuration.trainer.command;
  std::string& program = settings->command.front();
  if (program.find('/') != std::string::npos) { program = configuration.resolve(program).string(); }
  settings->working_directory = configuration.base_directory;
  settings->timeout = std::chrono::seconds(std::min<std::uint64_t>(configuration.trainer.timeout_s, 31'536'000));
  settings->options = configuration.trainer.options;
  settings->training = internal::config::training_values(configuration);
  settings->gives_drift = std::ranges::any_of(
      settings->command, [](const std::string& word) { return word.find(kDriftWord) != std::string::npos; });
  // A program announces nothing before its first task: without a word of the configuration it counts as one sample.
  const bool bounded = configuration.trainer.weight_bound.has_value() ||
                       configuration.algorithm.weighting == AlgorithmConfig::Weighting::kCapped;
  settings->weight_bound = settings->weights.bound(bounded ? Weight::kLargest : 1.0);
  TRIBUTARY_RETURN_IF_ERROR(find_program(program, settings->working_directory));
  return std::unique_ptr<TrainerFactory>(std::make_unique<CommandTrainerFactory>(std::move(settings)));
}

}  // namespace tributary
