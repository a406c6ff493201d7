// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "commands/command.hpp"
#include "commands/load.hpp"
#include "commands/wrong_file.hpp"
#include "console/json_output.hpp"
#include "tributary/base/human.hpp"
#include "tributary/base/printable.hpp"
#include "tributary/nodes/node_input.hpp"
#include "tributary/run/federation.hpp"
#include "tributary/run/record_sinks.hpp"
#include "tributary/simulation/driver.hpp"
#include "tributary/simulation/replay_driver.hpp"

namespace tributary::cli {
namespace {

namespace fs = std::filesystem;

struct Options {
  std::string directory;
  bool json = false;
};

// What a run has left of itself.
struct Recorded {
  std::string driver;
  std::string digest;     // of its configuration
  std::size_t parts = 0;  // it was resumed so many times, less one
  bool states_anew = false;
  std::vector<Record> rounds;
  std::map<NodeId, std::vector<NodeInput>> inputs;
  std::string model;  // SHA-256
};

Result<NodeInput> input_of(const Record& record) {
  const auto number = [&record](std::string_view key) { return saturated_count(record.number(key)); };
  const auto* const stop = record.find("stop");
  const bool stops = stop != nullptr && std::holds_alternative<bool>(*stop) && std::get<bool>(*stop);
  std::string text = fmt::format("{} {} {} {} {} {}", record.text("what"), number("of"), number("incarnation"),
                                 number("task"), number("value"), stops ? 1 : 0);
  if (const std::string_view kind = record.text("kind"); !kind.empty()) { text += fmt::format(" {}", kind); }
  return input_from_text(text);
}

Result<Recorded> read_recorded(const fs::path& directory) {
  Recorded recorded;
  std::string outcome;
  const Status read =
      for_each_record(real_file_system(), directory / "records.jsonl", [&](const Record& record) -> Status {
        if (record.event() == "run") {
          ++recorded.parts;
          recorded.driver = record.text("driver");
          recorded.digest = record.text("configuration_digest");
        } else if (record.event() == "round") {
          recorded.rounds.push_back(record);
        } else if (record.event() == "input") {
          TRIBUTARY_ASSIGN_OR_RETURN(const NodeInput input, input_of(record));
          recorded.inputs[NodeId{static_cast<std::uint32_t>(saturated_count(record.number("node")))}].push_back(input);
        } else if (record.event() == "fault") {
          recorded.states_anew = recorded.states_anew || record.text("kind") == to_string(NodeEvent::Kind::kAnew);
        } else if (record.event() == "end") {
          outcome = record.text("outcome");
          recorded.model = record.text("model_sha256");
        }
        return {};
      });
  if (!read.ok()) { return read; }
  if (recorded.model.empty() || (outcome != "finished" && outcome != "stopped")) {
    return invalid_argument(
        fmt::format("{} holds no finished run: a replay compares its model with the one that the run ended with",
                    directory.string()));
  }
  return recorded;
}

// Whether there is enough to repeat it, and everything is as it was.
Status check_recorded(const Recorded& recorded, const Plan& plan, const fs::path& directory) {
  if (recorded.digest != plan.digest().hex()) {
    return invalid_argument(fmt::format(
        "the configuration, tree or model is not the one that {} was made with: a replay takes no changes (look for "
        "variables TRIBUTARY_...), and files that the configuration names must be what they were",
        directory.string()));
  }
  const bool virtual_clock =
      recorded.driver == "simulation" && plan.configuration().simulation.clock == SimulationConfig::Clock::kVirtual;
  if (recorded.parts > 1 && plan.order_decides() && !virtual_clock) {
    return unsupported(
        fmt::format("{} was resumed in real time: where a tier does not wait for all its children, what was at work "
                    "when the run was cut off "
                    "began anew, and that is not recorded",
                    directory.string()));
  }
  if (recorded.states_anew && !virtual_clock) {
    return unsupported(
        fmt::format("in {} states of nodes were lost, as by a resume, and began anew: when that was is not recorded",
                    directory.string()));
  }
  for (const auto& [node, inputs] : recorded.inputs) {
    if (node.value >= plan.tree().size() || plan.tree().is_client(node)) {
      return bad_data(
          fmt::format("records.jsonl has inputs of node {}, which is no inner node of this tree", node.value));
    }
    const auto stranger = std::ranges::find_if(
        inputs, [&plan](const NodeInput& input) { return input.peer.value >= plan.tree().size(); });
    if (stranger == inputs.end()) { continue; }
    return bad_data(
        fmt::format("records.jsonl has an input of node {}, which is not in this tree", stranger->peer.value));
  }
  return {};
}

// Repeats what took its course by itself, or what was recorded.
std::unique_ptr<Driver> make_driver(const PreparedRun& run, Recorded& recorded, ClientStateStore* states) {
  const Configuration& configuration = run.plan.configuration();
  const bool simulated = recorded.driver == "simulation";
  const bool virtual_clock = simulated && configuration.simulation.clock == SimulationConfig::Clock::kVirtual;
  if (run.plan.order_decides() && !virtual_clock) {
    return std::make_unique<ReplayDriver>(ReplaySettings{
        .threads = thread_count(configuration), .inputs = std::move(recorded.inputs), .client_states = states});
  }
  SimulationSettings settings;
  if (virtual_clock) {
    settings = simulation_settings(run);
  } else {
    settings.threads = thread_count(configuration);
  }
  settings.client_states = states;
  return std::make_unique<SimulationDriver>(std::move(settings));
}

// What of a round does not depend on time and place, nor on messages that were repeated.
bool is_compared(std::string_view key) {
  constexpr std::array<std::string_view, 8> kOthers{"late",       "working",  "failed",     "selected",
                                                    "bytes_down", "bytes_up", "idle_share", "rejected"};
  return std::ranges::find(kOthers, key) == kOthers.end() && !key.ends_with("seconds");
}

std::string shown(const Record::Value& value) {
  const std::string line = Record("").set("value", value).to_json();
  const std::size_t begin = line.find("\"value\":");
  return begin == std::string::npos ? line : line.substr(begin + 8, line.size() - begin - 9);
}

// The first difference, for people; empty if there is none.
std::string difference(const std::vector<Record>& recorded, const std::vector<Record>& replayed) {
  for (std::size_t i = 0; i < std::max(recorded.size(), replayed.size()); ++i) {
    if (i >= recorded.size() || i >= replayed.size()) {
      return fmt::format("the run has {}, the replay {}", human_plural(recorded.size(), "round"), replayed.size());
    }
    for (const auto& [key, value] : recorded[i].fields()) {
      if (!is_compared(key)) { continue; }
      const Record::Value* const now = replayed[i].find(key);
      if (now != nullptr && *now == value) { continue; }
      return fmt::format("in round {} `{}` was {}, and is {}", saturated_count(recorded[i].number("round")), key,
                         shown(value), now == nullptr ? std::string("missing") : shown(*now));
    }
  }
  return {};
}

// A new directory, which is removed whatever happens.
class Scratch {
 public:
  static Result<Scratch> create() {
    std::error_code failed;
    std::string name = (fs::temp_directory_path(failed) / "tributary-replay-XXXXXX").string();
    if (failed || ::mkdtemp(name.data()) == nullptr) {
      return io_error(fmt::format("cannot make a directory {} to replay in", name));
    }
    return Scratch(name);
  }
  ~Scratch() {
    std::error_code ignored;
    if (!path_.empty()) { fs::remove_all(path_, ignored); }
  }
  Scratch(Scratch&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  Scratch& operator=(Scratch&&) = delete;
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  [[nodiscard]] const fs::path& path() const noexcept { return path_; }

 private:
  explicit Scratch(fs::path path) : path_(std::move(path)) {}

  fs::path path_;
};

// Rounds as they come, for the comparison.
class RoundSink final : public RecordSink {
 public:
  Status write(const Record& record) override {
    if (record.event() == "round") { rounds.push_back(record); }
    return {};
  }
  Status flush() override { return {}; }
  std::vector<Record> rounds;
};

Status act(const Options& options, const Context& context) {
  const fs::path directory = options.directory;
  TRIBUTARY_RETURN_IF_ERROR(check_is_run_directory(directory));
  TRIBUTARY_ASSIGN_OR_RETURN(Recorded recorded, read_recorded(directory));
  TRIBUTARY_ASSIGN_OR_RETURN(Configuration configuration,
                             load_configuration({.file = (directory / "configuration.yaml").string(), .set = {}}));
  TRIBUTARY_ASSIGN_OR_RETURN(const Loaded loaded, load_federation(std::move(configuration)));
  const PreparedRun& run = loaded.composition;
  TRIBUTARY_RETURN_IF_ERROR(check_recorded(recorded, run.plan, directory));

  TRIBUTARY_ASSIGN_OR_RETURN(const Scratch scratch, Scratch::create());
  RoundSink sink;
  std::optional<ClientStates> states;
  FederationOptions repeated;
  repeated.directory = scratch.path() / "run";
  repeated.sinks.push_back(&sink);
  repeated.preamble = run.data_records();
  repeated.model_metadata = run.model_metadata();
  repeated.inputs = run.inputs;
  if (run.plan.local_method() != nullptr && run.plan.local_method()->keeps_state()) {
    states.emplace(real_file_system(), scratch.path() / "run" / "clients", run.plan.spec().parameters(),
                   ClientStates::Writing::kWhenFlushed);
    repeated.client_states = &*states;
  }
  std::size_t inputs = 0;
  for (const auto& [node, told] : recorded.inputs) { inputs += told.size(); }
  const std::unique_ptr<Driver> driver = make_driver(run, recorded, states ? &*states : nullptr);
  TRIBUTARY_ASSIGN_OR_RETURN(const std::unique_ptr<Federation> federation,
                             Federation::open(run.plan, *run.factory, std::move(repeated)));
  const Result<FederationOutcome> outcome = federation->run(*driver);
  const std::string differs = difference(recorded.rounds, sink.rounds);
  if (!outcome.ok()) {
    return differs.empty() || sink.rounds.empty() || sink.rounds.size() < recorded.rounds.size()
               ? outcome.status().with_context("replay")
               : bad_data(fmt::format("{}; then: {}", differs, outcome.status().message()));
  }
  const std::string model = outcome->model_file.hex();
  const bool same = differs.empty() && model == recorded.model;
  if (options.json) {
    print_json(context.out, {{"schema", 1},
                             {"directory", directory.string()},
                             {"same", same},
                             {"rounds", sink.rounds.size()},
                             {"inputs", inputs},
                             {"model_sha256", model},
                             {"recorded_model_sha256", recorded.model},
                             {"difference", differs}});
  } else if (same) {
    context.out << fmt::format("{}: the same {} and the same model, sha256 {}\n", printable_text(directory.string()),
                               human_plural(sink.rounds.size(), "round"), model);
    if (inputs > 0) { context.note(fmt::format("repeated {} in the recorded order", human_plural(inputs, "input"))); }
  }
  if (same) { return {}; }
  return bad_data(differs.empty()
                      ? fmt::format("the rounds are the same, and the model is another: sha256 {}, recorded {}", model,
                                    recorded.model)
                      : fmt::format("the replay differs: {}", differs));
}

}  // namespace

Command replay_command() {
  return {
      "replay", "Repeat a finished run in one process, and compare every round and the model",
      [](CLI::App& app) -> Action {
        auto options = std::make_shared<Options>();
        app.add_option("run", options->directory, "Run directory")->required()->type_name("DIR");
        app.add_flag("--json", options->json, "The comparison as one JSON object");
        app.footer(
            "A run in real time with buffered or asynchronous tiers depends on which updates came first. Its records\n"
            "keep that order, and this repeats it. Nothing in the directory is changed.\n\n"
            "Example:\n"
            "  tributary replay runs/fashion");
        return [options](const Context& context) { return act(*options, context); };
      }};
}

}  // namespace tributary::cli
