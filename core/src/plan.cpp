// SPDX-License-Identifier: Apache-2.0
#include "tributary/core/plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "tributary/core/random.hpp"

namespace tributary {
namespace {

// With more clients in one sum, the rounding of each to the compact grid would be felt in the mean.
constexpr std::uint64_t kLargestCompactCohort = 65536;

constexpr std::string_view kRule = "weighted-sum";
constexpr std::string_view kServerOptimizer = "step";

// The largest weight and number of clients that can come together in one round below each node.
struct Bounds {
  double weight = 0.0;
  std::uint64_t clients = 0;
};

Digest result_digest(Configuration configuration, const Tree& tree, const ParameterSpec& spec) {
  const Configuration defaults;
  // What may change without changing the result.
  configuration.name = defaults.name;
  configuration.base_directory = defaults.base_directory;
  // Its shape and links are added below. Where its nodes run, and what they are called, does not matter.
  configuration.topology = defaults.topology;
  configuration.threads = defaults.threads;
  configuration.output = defaults.output;
  configuration.checkpoint = defaults.checkpoint;
  configuration.mpi = defaults.mpi;
  Hasher hasher;
  hasher.update(print_configuration(configuration));
  hasher.update(spec.fingerprint().hex());
  std::vector<std::uint32_t> shape(tree.size());
  for (std::uint32_t node = 0; node < tree.size(); ++node) { shape[node] = tree.children(NodeId{node}).size(); }
  hasher.update(std::as_bytes(std::span(shape)));
  // With a deadline or over-selection, links decide who is in time.
  for (std::uint32_t node = 0; node < tree.size(); ++node) {
    const Link& link = tree.attributes(NodeId{node}).link;
    if (link != Link{}) { hasher.update(fmt::format("{}:{}:{};", node, link.bytes_per_second, link.latency.count())); }
  }
  return hasher.finish();
}

}  // namespace

Result<Plan> Plan::create(Configuration configuration, Tree tree, const TrainerFactory& factory,
                          const ExtensionRegistry& registry) {
  Plan plan;
  plan.spec_ = std::make_shared<const ParameterSpec>(factory.spec());
  plan.registry_ = std::make_shared<const ExtensionRegistry>(registry);
  for (const auto& [tier, settings] : configuration.tiers) {
    if (tier >= tree.height()) {
      return configuration_error(fmt::format(
          "tiers.{}: the tree has committing nodes at distance 0 to {} from the root", tier, tree.height() - 1));
    }
  }
  std::vector<std::unique_ptr<TierPolicy>> policies;
  for (std::uint32_t tier = 0; tier < tree.height(); ++tier) {
    const TierConfig& settings = configuration.tier(tier);
    Result<std::unique_ptr<TierPolicy>> policy = registry.make_policy(settings.policy, settings);
    if (!policy.ok()) { return policy.status().with_context(fmt::format("tiers.{}.policy", tier)); }
    policies.push_back(std::move(policy).value());
  }
  for (const Status& known :
       {registry.make_rule(std::string(kRule), configuration.algorithm).status(),
        registry.make_server_optimizer(std::string(kServerOptimizer), configuration.algorithm.server_lr).status()}) {
    TRIBUTARY_RETURN_IF_ERROR(known);
  }

  // From the leaves to the root: breadth-first numbers put every child after its parent.
  std::vector<Bounds> bounds(tree.size());
  std::vector<Bounds> children;
  for (std::uint32_t n = tree.size(); n-- > 0;) {
    const NodeId node{n};
    if (tree.is_client(node)) {
      const double weight = factory.weight_bound(tree.client_index(node));
      if (!(weight > 0.0)) {
        return configuration_error(
            fmt::format("{} has no samples: use fewer clients, or a partition with min_samples", tree.name(node)));
      }
      bounds[n] = {weight, 1};
      continue;
    }
    children.clear();
    for (const NodeId child : tree.children(node)) { children.push_back(bounds[child.value]); }
    const std::uint32_t target = policies[tree.tier(node)]->largest_target(static_cast<std::uint32_t>(children.size()));
    const auto heaviest = children.begin() + target;
    const auto by_weight = [](const Bounds& a, const Bounds& b) { return a.weight > b.weight; };
    if (heaviest != children.end()) { std::nth_element(children.begin(), heaviest, children.end(), by_weight); }
    for (auto child = children.begin(); child != heaviest; ++child) { bounds[n].weight += child->weight; }
    const auto by_clients = [](const Bounds& a, const Bounds& b) { return a.clients > b.clients; };
    if (heaviest != children.end()) { std::nth_element(children.begin(), heaviest, children.end(), by_clients); }
    for (auto child = children.begin(); child != heaviest; ++child) { bounds[n].clients += child->clients; }
  }
  Result<Weight> total = Weight::from(bounds[0].weight);
  if (!total.ok()) { return configuration_error("the clients of one round together weigh more than 2^40"); }
  plan.clients_per_round_ = bounds[0].clients;
  // Each client's weight may have been rounded up by one step.
  const Weight weight_bound = *total + Weight::from_units(plan.clients_per_round_);
  switch (configuration.algorithm.precision) {
    case AlgorithmConfig::Precision::kAuto:
      plan.compact_ = plan.clients_per_round_ <= kLargestCompactCohort;
      break;
    case AlgorithmConfig::Precision::kCompact:
      plan.compact_ = true;
      break;
    case AlgorithmConfig::Precision::kFull:
      plan.compact_ = false;
      break;
  }
  plan.scale_ = plan.compact_ ? ExactScale::compact(weight_bound) : ExactScale::full(weight_bound);
  plan.digest_ = result_digest(configuration, tree, *plan.spec_);
  plan.configuration_ = std::move(configuration);
  plan.tree_ = std::move(tree);
  return plan;
}

InnerNodeSettings Plan::inner_node(NodeId node, std::uint32_t incarnation) const {
  const std::uint32_t distance = tree_.tier(node);
  const TierConfig& tier = configuration_.tier(distance);
  const bool root = node == tree_.root();
  InnerNodeSettings settings;
  settings.self = node;
  settings.parent = tree_.parent(node);
  settings.children = tree_.children(node);
  settings.incarnation = incarnation;
  settings.seed = configuration_.seed;
  settings.spec = spec_.get();
  settings.scale = scale_;
  settings.liveness = liveness_;
  settings.retries = tier.retries;
  settings.rounds_per_parent_round = root ? 1 : tier.rounds_per_parent_round;
  settings.evaluate_clients = configuration_.evaluation.at_clients;
  settings.rounds = configuration_.rounds;
  // create() made one of each, so these names are known.
  settings.policy = registry_->make_policy(tier.policy, tier).value();
  settings.aggregator = registry_->make_rule(std::string(kRule), configuration_.algorithm).value();
  settings.optimizer =
      registry_->make_server_optimizer(std::string(kServerOptimizer), root ? configuration_.algorithm.server_lr : 1.0)
          .value();
  return settings;
}

TrainTask Plan::train_task(NodeId node, TrainRequest request) const {
  TrainTask task;
  task.client = tree_.client_index(node);
  task.round = request.key.round;
  task.root_round = request.root_round;
  task.base = std::move(request.base);
  task.seed = task_seed(task.client, request.key.round);
  task.evaluate_first = request.evaluate_first;
  return task;
}

std::uint64_t Plan::task_seed(ClientIndex client, Round round) const noexcept {
  return stream_seed(configuration_.seed, Purpose::kBatches, client.value, round.value);
}

}  // namespace tributary
