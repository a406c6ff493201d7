// SPDX-License-Identifier: Apache-2.0
#include "commands/policy_text.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "tributary/base/duration.hpp"
#include "tributary/base/human.hpp"

namespace tributary::cli {
namespace {

// Of the node with the most, `distance` below the root.
std::uint32_t most_children(const Tree& tree, std::uint32_t distance) {
  std::uint32_t most = 0;
  for (std::uint32_t id = 0; id < tree.size(); ++id) {
    if (tree.tier(NodeId{id}) == distance) { most = std::max(most, tree.children(NodeId{id}).size()); }
  }
  return most;
}

std::string describe_discount(const TierConfig& tier) {
  switch (tier.discount) {
    case TierConfig::Discount::kConstant:
      return "no discount";
    case TierConfig::Discount::kInverseRoot:
      return "discount (1 + t)^-0.5";
    case TierConfig::Discount::kPolynomial:
      return fmt::format("discount (1 + t)^-{:g}", tier.discount_a);
    case TierConfig::Discount::kHinge:
      return fmt::format("discount 1 / ({:g} (t - {:g}) + 1) from t = {:g} on", tier.discount_a, tier.discount_b,
                         tier.discount_b);
    case TierConfig::Discount::kExponential:
      return fmt::format("discount e^(-{:g} t)", tier.discount_a);
    case TierConfig::Discount::kHarmonic:
      return fmt::format("discount 1 / (1 + {:g} t)", tier.discount_a);
  }
  return {};
}

std::string describe_continuous(const TierConfig& tier) {
  std::string text = fmt::format("{}, {} a commit, ", tier.policy, human_plural(updates_of_commit(tier), "update"));
  text += tier.concurrency
              ? fmt::format("{} at work", (*tier.concurrency == 1 ? std::string("1 child")
                                                                  : human_count(*tier.concurrency) + " children"))
              : std::string("all children at work");
  if (tier.edge_model == TierConfig::EdgeModel::kForward) { return text + ", forwards their sum"; }
  if (tier.form == TierConfig::Form::kMix) { text += fmt::format(", mixes with {:g}", tier.mixing); }
  text += ", " + describe_discount(tier);
  if (tier.local_rounds > 1) { text += fmt::format(", {} commits an answer", tier.local_rounds); }
  if (tier.max_staleness) { text += fmt::format(", refused from t = {} on", *tier.max_staleness + 1); }
  if (tier.policy == "buffered" && tier.deadline_s > 0.0) {
    text += fmt::format(", or what there is after {:g} s", tier.deadline_s);
  }
  return text;
}

// Of a synchronous tier.
std::string describe_rounds(const Plan& plan, std::uint32_t distance) {
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
  if (tier.local_rounds > 1) { text += fmt::format(", {} local rounds", tier.local_rounds); }
  return text;
}

}  // namespace

std::uint32_t updates_of_commit(const TierConfig& tier) {
  return tier.policy == "buffered" ? tier.buffer : 1;
}

bool has_continuous_tier(const Plan& plan) {
  for (std::uint32_t tier = 0; tier < plan.tree().height(); ++tier) {
    if (plan.continuous(tier)) { return true; }
  }
  return false;
}

std::chrono::nanoseconds time_of_commit(const Plan& plan, const CostEstimate& cost) {
  for (std::uint32_t tier = 1; tier < plan.tree().height(); ++tier) {
    if (plan.continuous(tier)) { return {}; }
  }
  const TierConfig& tier = plan.tier(0);
  const Topology topology = Topology::from_tree(plan.tree());
  const TopologyNode& root = topology.node(0);
  double children = 0.0;
  double seconds = 0.0;  // of a task of each
  double rate = 0.0;     // tasks a second, if all work
  for (std::uint32_t entry = root.first_child; entry < root.first_child + root.child_entries; ++entry) {
    const auto count = static_cast<double>(topology.node(entry).count);
    const double visit = std::chrono::duration<double>(cost.edges[entry].visit).count();
    if (visit <= 0.0) { return {}; }
    children += count;
    seconds += count * visit;
    rate += count / visit;
  }
  if (tier.concurrency && *tier.concurrency < children) { rate = *tier.concurrency * children / seconds; }
  return to_nanoseconds(updates_of_commit(tier) / rate);
}

std::string describe_policy(const Plan& plan, std::uint32_t distance) {
  const TierConfig& tier = plan.tier(distance);
  std::string text = tier.policy == "synchronous" ? describe_rounds(plan, distance) : describe_continuous(tier);
  if (tier.rule != TierConfig().rule) { text += ", " + tier.rule; }
  if (plan.model_codec(distance) != nullptr) { text += ", models in " + tier.codec_down; }
  if (plan.change_codec(distance) != nullptr) { text += ", changes in " + tier.codec_up; }
  return text;
}

}  // namespace tributary::cli
