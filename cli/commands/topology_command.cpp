// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <charconv>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "commands/command.hpp"
#include "console/json_output.hpp"
#include "console/text_table.hpp"
#include "tributary/base/human.hpp"
#include "tributary/base/printable.hpp"
#include "tributary/config/configuration.hpp"
#include "tributary/topology/generate.hpp"
#include "tributary/topology/read.hpp"
#include "tributary/topology/svg.hpp"
#include "tributary/topology/write.hpp"

namespace tributary::cli {
namespace {

struct Generated {
  std::optional<std::uint32_t> star;
  std::optional<std::uint32_t> branching;
  std::optional<std::uint32_t> height;
  std::optional<std::uint32_t> clients;
  std::vector<std::string> widths;
  std::vector<std::string> sites;
  // Whether they were given: an empty list, as of --widths '', was. They belong to the CLI::App.
  const CLI::Option* widths_option = nullptr;
  const CLI::Option* sites_option = nullptr;
  std::string output;
  std::string format;
};

struct Shown {
  std::string file;
  std::string format;
  std::uint32_t lines = 40;
  bool json = false;
};

struct Converted {
  std::string input;
  std::string output;
  std::string from;
  std::string to;
};

Result<std::optional<TopologyFormat>> named_format(const std::string& name) {
  if (name.empty()) { return std::optional<TopologyFormat>(); }
  // The extensions of files serve as names too.
  if (name == "csv") { return std::optional(TopologyFormat::kMatrix); }
  if (name == "txt") { return std::optional(TopologyFormat::kEdges); }
  if (name == "yml") { return std::optional(TopologyFormat::kYaml); }
  if (name == "gv") { return std::optional(TopologyFormat::kDot); }
  TRIBUTARY_ASSIGN_OR_RETURN(const TopologyFormat format, parse_topology_format(name));
  return std::optional(format);
}

Result<Topology> read_tree(const std::string& file, const std::string& format) {
  TRIBUTARY_ASSIGN_OR_RETURN(const std::optional<TopologyFormat> wanted, named_format(format));
  if (std::error_code error; std::filesystem::is_directory(file, error)) {
    return invalid_argument(fmt::format("{} is a directory, not a topology file", file));
  }
  return read_topology(file, wanted);
}

// A whole number above 0, and nothing else.
std::optional<std::uint32_t> positive_number(std::string_view text) {
  std::uint32_t number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool whole = parsed.ec == std::errc() && parsed.ptr == text.data() + text.size();
  return whole && number > 0 ? std::optional(number) : std::nullopt;
}

Result<std::vector<std::uint32_t>> widths_from(const std::vector<std::string>& words) {
  std::vector<std::uint32_t> widths;
  for (const std::string& word : words) {
    const std::optional<std::uint32_t> width = positive_number(word);
    if (!width) {
      return invalid_argument(
          fmt::format("--widths: '{}' is not a number of nodes above 0; give one per tier, such as 4,32", word));
    }
    widths.push_back(*width);
  }
  if (widths.empty()) { return invalid_argument("--widths: give one number of nodes per tier, such as 4,32"); }
  return widths;
}

Result<SiteClients> site_from(const std::string& text) {
  const std::size_t equals = text.find('=');
  SiteClients site{text.substr(0, equals), 0};
  const std::string_view number =
      equals == std::string::npos ? std::string_view() : std::string_view(text).substr(equals + 1);
  site.clients = positive_number(number).value_or(0);
  if (site.name.empty() || site.clients == 0) {
    return invalid_argument(fmt::format("--sites: '{}' is not NAME=CLIENTS, such as hospital-a=12", text));
  }
  return site;
}

Result<Topology> generate(const Generated& wanted) {
  std::vector<std::string_view> ways;
  if (wanted.star) { ways.emplace_back("--star"); }
  if (wanted.widths_option->count() > 0) { ways.emplace_back("--widths"); }
  if (wanted.branching) { ways.emplace_back("--branching"); }
  if (wanted.sites_option->count() > 0) { ways.emplace_back("--sites"); }
  if (ways.size() > 1) {
    return invalid_argument(fmt::format("{} are different trees: give one of them", fmt::join(ways, " and ")));
  }
  if (!wanted.branching && (wanted.height || wanted.clients)) {
    return invalid_argument(
        fmt::format("{} belongs to --branching, which is not given", wanted.height ? "--height" : "--clients"));
  }
  if (ways.empty()) {
    return invalid_argument(
        "say which tree: one of --star CLIENTS, --widths N,N,..., --branching N with --height N or --clients N, "
        "--sites NAME=CLIENTS,...");
  }
  if (wanted.star) { return star_topology(*wanted.star); }
  if (wanted.widths_option->count() > 0) {
    TRIBUTARY_ASSIGN_OR_RETURN(const std::vector<std::uint32_t> widths, widths_from(wanted.widths));
    return widths_topology(widths);
  }
  if (wanted.sites_option->count() > 0) {
    std::vector<SiteClients> sites;
    for (const std::string& text : wanted.sites) {
      TRIBUTARY_ASSIGN_OR_RETURN(SiteClients site, site_from(text));
      sites.push_back(std::move(site));
    }
    if (sites.empty()) { return invalid_argument("--sites: give NAME=CLIENTS, such as hospital-a=12"); }
    return sites_topology(sites);
  }
  if (wanted.height && wanted.clients) {
    return invalid_argument("--branching takes --height or --clients, but both are given");
  }
  if (wanted.height) { return balanced_topology(*wanted.branching, *wanted.height); }
  if (wanted.clients) { return balanced_leaves_topology(*wanted.branching, *wanted.clients); }
  return invalid_argument("--branching needs either --height or --clients");
}

// What is said of nodes beside their names: none of it is in an edge list or a matrix.
std::vector<std::string_view> attributes_of(const Topology& topology) {
  bool sites = false;
  bool devices = false;
  bool links = false;
  bool others = false;
  for (const TopologyNode& node : topology.nodes()) {
    const NodeAttributes& attributes = topology.attributes(node);
    sites = sites || !attributes.site.empty();
    devices = devices || !attributes.device.empty();
    links = links || attributes.link != Link{};
    others = others || !attributes.transport.empty() || !attributes.address.empty() || attributes.rank ||
             !attributes.extra.empty();
  }
  std::vector<std::string_view> kinds;
  if (sites) { kinds.emplace_back("sites"); }
  if (devices) { kinds.emplace_back("devices"); }
  if (links) { kinds.emplace_back("links"); }
  if (others) { kinds.emplace_back("other attributes"); }
  return kinds;
}

void warn_of_loss(const Topology& topology, TopologyFormat format, const Context& context) {
  if (format != TopologyFormat::kEdges && format != TopologyFormat::kMatrix) { return; }
  if (const std::vector<std::string_view> lost = attributes_of(topology); !lost.empty()) {
    context.warn(
        fmt::format("the format {} holds names only: {} are left out", to_string(format), fmt::join(lost, ", ")));
  }
}

Status put(const Topology& topology, const std::string& output, const std::string& format, const Context& context) {
  TRIBUTARY_ASSIGN_OR_RETURN(const std::optional<TopologyFormat> wanted, named_format(format));
  if (output.empty() || output == "-") {
    TRIBUTARY_ASSIGN_OR_RETURN(const std::string text,
                               format_topology(topology, wanted.value_or(TopologyFormat::kYaml)));
    context.out << text;
    warn_of_loss(topology, wanted.value_or(TopologyFormat::kYaml), context);
    return ok_status();
  }
  TRIBUTARY_ASSIGN_OR_RETURN(const TopologyFormat used,
                             wanted ? Result<TopologyFormat>(*wanted) : topology_format(output));
  TRIBUTARY_RETURN_IF_ERROR(write_topology(topology, output, used));
  warn_of_loss(topology, used, context);
  context.note(fmt::format("{}: {}, {}", output, human_plural(topology.size(), "node"),
                           human_plural(topology.clients(), "client")));
  return ok_status();
}

struct TierFacts {
  std::uint32_t aggregators = 0;
  std::uint32_t clients = 0;
};

std::vector<TierFacts> tiers_of(const Topology& topology) {
  std::vector<TierFacts> tiers(topology.height() + 1);
  for (const TopologyNode& node : topology.nodes()) {
    TierFacts& tier = tiers.at(node.tier);
    (node.role == Role::kClient ? tier.clients : tier.aggregators) += node.count;
  }
  return tiers;
}

std::set<std::string> sites_of(const Topology& topology) {
  std::set<std::string> sites;
  for (const TopologyNode& node : topology.nodes()) {
    if (const std::string& site = topology.attributes(node).site; !site.empty()) { sites.insert(site); }
  }
  return sites;
}

class TreeText {
 public:
  TreeText(const Topology& topology, const Paint& paint, bool utf8, std::uint32_t lines)
      : topology_(topology), paint_(paint), utf8_(utf8), left_(lines) {}

  std::string draw() {
    const TopologyNode& root = topology_.node(0);
    out_ = "  " + paint_.bold(topology_.label(root)) + "\n";
    below(root, "  ");
    if (hidden_ > 0) { out_ += paint_.dim(fmt::format("  ({}: --lines)\n", human_plural(hidden_, "more line"))); }
    return out_;
  }

 private:
  void below(const TopologyNode& node, const std::string& indent) {
    const std::span<const TopologyNode> children = topology_.children(node);
    for (std::size_t i = 0; i < children.size(); ++i) {
      const TopologyNode& child = children[i];
      const bool last = i + 1 == children.size();
      if (left_ == 0) {
        ++hidden_;
      } else {
        --left_;
        out_ += indent + paint_.dim(branch(last)) + describe(child) + "\n";
      }
      below(child, indent + paint_.dim(trunk(last)));
    }
  }

  [[nodiscard]] std::string describe(const TopologyNode& node) const {
    std::string text = topology_.label(node);
    text = node.role == Role::kClient ? paint_.cyan(text) : paint_.bold(text);
    std::string notes;
    const auto note = [&notes](const std::string& fact) { notes += "  " + fact; };
    if (node.count > 1) { note(human_plural(node.count, "client")); }
    if (node.role != Role::kClient) { note(human_plural(node.clients, "client")); }
    const NodeAttributes& attributes = topology_.attributes(node);
    if (!attributes.site.empty()) { note("site " + printable_text(attributes.site)); }
    if (attributes.link.bytes_per_second > 0) { note(human_bytes(attributes.link.bytes_per_second) + "/s"); }
    if (attributes.link.latency.count() > 0) {
      note(human_duration(std::chrono::duration<double>(attributes.link.latency).count()));
    }
    return text + paint_.dim(notes);
  }

  [[nodiscard]] const char* branch(bool last) const {
    if (utf8_) { return last ? "└─ " : "├─ "; }
    return last ? "`- " : "|- ";
  }
  [[nodiscard]] const char* trunk(bool last) const {
    if (last) { return "   "; }
    return utf8_ ? "│  " : "|  ";
  }

  const Topology& topology_;
  Paint paint_;
  bool utf8_;
  std::uint32_t left_;
  std::uint64_t hidden_ = 0;
  std::string out_;
};

Status show(const Shown& wanted, const Context& context) {
  TRIBUTARY_ASSIGN_OR_RETURN(const Topology topology, read_tree(wanted.file, wanted.format));
  const std::vector<TierFacts> tiers = tiers_of(topology);
  const std::set<std::string> sites = sites_of(topology);
  if (wanted.json) {
    nlohmann::ordered_json document{{"schema", 1},
                                    {"nodes", topology.size()},
                                    {"clients", topology.clients()},
                                    {"aggregators", topology.aggregators()},
                                    {"height", topology.height()},
                                    {"tiers", nlohmann::ordered_json::array()},
                                    {"sites", sites}};
    for (std::size_t tier = 0; tier < tiers.size(); ++tier) {
      document["tiers"].push_back(
          {{"tier", tier}, {"inner_nodes", tiers[tier].aggregators}, {"clients", tiers[tier].clients}});
    }
    print_json(context.out, document);
    return ok_status();
  }
  const bool utf8 = context.out_terminal.utf8;
  context.out << TreeText(topology, context.paint(), utf8, wanted.lines).draw() << '\n';
  TextTable table({{"tier", TextTable::Align::kRight},
                   {"inner nodes", TextTable::Align::kRight},
                   {"clients", TextTable::Align::kRight}});
  for (std::size_t tier = 0; tier < tiers.size(); ++tier) {
    table.add({fmt::format("{}", tier), human_count(tiers[tier].aggregators), human_count(tiers[tier].clients)});
  }
  context.out << table.render(context.paint(), utf8);
  if (!sites.empty()) {
    context.out << fmt::format("\n  {}: {}\n", human_plural(sites.size(), "site"),
                               printable_text(fmt::format("{}", fmt::join(sites, ", "))));
  }
  return ok_status();
}

Status convert(const Converted& wanted, const Context& context) {
  TRIBUTARY_ASSIGN_OR_RETURN(const Topology topology, read_tree(wanted.input, wanted.from));
  return put(topology, wanted.output, wanted.to, context);
}

constexpr const char* kFormats = "yaml, json, edges, matrix, dot or svg (default: by the file's extension)";

Action setup_generate(CLI::App& app) {
  auto wanted = std::make_shared<Generated>();
  app.add_option("--star", wanted->star, "This many clients below the root")->type_name("CLIENTS");
  wanted->widths_option =
      app.add_option("--widths", wanted->widths, "Nodes per tier below the root, the last are the clients")
          ->delimiter(',')
          ->type_name("N,N");
  app.add_option("--branching", wanted->branching, "Children of every inner node")->type_name("N");
  app.add_option("--height", wanted->height, "With --branching: tiers below the root")->type_name("N");
  app.add_option("--clients", wanted->clients, "With --branching: clients in all")->type_name("N");
  wanted->sites_option = app.add_option("--sites", wanted->sites, "An aggregator per site, with its clients")
                             ->delimiter(',')
                             ->type_name("NAME=N");
  app.add_option("-o,--output", wanted->output, "File to write (default: standard output)")->type_name("FILE");
  app.add_option("--format", wanted->format, kFormats)->type_name("FORMAT");
  app.footer(
      "Examples:\n"
      "  tributary topology generate --widths 4,32 -o tree.yaml\n"
      "  tributary topology generate --branching 4 --clients 256 --format svg > tree.svg\n"
      "  tributary topology generate --sites north=8,south=12");
  return [wanted](const Context& context) -> Status {
    TRIBUTARY_ASSIGN_OR_RETURN(const Topology topology, generate(*wanted));
    return put(topology, wanted->output, wanted->format, context);
  };
}

Action setup_show(CLI::App& app) {
  auto wanted = std::make_shared<Shown>();
  app.add_option("file", wanted->file, "A topology file")->required()->type_name("FILE");
  app.add_option("--format", wanted->format, "yaml, json, edges or matrix (default: by the file's extension)")
      ->type_name("FORMAT");
  app.add_option("--lines", wanted->lines, "Most lines of the drawing")->type_name("N")->capture_default_str();
  app.add_flag("--json", wanted->json, "Numbers as one JSON object");
  app.footer("Example:\n  tributary topology show tree.yaml");
  return [wanted](const Context& context) { return show(*wanted, context); };
}

Action setup_convert(CLI::App& app) {
  auto wanted = std::make_shared<Converted>();
  app.add_option("input", wanted->input, "A topology file")->required()->type_name("IN");
  app.add_option("output", wanted->output, "File to write; '-' or nothing: standard output")->type_name("OUT");
  app.add_option("--from", wanted->from, "Format of IN: yaml, json, edges or matrix (default: by its extension)")
      ->type_name("FORMAT");
  app.add_option("--to", wanted->to, std::string("Format of OUT: ") + kFormats)->type_name("FORMAT");
  app.footer(
      "Examples:\n"
      "  tributary topology convert tree.edges tree.yaml\n"
      "  tributary topology convert tree.yaml --to dot | dot -Tpng > tree.png");
  return [wanted](const Context& context) { return convert(*wanted, context); };
}

}  // namespace

Command topology_command() {
  return {"topology", "Generate, show and convert trees", [](CLI::App& app) -> Action {
            static const std::vector<Command> members{
                {"generate", "Make a regular tree", setup_generate},
                {"show", "Draw a topology file and count its nodes", setup_show},
                {"convert", "Write a topology file in another format", setup_convert}};
            return setup_group(app, members);
          }};
}

}  // namespace tributary::cli
