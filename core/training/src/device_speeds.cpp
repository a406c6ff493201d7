// SPDX-License-Identifier: Apache-2.0
#include "tributary/training/device_speeds.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "base/decimal_number.hpp"
#include "data/csv_records.hpp"
#include "data/table_text.hpp"
#include "tributary/base/file_system.hpp"
#include "tributary/base/printable.hpp"
#include "tributary/base/random.hpp"

namespace tributary {
namespace {

using Slowness = SimulationConfig::Devices::Slowness;

constexpr double kFastest = 0.001;
// The longest of a heavy tail would be the whole run.
constexpr double kSlowest = 1000.0;

constexpr std::string_view kSlownessColumn = "slowness";
constexpr std::string_view kClientColumn = "client";

std::optional<double> read_slowness(std::string_view text) {
  std::errc error{};
  const std::optional<double> value = internal::read_number<double>(text, error);
  return value && *value >= kFastest && *value <= kSlowest ? value : std::nullopt;
}

std::string as_shown(std::string_view text) {
  return text.empty() ? "nothing" : printable_text(text);
}

std::string range_text() {
  return fmt::format("a number from {:g} to {:g}", kFastest, kSlowest);
}

// What `client` or the nearest node above it says; empty if nobody does.
Result<std::optional<double>> stated(const Tree& tree, NodeId client) {
  for (NodeId node = client;; node = tree.parent(node)) {
    const auto& extra = tree.attributes(node).extra;
    if (const auto found = extra.find(std::string(kSlownessColumn)); found != extra.end()) {
      const std::optional<double> value = read_slowness(found->second);
      if (value) { return value; }
      return configuration_error(fmt::format("extra.slowness of {} must be {}, got {}", printable_text(tree.name(node)),
                                             range_text(), as_shown(found->second)));
    }
    if (node == tree.root()) { return std::optional<double>(); }
  }
}

Result<std::vector<double>> from_topology(const Tree& tree) {
  std::vector<double> all;
  bool any = false;
  for (std::uint32_t client = 0; client < tree.clients(); ++client) {
    TRIBUTARY_ASSIGN_OR_RETURN(const std::optional<double> value, stated(tree, tree.client_node(ClientIndex{client})));
    any = any || value;
    all.push_back(value.value_or(1.0));
  }
  if (any) { return all; }
  return configuration_error(
      "simulation.devices.slowness is topology, and no node of the topology says how slow it is: by `extra: {slowness: "
      "2.5}` at clients, or at nodes above them");
}

struct Trace {
  std::vector<double> rows;
  std::unordered_map<std::string, double> by_client;
};

Result<Trace> read_trace(const std::string& text, const std::string& name) {
  internal::CsvRecords records(text, name, ',');
  std::vector<internal::CsvField> fields;
  TRIBUTARY_ASSIGN_OR_RETURN(const bool begun, records.next(fields));
  std::optional<std::size_t> slowness_at;
  std::optional<std::size_t> client_at;
  for (std::size_t i = 0; begun && i < fields.size(); ++i) {
    const std::string_view column = internal::trimmed(fields[i].text);
    for (const auto& [known, place] :
         {std::pair(kSlownessColumn, &slowness_at), std::pair(kClientColumn, &client_at)}) {
      if (column != known) { continue; }
      if (*place) { return bad_data(fmt::format("{}:1: the column {} stands there twice", name, known)); }
      *place = i;
    }
  }
  if (!slowness_at) {
    return bad_data(
        fmt::format("{}:1: a trace of devices is a table with commas, and its first line names the columns: "
                    "`slowness`, and `client` where its rows belong to clients by their names",
                    name));
  }
  const std::size_t columns = fields.size();
  Trace trace;
  for (;;) {
    TRIBUTARY_ASSIGN_OR_RETURN(const bool more, records.next(fields));
    if (!more) { break; }
    const auto refuse = [&](std::size_t at, const std::string& why) {
      return bad_data(fmt::format("{}:{}:{}: {}", name, fields[at].line, fields[at].column, why));
    };
    if (fields.size() != columns) {
      return refuse(0, fmt::format("{} values in a table of {} columns", fields.size(), columns));
    }
    const std::optional<double> value = read_slowness(fields[*slowness_at].text);
    if (!value) {
      return refuse(*slowness_at,
                    fmt::format("slowness must be {}, got {}", range_text(), as_shown(fields[*slowness_at].text)));
    }
    if (!client_at) {
      trace.rows.push_back(*value);
      continue;
    }
    const std::string client(internal::trimmed(fields[*client_at].text));
    if (!trace.by_client.emplace(client, *value).second) {
      return refuse(*client_at, fmt::format("the client {} stands there twice", printable_text(client)));
    }
  }
  if (trace.rows.empty() && trace.by_client.empty()) { return bad_data(fmt::format("{}: there are no rows", name)); }
  return trace;
}

Result<std::vector<double>> from_trace(const Configuration& configuration, const Tree& tree) {
  const std::filesystem::path path = configuration.resolve(configuration.simulation.devices.trace);
  const auto about = [](const Status& status) { return status.with_context("simulation.devices.trace"); };
  const Result<std::unique_ptr<ReadableFile>> file = real_file_system().open(path);
  if (!file.ok()) { return about(file.status()); }
  const Result<std::string> text = internal::read_table_text(**file, path.string());
  if (!text.ok()) { return about(text.status()); }
  Result<Trace> read = read_trace(*text, path.string());
  if (!read.ok()) { return about(read.status()); }
  const Trace trace = std::move(read).value();
  std::vector<double> all;
  for (std::uint32_t client = 0; client < tree.clients(); ++client) {
    if (!trace.rows.empty()) {
      Rng rng(stream_seed(configuration.seed, Purpose::kDevice, client));
      all.push_back(trace.rows[rng.below(trace.rows.size())]);
      continue;
    }
    const std::string client_name = tree.name(tree.client_node(ClientIndex{client}));
    const auto found = trace.by_client.find(client_name);
    if (found == trace.by_client.end()) {
      return configuration_error(
          fmt::format("simulation.devices.trace: {} has no row for {}", path.string(), printable_text(client_name)));
    }
    all.push_back(found->second);
  }
  return all;
}

}  // namespace

Result<DeviceSpeeds> DeviceSpeeds::create(const Configuration& configuration, const Tree& tree) {
  DeviceSpeeds speeds;
  speeds.devices_ = configuration.simulation.devices;
  speeds.seed_ = configuration.seed;
  if (configuration.simulation.compute_seconds_per_sample == 0.0) { return speeds; }
  if (speeds.devices_.slowness == Slowness::kTopology) {
    TRIBUTARY_ASSIGN_OR_RETURN(speeds.stated_, from_topology(tree));
  } else if (speeds.devices_.slowness == Slowness::kTrace) {
    TRIBUTARY_ASSIGN_OR_RETURN(speeds.stated_, from_trace(configuration, tree));
  }
  return speeds;
}

double DeviceSpeeds::slowness(ClientIndex client) const noexcept {
  if (!stated_.empty()) { return client.value < stated_.size() ? stated_[client.value] : 1.0; }
  Rng rng(stream_seed(seed_, Purpose::kDevice, client.value));
  switch (devices_.slowness) {
    case Slowness::kEqual:
    case Slowness::kTopology:
    case Slowness::kTrace:
      break;
    case Slowness::kUniform:
      return 1.0 + (devices_.slowest - 1.0) * rng.uniform();
    case Slowness::kLogNormal:
      return std::exp(devices_.sigma * rng.normal());
    case Slowness::kPareto:
      return std::min(std::pow(1.0 - rng.uniform(), -1.0 / devices_.alpha), kSlowest);
  }
  return 1.0;
}

}  // namespace tributary
