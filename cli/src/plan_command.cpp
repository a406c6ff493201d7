// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "command.hpp"
#include "load.hpp"
#include "tributary/core/human.hpp"
#include "tributary/topology/cost.hpp"
#include "tributary/topology/read.hpp"

namespace tributary::cli {
namespace {

using Facts = nlohmann::ordered_json;

// Header bytes of one message; see control_bytes() in core.
constexpr std::uint64_t kHeaderBytes = 80;

CostOptions cost_options(const Plan& plan) {
  CostOptions options;
  options.bytes_down = plan.payload_bytes() + kHeaderBytes;
  options.bytes_up = plan.payload_bytes() + kHeaderBytes;
  for (std::uint32_t distance = 0; distance < plan.tree().height(); ++distance) {
    const TierConfig& tier = plan.tier(distance);
    options.tiers.push_back({.cohort_fraction = tier.cohort_fraction,
                             .cohort_count = tier.cohort_count,
                             .over_selection = tier.over_selection,
                             .rounds = distance == 0 ? 1 : tier.rounds_per_parent_round});
  }
  return options;
}

// Of the node with the most, `distance` below the root.
std::uint32_t most_children(const Tree& tree, std::uint32_t distance) {
  std::uint32_t most = 0;
  for (std::uint32_t id = 0; id < tree.size(); ++id) {
    if (tree.tier(NodeId{id}) == distance) { most = std::max(most, tree.children(NodeId{id}).size()); }
  }
  return most;
}

std::string describe(const Plan& plan, std::uint32_t distance) {
  const TierConfig& tier = plan.tier(distance);
  std::string text = tier.policy;
  if (tier.cohort_count) {
    const std::uint64_t children = std::min<std::uint64_t>(*tier.cohort_count, most_children(plan.tree(), distance));
    text += fmt::format(", {} a round", children == 1 ? "1 child" : human_count(children) + " children");
  } else if (tier.cohort_fraction && *tier.cohort_fraction < 1.0) {
    text += fmt::format(", {:g} of the children a round", *tier.cohort_fraction);
  } else {
    text += ", all children";
  }
  if (tier.over_selection > 1.0) { text += fmt::format(", asks {:g} times as many", tier.over_selection); }
  if (tier.deadline_s > 0.0) { text += fmt::format(", from {:g} s on a quorum of {:g}", tier.deadline_s, tier.quorum); }
  if (tier.rounds_per_parent_round > 1) { text += fmt::format(", {} local rounds", tier.rounds_per_parent_round); }
  return text;
}

// Expected values need not be whole; bytes are.
std::uint64_t whole(double value) {
  return static_cast<std::uint64_t>(std::round(value));
}

Facts facts_of(const Plan& plan, const CostEstimate& cost) {
  const Tree& tree = plan.tree();
  Facts tiers = Facts::array();
  for (const TierCost& tier : cost.tiers) {
    tiers.push_back({{"tier", tier.tier},
                     {"nodes", tier.nodes},
                     {"policy", describe(plan, tier.tier - 1)},
                     {"payloads", tier.payloads},
                     {"bytes_down", whole(tier.bytes_down)},
                     {"bytes_up", whole(tier.bytes_up)}});
  }
  return {{"schema", 1},
          {"name", plan.configuration().name},
          {"clients", tree.clients()},
          {"aggregators", tree.size() - tree.clients() - 1},
          {"tiers", tree.height() + 1},
          {"parameters", plan.spec().parameters()},
          {"payload_bytes", plan.payload_bytes()},
          {"clients_per_round", plan.clients_per_round()},
          {"exact_sums", plan.compact() ? "compact" : "full"},
          {"mean_resolution", std::ldexp(1.0 / plan.scale().weight_bound.value(), -plan.scale().fraction_bits)},
          {"payloads_per_round", cost.payloads},
          {"bytes_per_round", whole(cost.bytes)},
          {"bytes_per_round_forwarding", whole(cost.forwarding_bytes)},
          {"link_seconds_per_round", std::chrono::duration<double>(cost.round_time).count()},
          {"digest", plan.digest().hex()},
          {"per_tier", std::move(tiers)}};
}

void print_text(const Context& context, const Plan& plan, const CostEstimate& cost) {
  const Tree& tree = plan.tree();
  const Paint paint = context.paint();
  auto& out = context.out;
  out << paint.bold(plan.configuration().name)
      << fmt::format(": {}, {}, {}\n", human_plural(tree.clients(), "client"),
                     human_plural(tree.size() - tree.clients() - 1, "aggregator"),
                     human_plural(tree.height() + 1, "tier"));
  out << fmt::format("model       {}, {} per payload\n", human_plural(plan.spec().parameters(), "parameter"),
                     human_bytes(static_cast<double>(plan.payload_bytes())));
  out << fmt::format("round       at most {}; exact sums on the {} grid\n",
                     human_plural(plan.clients_per_round(), "client"), plan.compact() ? "compact" : "full");
  out << fmt::format("network     {}, {} a round; forwarding each update would take {}\n",
                     human_plural(whole(cost.payloads), "payload"), human_bytes(cost.bytes),
                     human_bytes(cost.forwarding_bytes));
  if (cost.round_time.count() > 0) {
    out << fmt::format("links       {:.3f} s a round on the slowest path\n",
                       std::chrono::duration<double>(cost.round_time).count());
  }
  out << '\n' << paint.dim("tier   nodes      down        up          the node above commits") << '\n';
  for (const TierCost& tier : cost.tiers) {
    out << fmt::format("{:<6} {:<10} {:<11} {:<11} {}\n", tier.tier, human_count(tier.nodes),
                       human_bytes(tier.bytes_down), human_bytes(tier.bytes_up), describe(plan, tier.tier - 1));
  }
}

}  // namespace

Command plan_command() {
  return {"plan", "Show what a configuration will do: tiers, bytes, exact sums", [](CLI::App& app) -> Action {
            auto options = ConfigurationOptions::declare(app);
            auto json = std::make_shared<bool>(false);
            app.add_flag("--json", *json, "One JSON object");
            app.footer("Example:\n  tributary plan configs/quickstart.yaml");
            return [options, json](const Context& context) -> Status {
              TRIBUTARY_ASSIGN_OR_RETURN(Configuration configuration, load_configuration(*options));
              TRIBUTARY_ASSIGN_OR_RETURN(const Loaded loaded, load_federation(std::move(configuration)));
              const Plan& plan = loaded.composition.plan;
              const CostEstimate cost = estimate_cost(plan.tree(), cost_options(plan));
              if (*json) {
                context.out << facts_of(plan, cost).dump(2) << '\n';
              } else {
                print_text(context, plan, cost);
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
              if (*shallow) {
                TRIBUTARY_ASSIGN_OR_RETURN(const Topology topology, build_topology(configuration));
              } else {
                TRIBUTARY_ASSIGN_OR_RETURN(const Loaded loaded, load_federation(std::move(configuration)));
                digest = loaded.composition.plan.digest();
              }
              if (*json) {
                Facts facts{{"schema", 1}, {"file", options->file}, {"valid", true}};
                if (!*shallow) { facts["digest"] = digest.hex(); }
                context.out << facts.dump() << '\n';
              } else {
                context.out << fmt::format("{}: valid\n", options->file);
              }
              return {};
            };
          }};
}

}  // namespace tributary::cli
