// SPDX-License-Identifier: Apache-2.0
#include "tributary/core/command_trainer.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <utility>

#include "child_process.hpp"
#include "configuration_schema.hpp"
#include "tributary/core/model_file.hpp"

namespace tributary {
namespace {

// A directory that only this user can enter, gone with everything in it when the object goes.
class PrivateDirectory {
 public:
  static Result<PrivateDirectory> create() {
    std::error_code error;
    const std::filesystem::path parent = std::filesystem::temp_directory_path(error);
    if (error) { return io_error(fmt::format("no directory for temporary files: {}", error.message())); }
    std::string pattern = (parent / "tributary-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) {
      const int reason = errno;
      return io_error(
          fmt::format("cannot create a directory in {}: {}", parent.string(), std::generic_category().message(reason)));
    }
    return PrivateDirectory(std::move(pattern));
  }
  PrivateDirectory(PrivateDirectory&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  PrivateDirectory& operator=(PrivateDirectory&&) = delete;
  ~PrivateDirectory() {
    std::error_code ignored;
    if (!path_.empty()) { std::filesystem::remove_all(path_, ignored); }
  }
  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

 private:
  explicit PrivateDirectory(std::string path) : path_(std::move(path)) {}
  std::filesystem::path path_;
};

struct CommandSettings {
  ParameterSpec spec;
  std::vector<float> initial;
  std::vector<std::string> command;
  std::filesystem::path working_directory;
  std::chrono::seconds timeout{0};
  std::map<std::string, std::string> options;
  std::map<std::string, std::string> training;  // by key
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
  return configuration_error(fmt::format("trainer.command: there is no program {} on the PATH", program));
}

std::string with_files(std::string argument, const std::filesystem::path& input, const std::filesystem::path& output) {
  const std::pair<std::string_view, std::string> names[] = {{"{input}", input.string()}, {"{output}", output.string()}};
  for (const auto& [name, file] : names) {
    for (std::size_t at = argument.find(name); at != std::string::npos; at = argument.find(name, at + file.size())) {
      argument.replace(at, name.size(), file);
    }
  }
  return argument;
}

Result<double> number_of(const std::string& key, const std::string& text) {
  double value = 0.0;
  const char* end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stopped != end || !std::isfinite(value)) {
    return bad_data(fmt::format("metadata {} must be a finite number, got \"{}\"", key, text));
  }
  return value;
}

Result<std::uint64_t> count_of(const std::string& key, double value) {
  if (value < 0.0 || value > 0x1p53 || value != std::floor(value)) {
    return bad_data(fmt::format("metadata {} must be a whole number in [0, 2^53], got {}", key, value));
  }
  return static_cast<std::uint64_t>(value);
}

Status read_metadata(const SafetensorsMetadata& metadata, TrainOutcome& outcome) {
  for (const auto& [key, text] : metadata) {
    // Ours ("tributary.kinds", "option.lr", "trainer.epochs"), PyTorch's, and what a program merely passed on from its
    // input.
    constexpr std::array<std::string_view, 7> kPassed{"format", "client", "round",         "root_round",
                                                      "rounds", "seed",   "evaluate_first"};
    if (key.find('.') != std::string::npos || std::ranges::find(kPassed, key) != kPassed.end()) { continue; }
    TRIBUTARY_ASSIGN_OR_RETURN(const double value, number_of(key, text));
    if (key == "weight") {
      outcome.weight = value;
    } else if (key == "samples") {
      TRIBUTARY_ASSIGN_OR_RETURN(outcome.samples, count_of(key, value));
    } else if (key == "steps") {
      TRIBUTARY_ASSIGN_OR_RETURN(outcome.steps, count_of(key, value));
    } else {
      outcome.metrics[key] = value;
    }
  }
  return ok_status();
}

class CommandTrainer final : public Trainer {
 public:
  explicit CommandTrainer(std::shared_ptr<const CommandSettings> settings) : settings_(std::move(settings)) {}

  Result<TrainOutcome> train(const TrainTask& task) override {
    FileSystem& files = real_file_system();
    TRIBUTARY_ASSIGN_OR_RETURN(const PrivateDirectory directory, PrivateDirectory::create());
    const std::filesystem::path input = directory.path() / "input.safetensors";
    const std::filesystem::path output = directory.path() / "output.safetensors";
    SafetensorsMetadata metadata{{"client", std::to_string(task.client.value)},
                                 {"round", std::to_string(task.round.value)},
                                 {"root_round", std::to_string(task.root_round.value)},
                                 {"seed", std::to_string(task.seed)},
                                 {"evaluate_first", task.evaluate_first ? "1" : "0"}};
    metadata.insert(settings_->training.begin(), settings_->training.end());
    for (const auto& [key, value] : settings_->options) { metadata.emplace("option." + key, value); }
    TRIBUTARY_RETURN_IF_ERROR(write_model(files, input, settings_->spec, *task.base, metadata));

    internal::ChildProcess child;
    for (const std::string& argument : settings_->command) {
      child.arguments.push_back(with_files(argument, input, output));
    }
    child.working_directory = settings_->working_directory;
    child.timeout = settings_->timeout;
    child.cancel = task.cancel;
    TRIBUTARY_RETURN_IF_ERROR(internal::run(child).with_context(fmt::format("client {}", task.client.value)));

    auto file = SafetensorsFile::open(files, output);
    if (!file.ok()) {
      return bad_data(fmt::format("{} left no usable output: {}", child.arguments.front(), file.status().message()));
    }
    TRIBUTARY_ASSIGN_OR_RETURN(auto values, read_model(file.value(), settings_->spec));
    TrainOutcome outcome;
    outcome.model = std::make_shared<const std::vector<float>>(std::move(values));
    outcome.weight = 1.0;
    TRIBUTARY_RETURN_IF_ERROR(read_metadata(file->metadata(), outcome).with_context(output.filename().string()));
    if (!(outcome.weight > 0.0) || outcome.weight > weight_limit()) {
      return bad_data(fmt::format("{}: metadata weight must be in (0, {}], got {}", output.filename().string(),
                                  weight_limit(), outcome.weight));
    }
    return outcome;
  }

  Result<Evaluation> evaluate(std::span<const float> /*model*/, std::uint32_t /*part*/,
                              std::uint32_t /*parts*/) override {
    return unsupported("the command trainer has no held-out data to evaluate on");
  }

  // The exact sums need a bound before the first program has said how many samples it has.
  static double weight_limit() noexcept { return 0x1p24; }

 private:
  std::shared_ptr<const CommandSettings> settings_;
};

class CommandTrainerFactory final : public TrainerFactory {
 public:
  explicit CommandTrainerFactory(std::shared_ptr<const CommandSettings> settings) : settings_(std::move(settings)) {}

  [[nodiscard]] const ParameterSpec& spec() const noexcept override { return settings_->spec; }
  [[nodiscard]] Result<std::vector<float>> initial_model(std::uint64_t /*seed*/) const override {
    return settings_->initial;
  }
  [[nodiscard]] double weight_bound(ClientIndex /*client*/) const override { return CommandTrainer::weight_limit(); }
  [[nodiscard]] Result<std::unique_ptr<Trainer>> create() const override {
    return std::unique_ptr<Trainer>(std::make_unique<CommandTrainer>(settings_));
  }

 private:
  std::shared_ptr<const CommandSettings> settings_;
};

}  // namespace

Result<std::unique_ptr<TrainerFactory>> make_command_trainer_factory(const TrainerContext& context) {
  const Configuration& configuration = context.configuration;
  if (configuration.trainer.command.empty() || configuration.trainer.command.front().empty()) {
    return configuration_error("trainer.command must name a program for trainer.kind command");
  }
  using internal::config::kOutputWord;
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
  auto settings = std::make_shared<CommandSettings>();
  settings->spec = std::move(stored->spec);
  settings->initial = std::move(stored->values);
  settings->command = configuration.trainer.command;
  std::string& program = settings->command.front();
  if (program.find('/') != std::string::npos) { program = configuration.resolve(program).string(); }
  settings->working_directory = configuration.base_directory;
  settings->timeout = std::chrono::seconds(std::min<std::uint64_t>(configuration.trainer.timeout_s, 31'536'000));
  settings->options = configuration.trainer.options;
  settings->training = internal::config::training_values(configuration);
  TRIBUTARY_RETURN_IF_ERROR(find_program(program, settings->working_directory));
  return std::unique_ptr<TrainerFactory>(std::make_unique<CommandTrainerFactory>(std::move(settings)));
}

}  // namespace tributary
