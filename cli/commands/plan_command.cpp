// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "commands/command.hpp"
#include "commands/data_facts.hpp"
#include "commands/ineffective_settings.hpp"
#include "commands/load.hpp"
#include "commands/policy_text.hpp"
#include "console/json_output.hpp"
#include "console/text_table.hpp"
#include "tributary/base/human.hpp"
#include "tributary/base/printable.hpp"
#include "tributary/nodes/message.hpp"
#include "tributary/topology/cost.hpp"
#include "tributary/topology/place_nodes.hpp"
#include "tributary/topology/read.hpp"

namespace tributary::cli {
namespace {

using Facts = nlohmann::ordered_json;

// Whether any node of the tier sends its parent sums.
bool sends_sums(const Plan& plan, std::uint32_t tier) {
  for (std::uint32_t n = 1; n < plan.tree().size(); ++n) {
    if (plan.tree().tier(NodeId{n}) == tier && !plan.sends_vector(NodeId{n})) { return true; }
  }
  return false;
}

CostOptions cost_options(const PreparedRun& composition) {
  const Plan& plan = composition.plan;
  // As messages of a trainer that reports its loss.
  UpdateMessage update;
  update.update.segments.push_back({std::string(kDeltaSegment), {}});
  update.update.scalars["loss"] = {};
  CostOptions options;
  // Methods send vectors of the model's size beside it.
  std::size_t down = 1;
  std::size_t up = 1;
  if (const LocalMethod* const method = plan.local_method()) {
    const std::unique_ptr<MethodServer> server = method->make_server(plan.registered_weight(plan.tree().root()));
    down += server ? server->broadcast(plan.spec()).size() : 0;
    up += method->increments().size();
  }
  options.bytes_down = down * plan.payload_bytes() + control_bytes(TaskMessage{});
  options.bytes_up = up * plan.payload_bytes() + control_bytes(std::move(update));
  const auto saved = [&plan](const Codec* codec) {
    return codec == nullptr ? std::uint64_t{0} : plan.payload_bytes() - codec->usual_bytes(plan.spec());
  };
  for (std::uint32_t distance = 0; distance < plan.tree().height(); ++distance) {
    const TierConfig& tier = plan.tier(distance);
    const bool by_rounds = tier.policy == "synchronous";
    options.tiers.push_back(
        {.cohort_fraction = by_rounds ? tier.cohort_fraction : std::nullopt,
         .cohort_count = by_rounds ? tier.cohort_count : updates_of_commit(tier),
         .over_selection = by_rounds ? tier.over_selection : 1.0,
         .rounds = distance == 0 ? 1 : tier.local_rounds,
         .bytes_down = options.bytes_down - saved(plan.model_codec(distance)),
         .bytes_up = options.bytes_up - saved(sends_sums(plan, distance + 1) ? nullptr : plan.change_codec(distance))});
  }
  if (plan.configuration().simulation.compute_seconds_per_sample > 0.0) {
    options.training_of = [&composition](NodeId node) {
      return composition.training_time(composition.plan.tree().client_index(node));
    };
  }
  return options;
}

// Of one evaluation by the clients: models down, metrics up.
std::optional<CostEstimate> evaluation_cost(const PreparedRun& run) {
  const Plan& plan = run.plan;
  if (!plan.clients_evaluate()) { return std::nullopt; }
  UpdateMessage answer;
  answer.update.scalars = {{"accuracy", {}}, {"loss", {}}};
  CostOptions options = cost_options(run);
  options.bytes_down = plan.payload_bytes() + control_bytes(TaskMessage{});
  options.bytes_up = control_bytes(std::move(answer));
  for (std::uint32_t distance = 0; distance < plan.tree().height(); ++distance) {
    const bool asks_clients = distance + 1 == plan.tree().height();
    const Codec* const codec = plan.model_codec(distance);
    const std::size_t saved = codec == nullptr ? 0 : plan.payload_bytes() - codec->usual_bytes(plan.spec());
    options.tiers[distance] = {.cohort_fraction = asks_clients
                                                      ? std::optional(plan.configuration().evaluation.clients.fraction)
                                                      : std::nullopt,
                               .bytes_down = options.bytes_down - saved,
                               .bytes_up = options.bytes_up};
  }
  if (options.training_of) {
    options.training_of = [&run](NodeId node) { return run.evaluation_time(run.plan.tree().client_index(node)); };
  }
  return estimate_cost(plan.tree(), options);
}

// Expected values need not be whole; bytes are.
std::uint64_t whole(double value) {
  return saturated_count(std::round(value));
}

Facts facts_of(const Plan& plan, const CostEstimate& cost, const std::optional<CostEstimate>& evaluation) {
  const Tree& tree = plan.tree();
  Facts tiers = Facts::array();
  for (const TierCost& tier : cost.tiers) {
    tiers.push_back({{"tier", tier.tier},
                     {"nodes", tier.nodes},
                     {"policy", describe_policy(plan, tier.tier - 1)},
                     {"payloads", tier.payloads},
                     {"bytes_down", whole(tier.bytes_down)},
                     {"bytes_up", whole(tier.bytes_up)}});
  }
  Facts facts{{"schema", 1},
              {"name", plan.configuration().name},
              {"clients", tree.clients()},
              {"aggregators", tree.size() - tree.clients() - 1},
              {"tiers", tree.height() + 1},
              {"parameters", plan.spec().parameters()},
              {"payload_bytes", plan.payload_bytes()},
              {"clients_per_round", plan.clients_per_round()},
              {"client_resolution", plan.coarsest_resolution()},
              {"mean_resolution", plan.scale().resolution(plan.scale().weight_bound)},
              {"largest_change", plan.scale().value_bound},
              {"payloads_per_round", cost.payloads},
              {"bytes_per_round", whole(cost.bytes)},
              {"bytes_per_round_forwarding", whole(cost.forwarding_bytes)},
              {"virtual_seconds_per_round", std::chrono::duration<double>(cost.round_time).count()},
              {"digest", plan.digest().hex()},
              {"per_tier", std::move(tiers)}};
  if (evaluation) {
    facts["evaluation"] = {{"every", plan.configuration().evaluation.clients.every},
                           {"bytes", whole(evaluation->bytes)},
                           {"virtual_seconds", std::chrono::duration<double>(evaluation->round_time).count()}};
  }
  return facts;
}

void print_text(const Context& context, const PreparedRun& composition, const CostEstimate& cost) {
  const Plan& plan = composition.plan;
  const Tree& tree = plan.tree();
  const Paint paint = context.paint();
  auto& out = context.out;
  out << paint.bold(printable_text(plan.configuration().name))
      << fmt::format(": {}, {}, {}\n", human_plural(tree.clients(), "client"),
                     human_plural(tree.size() - tree.clients() - 1, "aggregator"),
                     human_plural(tree.height() + 1, "tier"));
  out << fmt::format("model       {}, {} per payload\n", human_plural(plan.spec().parameters(), "parameter"),
                     human_bytes(static_cast<double>(plan.payload_bytes())));
  if (const std::string line = data_line(composition); !line.empty()) { out << line << '\n'; }
  out << ids_line(composition, tree);
  out << fmt::format("round       at most {}\n", human_plural(plan.clients_per_round(), "client"));
  out << fmt::format(
      "sums        exact; each value of a client's change is resolved to {:.1e} or better, and may be at most {}\n",
      plan.coarsest_resolution(), human_count(whole(plan.scale().value_bound)));
  const ServerOptimizerConfig& optimizer = plan.configuration().server_optimizer;
  if (optimizer != ServerOptimizerConfig()) {
    out << fmt::format("server      {} with a learning rate of {:g}\n", optimizer.kind, optimizer.lr);
  }
  bool has_sums = false;
  for (std::uint32_t tier = 1; tier <= tree.height(); ++tier) { has_sums = has_sums || sends_sums(plan, tier); }
  out << fmt::format("network     {}, {}{} a round; forwarding each update would take {}\n",
                     human_plural(whole(cost.payloads), "payload"), has_sums ? "at least " : "",
                     human_bytes(cost.bytes), human_bytes(cost.forwarding_bytes));
  if (cost.round_time.count() > 0) {
    out << fmt::format("time        {:.3f} s a round on the virtual clock, {}\n",
                       std::chrono::duration<double>(cost.round_time).count(),
                       plan.tier(0).policy == "synchronous" ? "by the slowest path" : "as children work side by side");
  }
  if (const std::optional<CostEstimate> evaluation = evaluation_cost(composition)) {
    const std::uint64_t every = plan.configuration().evaluation.clients.every;
    out << fmt::format("evaluation  by clients, after {}: {} more",
                       every == 1 ? "each round" : fmt::format("every {} rounds", every),
                       human_bytes(evaluation->bytes));
    if (evaluation->round_time.count() > 0) {
      out << fmt::format(", and {:.3f} s on the virtual clock",
                         std::chrono::duration<double>(evaluation->round_time).count());
    }
    out << '\n';
  }
  out << '\n' << paint.dim("tier   nodes      down        up          the node above commits") << '\n';
  for (const TierCost& tier : cost.tiers) {
    const std::string up = fmt::format("{}{}", sends_sums(plan, tier.tier) ? ">= " : "", human_bytes(tier.bytes_up));
    out << fmt::format("{:<6} {:<10} {:<11} {:<11} {}\n", tier.tier, human_count(tier.nodes),
                       human_bytes(tier.bytes_down), up, describe_policy(plan, tier.tier - 1));
  }
  if (has_sums) {
    out << paint.dim(">=: an aggregator sends up a sum, which takes the bytes of a model or more") << '\n';
  }
}

// Most entries of a row, and most rows of the table; --json has all.
constexpr std::size_t kMostNames = 3;
constexpr std::size_t kMostRows = 64;

struct Range {
  std::uint32_t first;
  std::uint32_t last;
};

// What the table says of one rank besides its load.
struct RankView {
  std::vector<std::string> inner_nodes;
  std::vector<Range> clients;  // by client index
  double sent = 0.0;           // payloads to other ranks in one round of the root, expected
  double received = 0.0;
};

// Numbers that come in ascending order.
void append(std::vector<Range>& ranges, std::uint32_t number) {
  if (!ranges.empty() && ranges.back().last + 1 == number) {
    ranges.back().last = number;
  } else {
    ranges.push_back({number, number});
  }
}

std::string to_string(std::span<const Range> ranges) {
  std::string text;
  for (std::size_t i = 0; i < std::min(ranges.size(), kMostNames); ++i) {
    const auto [first, last] = ranges[i];
    text += fmt::format("{}{}", i == 0 ? "" : ", ", first);
    if (last > first) { text += fmt::format("-{}", last); }
  }
  if (ranges.size() > kMostNames) { text += ", ..."; }
  return text;
}

std::string shortened(std::span<const std::string> names) {
  std::string text = fmt::format("{}", fmt::join(names.first(std::min(names.size(), kMostNames)), ", "));
  if (names.size() > kMostNames) { text += fmt::format(" and {} more", human_count(names.size() - kMostNames)); }
  return text;
}

// Down, one copy of the model to each other rank where a child is asked; up, one update of each such child.
void count_payloads(const Tree& tree, const Placement& placement, std::span<const TierPlan> tiers,
                    std::vector<RankView>& views) {
  std::vector<double> requests(tree.size(), 1.0);                   // of a node, in one round of the root
  std::vector<std::uint32_t> children_there(placement.ranks(), 0);  // of the node in hand
  std::vector<std::uint32_t> others;
  for (std::uint32_t n = 0; n < tree.size(); ++n) {
    const NodeId node{n};
    if (tree.is_client(node)) { continue; }
    const TierPlan& tier = tiers[tree.tier(node)];
    const std::uint32_t here = placement.rank_of(node);
    const std::uint32_t children = tree.children(node).size();
    const double rounds = requests[n] * tier.rounds;
    const double share = asked_share(tier, children);
    others.clear();
    for (const NodeId child : tree.children(node)) {
      requests[child.value] = rounds * share;
      const std::uint32_t there = placement.rank_of(child);
      if (there == here) { continue; }
      views[there].sent += rounds * share;
      views[here].received += rounds * share;
      if (children_there[there]++ == 0) { others.push_back(there); }
    }
    for (const std::uint32_t there : others) {
      double none_asked = 1.0;  // how likely that is, if cohorts are drawn evenly
      const double not_asked = children - share * children;
      for (std::uint32_t i = 0; i < children_there[there] && none_asked > 0.0; ++i) {
        none_asked *= std::max(not_asked - i, 0.0) / (children - i);
      }
      children_there[there] = 0;
      views[here].sent += rounds * (1.0 - none_asked);
      views[there].received += rounds * (1.0 - none_asked);
    }
  }
}

std::vector<RankView> views_of(const PreparedRun& composition, const Placement& placement) {
  const Plan& plan = composition.plan;
  const Tree& tree = plan.tree();
  std::vector<RankView> views(placement.ranks());
  for (std::uint32_t n = 0; n < tree.size(); ++n) {
    const NodeId node{n};
    if (!tree.is_client(node)) { views[placement.rank_of(node)].inner_nodes.push_back(tree.name(node)); }
  }
  for (std::uint32_t client = 0; client < tree.clients(); ++client) {
    append(views[placement.rank_of(tree.client_node(ClientIndex{client}))].clients, client);
  }
  count_payloads(tree, placement, cost_options(composition).tiers, views);
  return views;
}

double total_work(const Placement& placement) {
  double total = 0.0;
  for (std::uint32_t rank = 0; rank < placement.ranks(); ++rank) { total += placement.load(rank).work; }
  return total;
}

Facts facts_of(const PreparedRun& composition, const Placement& placement) {
  const std::vector<RankView> views = views_of(composition, placement);
  const double total = total_work(placement);
  Facts per_rank = Facts::array();
  for (std::uint32_t rank = 0; rank < placement.ranks(); ++rank) {
    const RankLoad& load = placement.load(rank);
    const RankView& view = views[rank];
    Facts ranges = Facts::array();
    for (const auto [first, last] : view.clients) { ranges.push_back({first, last}); }
    per_rank.push_back({{"rank", rank},
                        {"host", placement.host_of(rank)},
                        {"inner_nodes", view.inner_nodes},
                        {"clients", load.clients},
                        {"client_ranges", std::move(ranges)},
                        {"work_share", load.work / total},
                        {"payloads_sent", view.sent},
                        {"payloads_received", view.received},
                        {"peers", placement.peers(rank)}});
  }
  return {{"ranks", placement.ranks()},
          {"edges_between_ranks", placement.edges_between_ranks()},
          {"edges_between_hosts", placement.edges_between_hosts()},
          {"idle_ranks", placement.idle_ranks()},
          {"per_rank", std::move(per_rank)}};
}

// Expected values need not be whole.
std::string human_payloads(double payloads) {
  return std::abs(payloads - std::round(payloads)) < 0.05 ? human_count(whole(payloads))
                                                          : fmt::format("{:.1f}", payloads);
}

std::string idle_sentence(const Placement& placement) {
  std::vector<Range> ranges;
  for (const std::uint32_t rank : placement.idle_ranks()) { append(ranges, rank); }
  const std::size_t idle = placement.idle_ranks().size();
  if (idle == 0) { return "every rank holds a node"; }
  return fmt::format("{} of {} ranks {} no node: {}", human_count(idle), human_count(placement.ranks()),
                     idle == 1 ? "holds" : "hold", to_string(ranges));
}

void print_text(const Context& context, const PreparedRun& composition, const Placement& placement) {
  using Align = TextTable::Align;
  const std::vector<RankView> views = views_of(composition, placement);
  const double total = total_work(placement);
  std::uint32_t hosts = 1;
  for (std::uint32_t rank = 1; rank < placement.ranks(); ++rank) {
    if (placement.host_of(rank) != placement.host_of(rank - 1)) { ++hosts; }
  }
  TextTable table({{"rank", Align::kRight},
                   {"host", Align::kLeft},
                   {"inner nodes", Align::kLeft},
                   {"clients", Align::kRight},
                   {"which", Align::kLeft},
                   {"work", Align::kRight},
                   {"sends", Align::kRight},
                   {"receives", Align::kRight}});
  std::size_t rows = 0;
  std::size_t left_out = 0;
  for (std::uint32_t rank = 0; rank < placement.ranks(); ++rank) {
    const RankLoad& load = placement.load(rank);
    if (load.clients + load.inner_nodes == 0) { continue; }
    if (rows == kMostRows) {
      ++left_out;
      continue;
    }
    ++rows;
    const RankView& view = views[rank];
    table.add({fmt::format("{}", rank), placement.host_of(rank), shortened(view.inner_nodes), human_count(load.clients),
               to_string(view.clients), human_percent(load.work / total, 1), human_payloads(view.sent),
               human_payloads(view.received)});
  }
  const Paint paint = context.paint();
  const std::uint32_t crossing = placement.edges_between_ranks();
  context.out << fmt::format("\nplacement   {} on {}; {} of {} {} between ranks, {} between hosts\n\n",
                             human_plural(placement.ranks(), "rank"), human_plural(hosts, "host"),
                             human_count(crossing), human_plural(composition.plan.tree().size() - 1, "edge"),
                             crossing == 1 ? "is" : "are", human_count(placement.edges_between_hosts()));
  context.out << table.render(paint, context.out_terminal.utf8);
  if (left_out > 0) {
    context.out << paint.dim(fmt::format("  ({} more ranks with nodes: --json)", human_count(left_out))) << '\n';
  }
  context.out << fmt::format("\n  {}; sends and receives: expected payloads over MPI in one round of the root\n",
                             idle_sentence(placement));
}

struct JobShape {
  std::optional<std::int64_t> ranks;
  std::optional<std::int64_t> hosts;
};

constexpr std::int64_t kMostRanks = std::int64_t{TopologyLimits::kRank} + 1;

// The host of each rank; empty if no placement is asked for.
Result<std::vector<std::string>> hosts_of(const JobShape& job) {
  if (!job.ranks) {
    if (!job.hosts) { return std::vector<std::string>{}; }
    return invalid_argument("--hosts spreads ranks over hosts: say how many ranks with --ranks");
  }
  if (*job.ranks < 1 || *job.ranks > kMostRanks) {
    return invalid_argument(fmt::format("--ranks must be 1 to {}, got {}", kMostRanks, *job.ranks));
  }
  const std::int64_t hosts = job.hosts.value_or(1);
  if (hosts < 1 || hosts > *job.ranks) {
    return invalid_argument(fmt::format("--hosts must be 1 to {}, the number of ranks, got {}", *job.ranks, hosts));
  }
  std::vector<std::string> names;
  names.reserve(static_cast<std::size_t>(*job.ranks));
  for (std::int64_t rank = 0; rank < *job.ranks; ++rank) {
    names.push_back(fmt::format("host-{}", rank * hosts / *job.ranks));
  }
  return names;
}

// Of the data, the model, and keys without effect.
std::vector<std::string> warn(const Context& context, const PreparedRun& composition, bool in_job) {
  std::vector<std::string> warnings = composition.all_warnings();
  const Plan& plan = composition.plan;
  for (std::string& text : ineffective_settings(plan.configuration(), plan.tree(), in_job)) {
    warnings.push_back(std::move(text));
  }
  for (const std::string& warning : warnings) { context.warn(warning); }
  return warnings;
}

}  // namespace

Command plan_command() {
  return {
      "plan", "Show what a configuration will do: tiers, bytes, exact sums", [](CLI::App& app) -> Action {
        auto options = ConfigurationOptions::declare(app);
        auto json = std::make_shared<bool>(false);
        auto job = std::make_shared<JobShape>();
        app.add_flag("--json", *json, "One JSON object");
        app.add_option("--ranks", job->ranks, "Show which of this many MPI ranks holds which nodes")->type_name("N");
        app.add_option("--hosts", job->hosts, "With --ranks: spread them evenly over this many hosts (default: 1)")
            ->type_name("H");
        app.footer(
            "Examples:\n"
            "  tributary plan configs/quickstart.yaml\n"
            "  tributary plan configs/quickstart.yaml --ranks 8 --hosts 2");
        return [options, json, job](const Context& context) -> Status {
          TRIBUTARY_ASSIGN_OR_RETURN(const std::vector<std::string> hosts, hosts_of(*job));
          TRIBUTARY_ASSIGN_OR_RETURN(Configuration configuration, load_configuration(*options));
          TRIBUTARY_ASSIGN_OR_RETURN(const Loaded loaded, load_federation(std::move(configuration)));
          const Plan& plan = loaded.composition.plan;
          CostEstimate cost = estimate_cost(plan.tree(), cost_options(loaded.composition));
          if (has_continuous_tier(plan)) { cost.round_time = time_of_commit(plan, cost); }
          std::optional<Placement> placement;
          if (!hosts.empty()) {
            TRIBUTARY_ASSIGN_OR_RETURN(placement, place_nodes(plan.tree(), hosts, client_work(loaded.composition)));
          }
          const std::vector<std::string> warnings = warn(context, loaded.composition, placement.has_value());
          if (*json) {
            Facts facts = facts_of(plan, cost, evaluation_cost(loaded.composition));
            facts["warnings"] = warnings;
            if (loaded.composition.data.train) { facts["data"] = data_json(loaded.composition); }
            if (placement) { facts["placement"] = facts_of(loaded.composition, *placement); }
            if (!loaded.composition.client_ids.empty()) {
              facts["client_ids"] = ids_json(loaded.composition.client_ids, plan.tree());
            }
            print_json(context.out, facts);
          } else {
            print_text(context, loaded.composition, cost);
            if (placement) { print_text(context, loaded.composition, *placement); }
          }
          return {};
        };
      }};
}

Command validate_command() {
  return {"validate", "Check a configuration, its tree, data and model; run nothing", [](CLI::App& app) -> Action {
            auto options = ConfigurationOptions::declare(app);
            auto json = std::make_shared<bool>(false);
            auto shallow = std::make_shared<bool>(false);
            app.add_flag("--json", *json, "One JSON object");
            app.add_flag("--shallow", *shallow, "The file and its tree only: load no data and no model");
            app.footer("Example:\n  tributary validate configs/quickstart.yaml");
            return [options, json, shallow](const Context& context) -> Status {
              TRIBUTARY_ASSIGN_OR_RETURN(Configuration configuration, load_configuration(*options));
              Digest digest;
              std::string data;
              Facts data_facts;
              std::vector<std::string> warnings;
              if (*shallow) {
                TRIBUTARY_ASSIGN_OR_RETURN(const Topology topology, build_topology(configuration));
              } else {
                TRIBUTARY_ASSIGN_OR_RETURN(const Loaded loaded, load_federation(std::move(configuration)));
                digest = loaded.composition.plan.digest();
                data = data_line(loaded.composition);
                data_facts = data_json(loaded.composition);
                warnings = warn(context, loaded.composition, false);
              }
              if (*json) {
                Facts facts{{"schema", 1}, {"file", options->file}, {"valid", true}};
                if (!*shallow) {
                  facts["digest"] = digest.hex();
                  facts["warnings"] = warnings;
                }
                if (!data_facts.is_null()) { facts["data"] = std::move(data_facts); }
                print_json(context.out, facts, -1);
              } else {
                context.out << fmt::format("{}: valid\n", printable_text(options->file));
                if (!data.empty()) { context.out << data << '\n'; }
              }
              return {};
            };
          }};
}

}  // namespace tributary::cli
