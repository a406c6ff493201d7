// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>
#include <numeric>
#include <string>
#include <vector>

#include "commands/command.hpp"
#include "commands/data_facts.hpp"
#include "commands/load.hpp"
#include "console/json_output.hpp"
#include "console/text_table.hpp"
#include "tributary/base/human.hpp"
#include "tributary/data/load_dataset.hpp"
#include "tributary/topology/read.hpp"

namespace tributary::cli {
namespace {

struct Options {
  std::shared_ptr<ConfigurationOptions> configuration;
  std::uint32_t rows = 40;
  bool json = false;
};

struct ClientLabels {
  std::uint32_t client = 0;
  std::vector<std::uint32_t> counts;
  std::uint64_t samples = 0;

  // exp(entropy) of the labels: 1 if all samples are of one class, the number of classes if they are even.
  [[nodiscard]] double effective_classes() const {
    double entropy = 0.0;
    for (const std::uint32_t count : counts) {
      if (count == 0) { continue; }
      const double share = static_cast<double>(count) / static_cast<double>(samples);
      entropy -= share * std::log(share);
    }
    return samples == 0 ? 0.0 : std::exp(entropy);
  }
};

ClientLabels labels_of(const Partition& partition, const Dataset& data, std::uint32_t client) {
  ClientLabels labels{client, partition.histogram(ClientIndex{client}, data.labels, data.classes), 0};
  labels.samples = std::accumulate(labels.counts.begin(), labels.counts.end(), std::uint64_t{0});
  return labels;
}

// One character per class: how many of the client's samples it has, beside the largest count in the table.
std::string blocks(const std::vector<std::uint32_t>& counts, std::uint32_t largest, bool utf8) {
  constexpr std::array<std::string_view, 9> kBlocks{"·", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  constexpr std::array<std::string_view, 9> kAscii{" ", "_", ".", ":", "-", "=", "+", "*", "#"};
  std::string out;
  for (const std::uint32_t count : counts) {
    // The square root keeps small counts apart from none; any sample at all is at least one level.
    const double level = largest == 0 ? 0.0 : 8.0 * std::sqrt(static_cast<double>(count) / largest);
    const auto index = count == 0 ? 0 : std::max<std::size_t>(1, static_cast<std::size_t>(std::lround(level)));
    out += utf8 ? kBlocks.at(index) : kAscii.at(index);
  }
  return out;
}

std::string bar(std::uint64_t samples, std::uint64_t largest, std::size_t cells, bool utf8) {
  const double share = largest == 0 ? 0.0 : static_cast<double>(samples) / static_cast<double>(largest);
  const auto filled = static_cast<std::size_t>(std::lround(share * static_cast<double>(cells)));
  std::string out;
  for (std::size_t i = 0; i < filled; ++i) { out += utf8 ? "■" : "#"; }
  return out;
}

// Names of clients are shown where ids are.
void print_json(const DataSpread& spread, const Dataset& data, const Tree& tree, const Context& context) {
  const Partition& partition = spread.partition;
  nlohmann::ordered_json header{{"schema", 1},
                                {"event", "partition"},
                                {"clients", partition.clients()},
                                {"classes", data.classes},
                                {"samples", data.size()},
                                {"sha256", partition.digest().hex()}};
  if (!data.class_names.empty()) { header["class_names"] = data.class_names; }
  cli::print_json(context.out, header, -1);
  for (std::uint32_t client = 0; client < partition.clients(); ++client) {
    const ClientLabels labels = labels_of(partition, data, client);
    nlohmann::ordered_json line{{"schema", 1}, {"event", "labels"}, {"client", client}, {"counts", labels.counts}};
    if (!spread.client_ids.empty()) {
      line["name"] = tree.name(tree.client_node(ClientIndex{client}));
      line["ids"] = spread.client_ids[client];
    }
    cli::print_json(context.out, line, -1);
  }
}

// The labels of the classes, as the header of their column.
std::string classes_text(const Dataset& data) {
  constexpr std::size_t kMost = 10;
  const std::vector<std::string>& names = data.class_names;
  if (names.empty() || names.size() > kMost) { return fmt::format("labels 0 to {}", data.classes - 1); }
  return fmt::format("labels {}", listed(names, kMost));
}

void print_table(const DataSpread& spread, const Dataset& data, const Tree& tree, const Options& options, bool draws,
                 const Context& context) {
  const Partition& partition = spread.partition;
  const bool natural = !spread.client_ids.empty();
  const bool utf8 = context.out_terminal.utf8;
  const Paint paint = context.paint();
  std::uint64_t smallest = ~std::uint64_t{0};
  std::uint64_t largest = 0;
  std::uint64_t total = 0;
  std::uint64_t held_out = 0;
  double effective = 0.0;
  for (std::uint32_t client = 0; client < partition.clients(); ++client) {
    const std::uint64_t count = partition.count(ClientIndex{client});
    smallest = std::min(smallest, count);
    largest = std::max(largest, count);
    total += count;
    held_out += partition.held_out_count(ClientIndex{client});
    effective += labels_of(partition, data, client).effective_classes();
  }
  std::vector<ClientLabels> shown;
  std::uint32_t tallest = 0;
  const std::uint32_t columns = std::min(partition.clients(), options.rows);
  for (std::uint32_t i = 0; i < columns; ++i) {
    const auto client = static_cast<std::uint32_t>(std::uint64_t{i} * partition.clients() / columns);
    shown.push_back(labels_of(partition, data, client));
    for (const std::uint32_t count : shown.back().counts) { tallest = std::max(tallest, count); }
  }
  std::vector<TextTable::Column> header{{"client", TextTable::Align::kRight}};
  if (natural) {
    header.push_back({"name", TextTable::Align::kLeft});
    header.push_back({"ids", TextTable::Align::kLeft});
  }
  header.push_back({"samples", TextTable::Align::kRight});
  header.push_back({classes_text(data), TextTable::Align::kLeft});
  header.push_back({"effective classes", TextTable::Align::kRight});
  header.push_back({"", TextTable::Align::kLeft});
  TextTable table(std::move(header));
  for (const ClientLabels& labels : shown) {
    std::vector<std::string> row{fmt::format("{}", labels.client)};
    if (natural) {
      row.push_back(tree.name(tree.client_node(ClientIndex{labels.client})));
      row.push_back(listed(spread.client_ids[labels.client], 3));
    }
    row.push_back(human_count(labels.samples));
    row.push_back(blocks(labels.counts, tallest, utf8));
    row.push_back(fmt::format("{:.1f}", labels.effective_classes()));
    row.push_back(bar(labels.samples, largest, 20, utf8));
    table.add(std::move(row));
  }
  if (columns > 0) { context.out << table.render(paint, utf8); }
  if (columns > 0 && columns < partition.clients()) {
    context.out << paint.dim(
        fmt::format("  {} of {} clients, evenly selected (--rows)\n", columns, human_count(partition.clients())));
  }
  const std::string samples = human_plural(data.size(), "sample");
  const std::string amount =
      draws ? fmt::format("{} from {}, with overlap between clients,", human_plural(total, "draw"), samples)
            : fmt::format("{} of {}", human_count(total), samples);
  const std::string sizes = smallest == largest
                                ? fmt::format("{} each", human_count(smallest))
                                : fmt::format("{} to {} each, {} on average", human_count(smallest),
                                              human_count(largest), human_count(total / partition.clients()));
  context.out << fmt::format("\n  {} over {}: {}\n", amount, human_plural(partition.clients(), "client"), sizes);
  if (held_out > 0) {
    context.out << fmt::format("  {} more that clients hold out, to evaluate the model on\n",
                               human_plural(held_out, "sample"));
  }
  context.out << fmt::format("  {:.1f} of {} classes effective at a client, on average (1: all samples of one class)\n",
                             effective / static_cast<double>(partition.clients()), data.classes);
  context.out << paint.dim(fmt::format("  sha256 {}", partition.digest().hex())) << '\n';
}

Status act(const Options& options, const Context& context) {
  TRIBUTARY_ASSIGN_OR_RETURN(const Configuration configuration, load_configuration(*options.configuration));
  TRIBUTARY_ASSIGN_OR_RETURN(const Topology topology, build_topology(configuration));
  TRIBUTARY_ASSIGN_OR_RETURN(const LoadedData data, load_data(configuration));
  if (data.train == nullptr) {
    return configuration_error(
        fmt::format("{}: data.source is none: there is nothing to spread", options.configuration->file));
  }
  const Tree tree = topology.to_tree();
  TRIBUTARY_ASSIGN_OR_RETURN(const DataSpread spread, make_partition(configuration, *data.train, tree));
  for (const std::string& warning : data.warnings) { context.warn(warning); }
  if (!spread.warning.empty()) { context.warn(spread.warning); }
  if (options.json) {
    print_json(spread, *data.train, tree, context);
  } else {
    const bool draws = configuration.data.partition == DataConfig::Partition::kDraw;
    print_table(spread, *data.train, tree, options, draws, context);
  }
  return ok_status();
}

}  // namespace

Command partition_command() {
  return {"partition", "Show how the data is spread over the clients", [](CLI::App& app) -> Action {
            auto options = std::make_shared<Options>();
            options->configuration = ConfigurationOptions::declare(app);
            app.add_option("--rows", options->rows, "Most clients in the table")->type_name("N")->capture_default_str();
            app.add_flag("--json", options->json, "JSON Lines: a summary, then the label counts of every client");
            app.footer(
                "Examples:\n"
                "  tributary partition federation.yaml\n"
                "  tributary partition federation.yaml --set data.partition.alpha=0.1 --json");
            return [options](const Context& context) { return act(*options, context); };
          }};
}

}  // namespace tributary::cli
