// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <filesystem>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "commands/command.hpp"
#include "console/json_output.hpp"
#include "console/text_table.hpp"
#include "report/run_data.hpp"
#include "tributary/base/file_digest.hpp"
#include "tributary/base/human.hpp"
#include "tributary/base/printable.hpp"
#include "tributary/data/model_file.hpp"
#include "tributary/data/safetensors.hpp"
#include "tributary/run/checkpoint.hpp"

namespace tributary::cli {
namespace {

namespace fs = std::filesystem;
using Facts = nlohmann::ordered_json;

// Adds what is not there yet: operator[] would look through all that is there, and a file may have 100,000 entries.
void append(Facts& facts, std::string key, Facts value) {
  facts.get_ref<Facts::object_t&>().emplace_back(std::move(key), std::move(value));
}

struct Options {
  std::string path;
  bool json = false;
};

std::string_view kind_name(TensorKind kind) {
  switch (kind) {
    case TensorKind::kRunningMean:
      return "running mean";
    case TensorKind::kRunningVariance:
      return "running variance";
    default:
      return "trainable";
  }
}

std::string shape_text(std::span<const std::int64_t> shape) {
  return shape.empty() ? std::string("scalar") : fmt::format("{}", fmt::join(shape, "x"));
}

struct Statistics {
  double mean = 0.0;
  double deviation = 0.0;
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();
  std::uint64_t not_finite = 0;
};

Statistics statistics_of(std::span<const float> values) {
  Statistics result;
  double sum = 0.0;
  double squares = 0.0;
  std::uint64_t count = 0;
  for (const float value : values) {
    if (!std::isfinite(value)) {
      ++result.not_finite;
      continue;
    }
    const double number = value;
    sum += number;
    result.low = std::min(result.low, number);
    result.high = std::max(result.high, number);
    ++count;
  }
  if (count == 0) { return {0.0, 0.0, 0.0, 0.0, result.not_finite}; }
  result.mean = sum / static_cast<double>(count);
  for (const float value : values) {
    if (std::isfinite(value)) { squares += (value - result.mean) * (value - result.mean); }
  }
  result.deviation = std::sqrt(squares / static_cast<double>(count));
  return result;
}

struct TensorReport {
  std::string name;
  std::string dtype;
  std::vector<std::int64_t> shape;
  std::string kind;
  std::uint64_t elements = 0;
  Statistics statistics;
  bool measured = false;
};

Result<std::vector<TensorReport>> tensors_of(const SafetensorsFile& file) {
  const Result<ParameterSpec> spec = model_spec(file);
  std::unordered_map<std::string_view, TensorKind> kinds;
  if (spec.ok()) {
    for (const TensorSpec& known : spec->tensors()) { kinds.emplace(known.name, known.kind); }
  }
  std::vector<TensorReport> reports;
  for (const SafetensorsTensor& tensor : file.tensors()) {
    TensorReport report{tensor.name, std::string(to_string(tensor.dtype)), tensor.shape, "other", tensor.elements, {},
                        false};
    if (const auto kind = kinds.find(tensor.name); kind != kinds.end()) { report.kind = kind_name(kind->second); }
    if (tensor.name.starts_with(kStatePrefix)) { report.kind = "state"; }
    if (is_floating(tensor.dtype)) {
      std::vector<float> values(tensor.elements);
      TRIBUTARY_RETURN_IF_ERROR(file.read_floats(tensor, values));
      report.statistics = statistics_of(values);
      report.measured = true;
    }
    reports.push_back(std::move(report));
  }
  return reports;
}

void print_tensors(const std::vector<TensorReport>& tensors, const Context& context) {
  using enum TextTable::Align;
  TextTable table({{"tensor", kLeft},
                   {"type", kLeft},
                   {"shape", kLeft},
                   {"kind", kLeft},
                   {"values", kRight},
                   {"mean", kRight},
                   {"deviation", kRight},
                   {"min", kRight},
                   {"max", kRight}});
  std::uint64_t values = 0;
  std::uint64_t not_finite = 0;
  for (const TensorReport& t : tensors) {
    const auto number = [&t](double value) { return t.measured ? fmt::format("{:.4g}", value) : std::string("–"); };
    table.add({t.name, t.dtype, shape_text(t.shape), t.kind, human_count(t.elements), number(t.statistics.mean),
               number(t.statistics.deviation), number(t.statistics.low), number(t.statistics.high)});
    values += t.elements;
    not_finite += t.statistics.not_finite;
  }
  context.out << table.render(context.paint(), context.out_terminal.utf8)
              << fmt::format("\n  {} in {}\n", human_plural(values, "value"), human_plural(tensors.size(), "tensor"));
  if (not_finite > 0) {
    context.warn(fmt::format("{} {} not finite", human_plural(not_finite, "value"), not_finite == 1 ? "is" : "are"));
  }
}

Facts facts_of(const std::vector<TensorReport>& tensors) {
  Facts list = Facts::array();
  for (const TensorReport& t : tensors) {
    Facts entry{{"name", t.name}, {"dtype", t.dtype}, {"shape", t.shape}, {"kind", t.kind}, {"values", t.elements}};
    if (t.measured) {
      entry["mean"] = t.statistics.mean;
      entry["deviation"] = t.statistics.deviation;
      entry["min"] = t.statistics.low;
      entry["max"] = t.statistics.high;
      entry["not_finite"] = t.statistics.not_finite;
    }
    list.push_back(std::move(entry));
  }
  return list;
}

std::string fact_text(const Facts& value) {
  if (value.is_string()) { return value.get<std::string>(); }
  if (value.is_number_unsigned()) { return human_count(value.get<std::uint64_t>()); }
  if (value.is_array()) {
    std::string list;
    for (const Facts& item : value) { list += (list.empty() ? "" : ", ") + fact_text(item); }
    return list.empty() ? "none" : list;
  }
  return value.dump();
}

void print_facts(const Facts& facts, const Context& context) {
  std::size_t width = 0;
  for (const auto& [key, value] : facts.items()) { width = std::max(width, display_width(printable_text(key))); }
  for (const auto& [key, value] : facts.items()) {
    std::string label = printable_text(key);
    std::replace(label.begin(), label.end(), '_', ' ');
    // A seed is a name rather than a quantity: as it is written in a configuration.
    const std::string text = key == "seed" ? value.dump() : printable_text(fact_text(value));
    context.out << fmt::format("  {}  {}\n", context.paint().dim(pad_right(label, width)), text);
  }
  context.out << '\n';
}

void print_json(const Facts& facts, const Context& context) {
  Facts document{{"schema", 1}};
  for (const auto& [key, value] : facts.items()) { append(document, key, value); }
  cli::print_json(context.out, document);
}

Status inspect_tensors(const SafetensorsFile& file, Facts facts, const Options& options, const Context& context) {
  FileSystem& files = real_file_system();
  TRIBUTARY_ASSIGN_OR_RETURN(const std::vector<TensorReport> tensors, tensors_of(file));
  TRIBUTARY_ASSIGN_OR_RETURN(const Digest digest, file_digest(files, options.path));
  facts["sha256"] = digest.hex();
  if (const Result<ParameterSpec> spec = model_spec(file); spec.ok()) {
    facts["parameters"] = spec->parameters();
    facts["fingerprint"] = spec->fingerprint().hex();
  }
  if (options.json) {
    facts["tensors"] = facts_of(tensors);
    print_json(facts, context);
    return ok_status();
  }
  print_facts(facts, context);
  print_tensors(tensors, context);
  return ok_status();
}

// Eight bytes of length, then a JSON object: text of any other kind would be read as an absurd length.
Status check_is_safetensors(FileSystem& files, const std::string& path) {
  TRIBUTARY_ASSIGN_OR_RETURN(const std::unique_ptr<ReadableFile> source, files.open(path));
  std::array<std::byte, 9> start{};
  if (source->size() >= start.size()) {
    TRIBUTARY_RETURN_IF_ERROR(source->read(0, start));
    if (start.back() == std::byte{'{'}) { return ok_status(); }
  }
  return bad_data(fmt::format(
      "{}: is no safetensors file; inspect reads models, checkpoints, run directories and records.jsonl", path));
}

Status inspect_file(const Options& options, const Context& context) {
  FileSystem& files = real_file_system();
  TRIBUTARY_RETURN_IF_ERROR(check_is_safetensors(files, options.path));
  TRIBUTARY_ASSIGN_OR_RETURN(const SafetensorsFile file, SafetensorsFile::open(files, options.path));
  const bool is_checkpoint = std::any_of(file.metadata().begin(), file.metadata().end(), [](const auto& entry) {
    return entry.first.starts_with("tributary.checkpoint");
  });
  if (is_checkpoint) {
    TRIBUTARY_ASSIGN_OR_RETURN(const CheckpointFacts checkpoint, inspect_checkpoint(files, options.path));
    Facts facts{{"what", "checkpoint"},
                {"verified", true},
                {"round", checkpoint.state.round.value},
                {"version", checkpoint.state.version.value},
                {"seed", checkpoint.state.seed},
                {"configuration", checkpoint.state.configuration.hex()},
                {"records_bytes", checkpoint.state.records_bytes},
                {"bytes", checkpoint.bytes}};
    for (const auto& [key, value] : checkpoint.state.extra) {
      append(facts, "extra." + key, fmt::format("{} bytes", value.size()));
    }
    return inspect_tensors(file, std::move(facts), options, context);
  }
  TRIBUTARY_ASSIGN_OR_RETURN(const std::unique_ptr<ReadableFile> whole, files.open(options.path));
  Facts facts{{"what", "model"}, {"bytes", whole->size()}};
  for (const auto& [key, value] : file.metadata()) { append(facts, "metadata." + key, value); }
  return inspect_tensors(file, std::move(facts), options, context);
}

Status inspect_run(const Options& options, const Context& context) {
  FileSystem& files = real_file_system();
  TRIBUTARY_ASSIGN_OR_RETURN(const RunData run, read_run(files, options.path));
  TRIBUTARY_ASSIGN_OR_RETURN(const std::vector<CheckpointFile> checkpoints,
                             CheckpointStore(files, run.directory / "checkpoints", 1).list());
  Facts facts{{"what", "run"}, {"name", run.name}, {"outcome", run.outcome()}, {"rounds", run.rounds.size()}};
  const auto number = [&](const char* name, double value, const std::string& text) {
    if (std::isfinite(value)) { facts[name] = options.json ? Facts(value) : Facts(text); }
  };
  number("accuracy", run.last("accuracy"), run.accuracy_text(run.last("accuracy")));
  number("loss", run.last("loss"), human_metric(run.last("loss")));
  number(options.json ? "seconds" : "time", run.seconds(), human_duration(run.seconds()));
  if (options.json) {
    facts["bytes_moved"] = saturated_count(run.bytes_moved());
  } else {
    facts["bytes_moved"] = human_bytes(run.bytes_moved());
  }
  for (const char* field : {"clients", "aggregators", "parameters", "seed"}) {
    if (run.run.find(field) != nullptr) { facts[field] = whole_field(run.run, field); }
  }
  if (!run.end.text("error").empty()) { facts["error"] = std::string(run.end.text("error")); }
  if (run.starts > 1) { facts["resumed"] = run.starts - 1; }
  Facts kept = Facts::array();
  for (const CheckpointFile& checkpoint : checkpoints) { kept.push_back(checkpoint.round.value); }
  facts["checkpoints"] = kept;
  const std::string_view recorded = run.end.text("model_sha256");
  const fs::path model = run.directory / "model.safetensors";
  bool altered = false;
  if (!recorded.empty()) {
    const Result<Digest> digest = file_digest(files, model);
    altered = digest.ok() && digest->hex() != recorded;
    facts["model"] = !digest.ok() ? "missing" : altered ? "not the one that was recorded" : "as recorded";
    facts["model_sha256"] = std::string(recorded);
  }
  if (options.json) {
    print_json(facts, context);
  } else {
    print_facts(facts, context);
    if (!run.owner.empty()) {
      context.note("  still running: " + run.owner);
    } else if (!run.ended()) {
      context.note("  not ended: go on with tributary run --resume " + run.directory.string());
    }
  }
  if (altered) { return bad_data(fmt::format("{}: is not the model whose digest the run recorded", model.string())); }
  return ok_status();
}

Status act(const Options& options, const Context& context) {
  TRIBUTARY_ASSIGN_OR_RETURN(const FileSystem::Kind kind, real_file_system().kind(options.path));
  if (kind == FileSystem::Kind::kNothing) {
    return not_found(fmt::format("{}: there is no such file or directory", options.path));
  }
  const bool is_run = kind == FileSystem::Kind::kDirectory || fs::path(options.path).extension() == ".jsonl";
  return is_run ? inspect_run(options, context) : inspect_file(options, context);
}

}  // namespace

Command inspect_command() {
  return {"inspect", "Say what is in a model, a checkpoint or a run directory", [](CLI::App& app) -> Action {
            auto options = std::make_shared<Options>();
            app.add_option("path", options->path,
                           "A .safetensors model or checkpoint, or a run directory (or its records.jsonl)")
                ->required()
                ->type_name("PATH");
            app.add_flag("--json", options->json, "One JSON object");
            app.footer(
                "Examples:\n"
                "  tributary inspect runs/fashion\n"
                "  tributary inspect runs/fashion/model.safetensors --json\n"
                "Exit codes: 65 the file is damaged, 66 there is none.");
            return [options](const Context& context) { return act(*options, context); };
          }};
}

}  // namespace tributary::cli
