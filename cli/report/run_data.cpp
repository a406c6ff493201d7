// SPDX-License-Identifier: Apache-2.0
#include "report/run_data.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "config/yaml_document.hpp"
#include "tributary/base/human.hpp"
#include "tributary/run/record_sinks.hpp"
#include "tributary/run/run_lock.hpp"

namespace tributary::cli {
namespace {

constexpr std::uint64_t kMaxTextBytes = std::uint64_t{64} << 20U;

std::uint64_t whole(const Record& record, std::string_view field) {
  return saturated_count(record.number(field));
}

Result<std::string> read_text_if_there(FileSystem& files, const std::filesystem::path& path) {
  TRIBUTARY_ASSIGN_OR_RETURN(const FileSystem::Kind kind, files.kind(path));
  if (kind != FileSystem::Kind::kFile) { return std::string(); }
  TRIBUTARY_ASSIGN_OR_RETURN(const std::vector<std::byte> bytes, read_file(files, path, kMaxTextBytes));
  std::string text(bytes.size(), '\0');
  std::transform(bytes.begin(), bytes.end(), text.begin(), [](std::byte b) { return static_cast<char>(b); });
  return text;
}

void add_record(RunData& data, const Record& record) {
  const std::string& event = record.event();
  if (event == "run") {
    if (data.starts++ == 0) { data.run = record; }
    // Resumed: it has not ended any more, and what is counted since then replaces what was counted before.
    data.end = Record("end");
    data.where.clear();
    data.edges.clear();
  } else if (event == "round") {
    data.rounds.push_back(record);
    for (const char* const field : {"accuracy", "client_accuracy", "holdout_accuracy"}) {
      const double accuracy = record.number(field);
      data.accuracy_is_share = data.accuracy_is_share && accuracy >= 0.0 && accuracy <= 1.0;
    }
  } else if (event == "tier") {
    data.tiers.push_back(record);
  } else if (event == "staleness") {
    data.staleness.push_back(record);
  } else if (event == "labels") {
    data.labels.push_back(record);
  } else if (event == "labels_summary") {
    data.labels_summary = record;
  } else if (event == "edge") {
    data.edges.push_back(record);
  } else if (event == "where") {
    data.where.push_back(record);
  } else if (event == "warning") {
    data.warnings.emplace_back(record.text("text"));
  } else if (event == "fault") {
    ++data.fault_kinds[std::string(record.text("kind"))];
    ++data.faults_by_round[whole(record, "round")];
    if (data.faults.size() < RunData::kMaxFaults) { data.faults.push_back(record); }
  } else if (event == "end") {
    data.end = record;
  }
}

// Later records win, as when a run was taken back to an earlier round.
template <typename Key>
void keep_last_of_each(std::vector<Record>& records, Key key) {
  std::stable_sort(records.begin(), records.end(), [&](const Record& a, const Record& b) { return key(a) < key(b); });
  std::vector<Record> kept;
  for (Record& record : records) {
    if (!kept.empty() && key(kept.back()) == key(record)) {
      kept.back() = std::move(record);
    } else {
      kept.push_back(std::move(record));
    }
  }
  records = std::move(kept);
}

using internal::config::YamlEntry;
using internal::config::YamlNode;

void flatten(const YamlNode& node, const std::string& path, std::map<std::string, std::string>& out) {
  if (node.kind == YamlNode::Kind::kMap) {
    for (const YamlEntry& entry : node.entries) {
      flatten(entry.value, path.empty() ? entry.key : path + '.' + entry.key, out);
    }
  } else if (node.kind != YamlNode::Kind::kSequence) {
    out[path] = node.kind == YamlNode::Kind::kScalar ? node.text : "~";
  } else if (std::ranges::all_of(node.items, [](const YamlNode& i) { return i.kind == YamlNode::Kind::kScalar; })) {
    std::string list;
    for (const YamlNode& item : node.items) { list += (list.empty() ? "" : ", ") + item.text; }
    out[path] = "[" + list + "]";
  } else {
    for (std::size_t i = 0; i < node.items.size(); ++i) { flatten(node.items[i], fmt::format("{}[{}]", path, i), out); }
  }
}

}  // namespace

std::map<std::string, std::string> flatten_yaml(const std::string& text) {
  std::map<std::string, std::string> settings;
  const internal::config::YamlDocument document = internal::config::parse_yaml(text, 0);
  if (document.readable) { flatten(document.root, "", settings); }
  return settings;
}

Result<RunData> read_run(FileSystem& files, const std::filesystem::path& path) {
  TRIBUTARY_ASSIGN_OR_RETURN(const FileSystem::Kind kind, files.kind(path));
  if (kind == FileSystem::Kind::kNothing) { return not_found(fmt::format("{}: no such run directory", path.string())); }
  RunData data;
  const bool is_directory = kind == FileSystem::Kind::kDirectory;
  data.directory = is_directory ? path : path.parent_path();
  const std::filesystem::path records = is_directory ? path / "records.jsonl" : path;
  TRIBUTARY_ASSIGN_OR_RETURN(const FileSystem::Kind records_kind, files.kind(records));
  if (records_kind != FileSystem::Kind::kFile) {
    return not_found(fmt::format("{}: is no run directory: it has no records.jsonl", path.string()));
  }
  std::size_t read = 0;
  const Status status = for_each_record(files, records, [&](const Record& record) {
    add_record(data, record);
    ++read;
    return ok_status();
  });
  // What begins with something else than a record was meant for another command.
  if (!status.ok() && read == 0 && !is_directory && path.extension() != ".jsonl") {
    return bad_data(fmt::format("{} is no run directory and no records.jsonl", path.string()));
  }
  TRIBUTARY_RETURN_IF_ERROR(status);
  keep_last_of_each(data.rounds, [](const Record& r) { return whole(r, "round"); });
  keep_last_of_each(data.tiers, [](const Record& r) { return std::pair(whole(r, "round"), whole(r, "tier")); });
  keep_last_of_each(data.staleness, [](const Record& r) { return whole(r, "round"); });
  keep_last_of_each(data.labels, [](const Record& r) { return whole(r, "client"); });
  keep_last_of_each(data.edges, [](const Record& r) { return whole(r, "child"); });
  keep_last_of_each(data.where, [](const Record& r) { return whole(r, "process"); });
  TRIBUTARY_ASSIGN_OR_RETURN(data.configuration, read_text_if_there(files, data.directory / "configuration.yaml"));
  TRIBUTARY_ASSIGN_OR_RETURN(data.topology, read_text_if_there(files, data.directory / "topology.yaml"));
  data.settings = flatten_yaml(data.configuration);
  if (!data.ended()) { data.owner = owner_of_run_directory(files, data.directory); }
  data.name = data.run.text("name");
  if (data.name.empty()) {
    std::error_code unknown;
    data.name = std::filesystem::weakly_canonical(data.directory, unknown).filename().string();
  }
  return data;
}

std::string RunData::outcome() const {
  const std::string_view said = end.text("outcome");
  if (!said.empty()) { return std::string(said); }
  return owner.empty() ? "unfinished" : "running";
}

double RunData::total(std::string_view field) const {
  double sum = 0.0;
  for (const Record& round : rounds) { sum += round.number(field); }
  return sum;
}

double RunData::seconds() const {
  return end.number("seconds", total("seconds"));
}

std::string RunData::accuracy_text(double accuracy) const {
  return accuracy_is_share || !std::isfinite(accuracy) ? human_percent(accuracy) : fmt::format("{:.6g}", accuracy);
}

double RunData::last(std::string_view field) const {
  constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
  for (auto round = rounds.rbegin(); round != rounds.rend(); ++round) {
    if (const double value = round->number(field, kNaN); std::isfinite(value)) { return value; }
  }
  return end.number(field, kNaN);
}

const Record* RunData::best_round() const {
  const Record* best = nullptr;
  for (const Record& round : rounds) {
    const double accuracy = round.number("accuracy", std::numeric_limits<double>::quiet_NaN());
    if (std::isfinite(accuracy) && (best == nullptr || accuracy > best->number("accuracy"))) { best = &round; }
  }
  return best;
}

std::uint64_t whole_field(const Record& record, std::string_view field) {
  const Record::Value* const value = record.find(field);
  if (const auto* large = std::get_if<std::uint64_t>(value); large != nullptr) { return *large; }
  if (const auto* small = std::get_if<std::int64_t>(value); small != nullptr) {
    return static_cast<std::uint64_t>(std::max<std::int64_t>(0, *small));
  }
  return saturated_count(record.number(field));
}

}  // namespace tributary::cli
