// SPDX-License-Identifier: Apache-2.0
#include "tributary/run/plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <numeric>

#include "tributary/base/duration.hpp"
#include "tributary/base/random.hpp"
#include "tributary/run/policy_settings.hpp"

namespace tributary {
namespace {

constexpr std::string_view kNoCodec = "none";
// As many answers' worth of commits as an aggregator makes while its parent is away.
constexpr std::uint64_t kMostDetachedRounds = 64;
// Aggregators take the mean of their own rounds as it is.
constexpr std::string_view kPlainStep = "sgd";

// What can come together in one round at most, at or below a node.
struct Bounds {
  std::uint64_t weight = 0;   // in units
  std::uint64_t clients = 0;  // that take part
  std::uint64_t terms = 0;    // that the node's update brings into its parent's sums
};

constexpr std::uint64_t kLargestUnits = std::uint64_t{1} << 62U;
static_assert(Weight::kLargest == static_cast<double>(kLargestUnits >> Weight::kFractionBits));

// The sum of the `most` largest of the children's values; saturates above kLargestUnits. Where all are alike, as they
// often are among millions, it takes no memory.
template <typename ValueOf>
std::uint64_t largest_sum(Tree::Children children, std::uint32_t most, const ValueOf& value_of) {
  const auto add = [](std::uint64_t sum, std::uint64_t value) { return std::min(sum + value, kLargestUnits + 1); };
  std::uint64_t all = 0;
  std::uint64_t least = UINT64_MAX;
  std::uint64_t largest = 0;
  for (const NodeId child : children) {
    const std::uint64_t value = value_of(child);
    all = add(all, value);
    least = std::min(least, value);
    largest = std::max(largest, value);
  }
  if (most >= children.size()) { return all; }
  if (least == largest) {
    const bool fits = most == 0 || largest <= kLargestUnits / most;
    return fits ? most * largest : kLargestUnits + 1;
  }
  std::vector<std::uint64_t> values;
  values.reserve(children.size());
  for (const NodeId child : children) { values.push_back(value_of(child)); }
  const auto end = values.begin() + most;
  std::nth_element(values.begin(), end, values.end(), std::greater<>());
  return std::accumulate(values.begin(), end, std::uint64_t{0}, add);
}

ExactScale (*scale_maker(AlgorithmConfig::Precision precision))(Weight, std::uint64_t, int) {
  switch (precision) {
    case AlgorithmConfig::Precision::kCompact:
      return &ExactScale::compact;
    case AlgorithmConfig::Precision::kFull:
      return &ExactScale::full;
    case AlgorithmConfig::Precision::kAuto:
      break;
  }
  return &ExactScale::fine;
}

// What a model takes to come down an edge and its update to go up again; sums may take more bytes than the model does.
std::chrono::nanoseconds ways_time(const Link& link, std::size_t model_bytes) {
  constexpr double kModelAndSums = 2.25;
  constexpr double kMost = 1e9;  // seconds
  const double moving = link.bytes_per_second > 0.0
                            ? std::min(kMost, kModelAndSums * static_cast<double>(model_bytes) / link.bytes_per_second)
                            : 0.0;
  return 2 * std::min(link.latency, std::chrono::nanoseconds(std::chrono::seconds(static_cast<std::int64_t>(kMost)))) +
         std::chrono::nanoseconds(static_cast<std::int64_t>(moving * 1e9));
}

Digest result_digest(Configuration configuration, const Tree& tree, const ParameterSpec& spec) {
  const Configuration defaults;
  // What may change without changing the result.
  configuration.name = defaults.name;
  configuration.base_directory = defaults.base_directory;
  // Its shape and links are added below, and names where they matter. Where its nodes run does not.
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
  if (configuration.simulation.devices.slowness == SimulationConfig::Devices::Slowness::kTopology) {
    for (std::uint32_t node = 0; node < tree.size(); ++node) {
      const auto& extra = tree.attributes(NodeId{node}).extra;
      if (const auto found = extra.find("slowness"); found != extra.end()) {
        hasher.update(fmt::format("{}:{};", node, found->second));
      }
    }
  }
  // Samples with ids go to the clients, or below the nodes and sites, that have the name of their id.
  const DataConfig& data = configuration.data;
  if (data.source != DataConfig::Source::kNone && data.partition == DataConfig::Partition::kNatural) {
    for (std::uint32_t node = 0; node < tree.size(); ++node) {
      const NodeAttributes& attributes = tree.attributes(NodeId{node});
      hasher.update(fmt::format("{}:{}:{}:{};", attributes.name.size(), attributes.name, attributes.site.size(),
                                attributes.site));
    }
  }
  return hasher.finish();
}

// As the registry of extensions knows it; empty: plain averaging.
std::string method_name(AlgorithmConfig::Kind kind) {
  switch (kind) {
    case AlgorithmConfig::Kind::kFedProx:
      return "fedprox";
    case AlgorithmConfig::Kind::kFedNova:
      return "fednova";
    case AlgorithmConfig::Kind::kQFedAvg:
      return "qfedavg";
    case AlgorithmConfig::Kind::kScaffold:
      return "scaffold";
    case AlgorithmConfig::Kind::kMtgc:
      return "mtgc";
    case AlgorithmConfig::Kind::kFedDyn:
      return "feddyn";
    case AlgorithmConfig::Kind::kFedAvg:
    case AlgorithmConfig::Kind::kFedSgd:
      break;
  }
  return {};
}

bool keeps_states(AlgorithmConfig::Kind kind) {
  using Kind = AlgorithmConfig::Kind;
  return kind == Kind::kScaffold || kind == Kind::kMtgc || kind == Kind::kFedDyn;
}

// What a policy cannot do where it stands.
Status check_policy(const Tree& tree, std::uint32_t tier, const TierConfig& config, const TierPolicy& policy,
                    AlgorithmConfig::Kind kind) {
  if (!policy.continuous()) { return {}; }
  const bool forwards = config.edge_model == TierConfig::EdgeModel::kForward;
  if (forwards && tier == 0) {
    return configuration_error("tiers.0.edge_model has no effect: the root has no parent whose model it could give on");
  }
  if (forwards && config.local_rounds > 1) {
    return configuration_error(
        fmt::format("tiers.{}.local_rounds is {}, and edge_model is forward: each commit sends its sum up", tier,
                    config.local_rounds));
  }
  std::uint32_t least = UINT32_MAX;
  std::string name;
  for (std::uint32_t n = 0; n < tree.size(); ++n) {
    const NodeId node{n};
    if (tree.is_client(node) || tree.tier(node) != tier || tree.children(node).size() >= least) { continue; }
    least = tree.children(node).size();
    name = tree.name(node);
  }
  if (config.adoption == TierConfig::Adoption::kReplace && keeps_states(kind)) {
    return configuration_error(
        fmt::format("tiers.{}.adoption: replace discards updates that clients have been told are counted, and "
                    "algorithm.kind {} keeps states of clients that must agree with what is counted",
                    tier, method_name(kind)));
  }
  if (config.policy == "buffered" && config.buffer > least) {
    return configuration_error(
        fmt::format("tiers.{}.buffer is {}, and {} has {} children: each counts once in a buffer, so it would never be "
                    "full",
                    tier, config.buffer, name, least));
  }
  if (config.concurrency && *config.concurrency > least) {
    return configuration_error(
        fmt::format("tiers.{}.concurrency is {}, and {} has {} children", tier, *config.concurrency, name, least));
  }
  return {};
}

// Of methods that divide at the root by what clients tell: where that would undo what clients did, or be wrong.
Status check_division(const Tree& tree, std::uint32_t tier, const TierConfig& settings, const TierPolicy& policy,
                      AlgorithmConfig::Kind kind) {
  const bool nova = kind == AlgorithmConfig::Kind::kFedNova;
  if (policy.continuous() && policy.largest_target(tree.tier_size(tier + 1)) < 2) {
    return configuration_error(fmt::format(
        "tiers.{}: algorithm.kind {} needs several updates in a commit: a single one would be {}. Use policy "
        "buffered with a buffer of two or more",
        tier, nova ? "fednova" : "qfedavg",
        nova ? "multiplied by the very steps that it was divided by"
             : "divided by the very power of its loss that it was multiplied by"));
  }
  const bool moves_own = tier > 0 && (settings.local_rounds > 1 ||
                                      (policy.continuous() && settings.edge_model == TierConfig::EdgeModel::kOwn));
  if (!moves_own) { return {}; }
  return configuration_error(
      fmt::format("tiers.{}: algorithm.kind {} takes the mean of what all clients tell of their steps at the root, so "
                  "that aggregators "
                  "must not move models of their own: local_rounds must be 1, and edge_model forward",
                  tier, nova ? "fednova" : "qfedavg"));
}

// What rules other than sums cannot do where they stand.
Status check_rule(std::uint32_t tier, const TierConfig& config, const TierPolicy& policy, AlgorithmConfig::Kind kind) {
  const auto refuse = [&](std::string_view why) {
    return configuration_error(fmt::format("tiers.{}.rule: {} {}", tier, config.rule, why));
  };
  switch (kind) {
    case AlgorithmConfig::Kind::kFedNova:
    case AlgorithmConfig::Kind::kQFedAvg:
    case AlgorithmConfig::Kind::kScaffold:
    case AlgorithmConfig::Kind::kMtgc:
    case AlgorithmConfig::Kind::kFedDyn:
      return refuse(fmt::format("does not go with algorithm.kind {}, whose clients send what has to be summed",
                                method_name(kind)));
    case AlgorithmConfig::Kind::kFedAvg:
    case AlgorithmConfig::Kind::kFedSgd:
    case AlgorithmConfig::Kind::kFedProx:
      break;
  }
  if (!policy.continuous()) { return {}; }
  if (config.edge_model == TierConfig::EdgeModel::kForward) {
    return refuse("leaves no sum that edge_model: forward could send on");
  }
  if (policy.largest_target(2) < 2) { return refuse("of single updates is each of them: use policy buffered"); }
  if (config.discount != TierConfig::Discount::kConstant || config.rate_correction > 1.0) {
    return refuse(
        "takes updates as they are, so that none can count for less: set discount: constant, leave rate_correction "
        "out, and set max_staleness to refuse what is too old");
  }
  return {};
}

// Its second vector enters the model whole with every commit, while its feedback is late.
Status check_feddyn(const Tree& tree, std::uint32_t tier, const TierConfig& settings, const TierPolicy& policy) {
  if (!policy.continuous()) { return {}; }
  constexpr std::uint32_t kMostAtWork = 4;  // times the updates of a commit
  const std::uint32_t target = policy.largest_target(tree.tier_size(tier + 1));
  if (target < 2) {
    return configuration_error(fmt::format(
        "tiers.{}: algorithm.kind feddyn needs several updates in a commit: with one at a time it diverges. Use policy "
        "buffered or synchronous",
        tier));
  }
  std::uint32_t most = 0;
  for (std::uint32_t n = 0; n < tree.size(); ++n) {
    if (tree.tier(NodeId{n}) == tier) { most = std::max(most, tree.children(NodeId{n}).size()); }
  }
  const std::uint32_t working = std::min(most, settings.concurrency.value_or(most));
  if (working <= kMostAtWork * target) { return {}; }
  return configuration_error(fmt::format(
      "tiers.{}: with algorithm.kind feddyn at most {} times as many children may work as make a commit, or "
      "it diverges: {} work, and {} make a commit. Lower concurrency or raise buffer",
      tier, kMostAtWork, working, target));
}

// An aggregator's variate is that of the work between two of its parent's models, and its children's belong to it.
Status check_mtgc(std::uint32_t tier, const TierPolicy& policy) {
  if (!policy.continuous()) { return {}; }
  return configuration_error(fmt::format(
      "tiers.{}: algorithm.kind mtgc needs policy synchronous in all tiers: what an aggregator that works on between "
      "its parent's models has done belongs to none of them alone. algorithm.kind scaffold takes any policy",
      tier));
}

// FedAsync as published takes part of a client's model.
Status check_mixing(const Tree& tree, std::uint32_t tier, const TierPolicy& policy,
                    const ServerOptimizerConfig& optimizer) {
  if (!policy.mixes()) { return {}; }
  for (std::uint32_t n = 1; n < tree.size(); ++n) {
    const NodeId node{n};
    if (tree.is_client(node) || tree.tier(tree.parent(node)) != tier) { continue; }
    return configuration_error(fmt::format(
        "tiers.{}.form: mix needs clients right below, and {} is an aggregator, whose answer is a change of "
        "a model that nobody else has: use form delta there",
        tier, tree.name(node)));
  }
  if (tier > 0 || (optimizer.kind == kPlainStep && optimizer.lr == 1.0)) { return {}; }
  return configuration_error(
      "server_optimizer must be sgd at lr 1 with tiers.0.form: mix, which says itself how the model moves: by "
      "tiers.0.mixing");
}

// Null: none.
Result<std::shared_ptr<const Codec>> make_codec(const ExtensionRegistry& registry, std::uint32_t tier,
                                                std::string_view direction, const std::string& name) {
  if (name == kNoCodec) { return std::shared_ptr<const Codec>(); }
  Result<std::unique_ptr<Codec>> codec = registry.make_codec(name);
  if (!codec.ok()) { return codec.status().with_context(fmt::format("tiers.{}.codec.{}", tier, direction)); }
  return std::shared_ptr<const Codec>(std::move(codec).value());
}

ServerOptimizerSettings optimizer_settings(const ServerOptimizerConfig& config) {
  return {.lr = config.lr,
          .momentum = config.momentum,
          .beta1 = config.beta1,
          .beta2 = config.beta2,
          .adaptivity = config.adaptivity};
}

}  // namespace

Result<Plan> Plan::create(Configuration configuration, Tree tree, const TrainerFactory& factory,
                          const ExtensionRegistry& registry) {
  Plan plan;
  plan.spec_ = std::make_shared<const ParameterSpec>(factory.spec());
  plan.registry_ = std::make_shared<const ExtensionRegistry>(registry);
  for (const auto& [tier, settings] : configuration.tiers) {
    if (tier >= tree.height()) {
      return configuration_error(
          fmt::format("tiers.{} has no effect: in this tree only nodes of tiers 0 (the root) to {} ask others", tier,
                      tree.height() - 1));
    }
  }
  std::vector<std::unique_ptr<TierPolicy>> policies;
  for (std::uint32_t tier = 0; tier < tree.height(); ++tier) {
    const TierConfig& settings = configuration.tier(tier);
    Result<std::unique_ptr<TierPolicy>> policy = registry.make_policy(settings.policy, policy_settings(settings));
    if (!policy.ok()) { return policy.status().with_context(fmt::format("tiers.{}.policy", tier)); }
    policies.push_back(std::move(policy).value());
    Result<std::unique_ptr<AggregationRule>> rule = registry.make_rule(settings.rule);
    if (!rule.ok()) { return rule.status().with_context(fmt::format("tiers.{}.rule", tier)); }
    const AlgorithmConfig::Kind kind = configuration.algorithm.kind;
    if (kind == AlgorithmConfig::Kind::kMtgc) { TRIBUTARY_RETURN_IF_ERROR(check_mtgc(tier, *policies.back())); }
    TRIBUTARY_RETURN_IF_ERROR(check_policy(tree, tier, settings, *policies.back(), kind));
    TierParts parts{.continuous = policies.back()->continuous(), .mergeable = (*rule)->mergeable()};
    if (!parts.mergeable) { TRIBUTARY_RETURN_IF_ERROR(check_rule(tier, settings, *policies.back(), kind)); }
    TRIBUTARY_ASSIGN_OR_RETURN(parts.down, make_codec(registry, tier, "down", settings.codec_down));
    TRIBUTARY_ASSIGN_OR_RETURN(parts.up, make_codec(registry, tier, "up", settings.codec_up));
    plan.parts_.push_back(std::move(parts));
    if (kind == AlgorithmConfig::Kind::kFedNova || kind == AlgorithmConfig::Kind::kQFedAvg) {
      TRIBUTARY_RETURN_IF_ERROR(check_division(tree, tier, settings, *policies.back(), kind));
    }
    if (kind == AlgorithmConfig::Kind::kFedDyn) {
      TRIBUTARY_RETURN_IF_ERROR(check_feddyn(tree, tier, settings, *policies.back()));
    }
    TRIBUTARY_RETURN_IF_ERROR(check_mixing(tree, tier, *policies.back(), configuration.server_optimizer));
  }
  const ServerOptimizerConfig& optimizer = configuration.server_optimizer;
  for (const Status& known : {registry.make_server_optimizer(std::string(kPlainStep), {}).status(),
                              registry.make_server_optimizer(optimizer.kind, optimizer_settings(optimizer))
                                  .status()
                                  .with_context("server_optimizer.kind")}) {
    TRIBUTARY_RETURN_IF_ERROR(known);
  }

  plan.every_answer_counts_ = std::ranges::all_of(policies, [](const auto& policy) { return policy->counts_all(); });
  plan.configuration_ = std::move(configuration);
  plan.tree_ = std::move(tree);
  TRIBUTARY_RETURN_IF_ERROR(plan.check_codecs());
  TRIBUTARY_RETURN_IF_ERROR(plan.bound_weights(factory, policies));
  TRIBUTARY_RETURN_IF_ERROR(plan.choose_method(factory));
  TRIBUTARY_RETURN_IF_ERROR(plan.choose_evaluation(factory));
  plan.digest_ = result_digest(plan.configuration_, plan.tree_, *plan.spec_);
  return plan;
}

bool Plan::order_decides() const {
  if (!every_answer_counts_ || std::ranges::any_of(parts_, &TierParts::continuous)) { return true; }
  // Who is late ends a round with a deadline, even if all are needed.
  for (std::uint32_t tier = 0; tier < parts_.size(); ++tier) {
    if (configuration_.tier(tier).deadline_s > 0.0) { return true; }
  }
  return false;
}

// The sums that come together at `node` end there: it moves a model by their mean, and sends up what that changed.
bool Plan::divides(NodeId node) const {
  const std::uint32_t distance = tree_.tier(node);
  const TierConfig& tier = configuration_.tier(distance);
  if (node == tree_.root()) { return true; }
  const TierParts& parts = parts_[distance];
  if (!parts.mergeable) { return true; }
  return parts.continuous ? tier.edge_model == TierConfig::EdgeModel::kOwn : tier.local_rounds > 1;
}

// No codec for edges on which no vector travels.
Status Plan::check_codecs() const {
  std::vector<bool> vectors(parts_.size(), false);
  for (std::uint32_t n = 1; n < tree_.size(); ++n) {
    const std::uint32_t above = tree_.tier(NodeId{n}) - 1;
    vectors[above] = vectors[above] || sends_vector(NodeId{n});
  }
  for (std::uint32_t tier = 0; tier < parts_.size(); ++tier) {
    if (!parts_[tier].up || vectors[tier]) { continue; }
    // Said for all tiers, it serves those that it can.
    if (configuration_.tier(tier).codec_up == configuration_.default_tier.codec_up) { continue; }
    return configuration_error(fmt::format(
        "tiers.{}.codec.up has no effect: the aggregators below send exact sums, which are never coded", tier));
  }
  return {};
}

bool Plan::every_child_sends_one_term(NodeId node) const {
  for (const NodeId child : tree_.children(node)) {
    if (!sends_vector(child)) { return false; }
  }
  return true;
}

Status Plan::bound_weights(const TrainerFactory& factory, std::span<const std::unique_ptr<TierPolicy>> policies) {
  std::unordered_map<std::uint32_t, Bounds> inner;  // of a client all follows from its weight
  auto weights = std::make_shared<std::vector<Weight>>(tree_.size());
  const auto part = [&](std::uint64_t Bounds::* member) {
    return [&inner, &weights, this, member](NodeId child) -> std::uint64_t {
      if (!tree_.is_client(child)) { return inner.at(child.value).*member; }
      return member == &Bounds::weight ? (*weights)[child.value].units() : 1;
    };
  };
  // From the leaves to the root: breadth-first numbers put every child after its parent.
  for (std::uint32_t n = tree_.size(); n-- > 0;) {
    const NodeId node{n};
    if (tree_.is_client(node)) {
      const double bound = factory.weight_bound(tree_.client_index(node));
      if (bound == 0.0) {
        return configuration_error(fmt::format(
            "{} has no samples: use fewer clients, or data.partition.min_samples of at least 1", tree_.name(node)));
      }
      const Result<Weight> weight = Weight::from(bound);
      if (!weight.ok()) {
        return configuration_error(
            fmt::format("{} announces a wrong weight bound: {}", tree_.name(node), weight.status().message()));
      }
      (*weights)[n] = *weight;
      continue;
    }
    const Tree::Children children = tree_.children(node);
    const TierPolicy& policy = *policies[tree_.tier(node)];
    // Sums that wait for a task of the parent go on growing, by each child once.
    const std::uint32_t all = children.size();
    const std::uint32_t target = policy.continuous() && !divides(node) ? all : policy.largest_target(all);
    Bounds here{.weight = largest_sum(children, target, part(&Bounds::weight)),
                .clients = largest_sum(children, target, part(&Bounds::clients)),
                .terms = largest_sum(children, target, part(&Bounds::terms))};
    if (here.weight > kLargestUnits) {
      return configuration_error(
          fmt::format("the clients of one round at {} together weigh more than 2^38", tree_.name(node)));
    }
    (*weights)[n] = Weight::from_units(here.weight);
    if (divides(node)) {
      scales_.emplace(
          n, scale_maker(configuration_.algorithm.precision)((*weights)[n], here.terms, policy.discount_bits()));
      here.terms = 1;
    }
    inner.emplace(n, here);
  }
  clients_per_round_ = inner.at(tree_.root().value).clients;
  weight_bounds_ = std::move(weights);
  std::pair<NodeId, Weight> last{tree_.root(), Weight()};  // siblings that weigh the same are resolved alike
  for (std::uint32_t n = 1; n < tree_.size(); ++n) {
    const NodeId node{n};
    const std::pair here(tree_.parent(node), weight_bound(node));
    if (here == last || !sends_vector(node)) { continue; }  // the sums of others pass through as they are
    coarsest_resolution_ = std::max(coarsest_resolution_, scale(here.first).resolution(here.second));
    last = here;
  }
  return {};
}

// After bound_weights(): a method's state is a mean over all registered clients.
Status Plan::choose_method(const TrainerFactory& factory) {
  const AlgorithmConfig& algorithm = configuration_.algorithm;
  const std::string name = method_name(algorithm.kind);
  if (name.empty()) { return {}; }
  std::uint64_t clients = 0;
  std::vector<std::uint64_t> below(tree_.size(), 0);  // what each node's clients weigh together
  for (std::uint32_t n = tree_.size(); n-- > 0;) {
    const NodeId node{n};
    if (tree_.is_client(node)) {
      ++clients;
      below[n] = (*weight_bounds_)[n].units();
    }
    if (node == tree_.root()) { continue; }
    std::uint64_t& above = below[tree_.parent(node).value];
    above = std::min(above + below[n], kLargestUnits);
  }
  const std::uint64_t units = below[tree_.root().value];
  // A sum may hold several increments of a client: of an aggregator's local rounds, or of what it merged while its
  // parent was away.
  constexpr std::uint64_t kMostRounds = std::uint64_t{1} << 24U;
  std::uint64_t rounds = 1;
  for (std::uint32_t tier = 1; tier < tree_.height(); ++tier) {
    const TierConfig& settings = configuration_.tier(tier);
    const bool merges = parts_[tier].continuous && settings.edge_model == TierConfig::EdgeModel::kOwn;
    rounds = std::min(kMostRounds, rounds * settings.local_rounds * (merges ? kMostDetachedRounds : 1));
  }
  const double all = std::min(Weight::from_units(units).value() * static_cast<double>(rounds), Weight::kLargest);
  TRIBUTARY_ASSIGN_OR_RETURN(const Weight bound, Weight::from(all));
  increments_.scale = ExactScale::of_increments(bound, clients * rounds);
  const OptimizerConfig& local = configuration_.trainer.optimizer;
  TRIBUTARY_ASSIGN_OR_RETURN(method_,
                             registry_->make_local_method(name, {.momentum = local.momentum,
                                                                 .nesterov = local.nesterov,
                                                                 .mu = algorithm.mu,
                                                                 .alpha = algorithm.alpha,
                                                                 .q = algorithm.fairness,
                                                                 .clients = clients,
                                                                 .grid_bits = increments_.scale.fraction_bits}));
  increments_.names = method_->increments();
  if (method_->keeps_state()) {
    auto registered = std::make_shared<std::vector<Weight>>(tree_.size());
    std::ranges::transform(below, registered->begin(), &Weight::from_units);
    registered_ = std::move(registered);
  }
  if (!method_->keeps_state() || factory.honours_drift()) { return {}; }
  return configuration_error(fmt::format(
      "algorithm.kind {} needs a trainer that adds to its gradients what the method says (TrainTask::drift); this one "
      "does not",
      name));
}

// What clients hold out, by node: who is asked to measure the model, and on how many samples at most.
Status Plan::choose_evaluation(const TrainerFactory& factory) {
  const EvaluationConfig::Clients& wanted = configuration_.evaluation.clients;
  auto samples = std::make_shared<std::vector<std::uint64_t>>();
  for (std::uint32_t client = 0; client < tree_.clients(); ++client) {
    const std::uint64_t held_out = factory.holdout_samples(ClientIndex{client});
    if (held_out == 0) { continue; }
    samples->resize(tree_.size(), 0);
    for (NodeId node = tree_.client_node(ClientIndex{client});; node = tree_.parent(node)) {
      std::uint64_t& here = (*samples)[node.value];
      here = std::min(here + std::min(held_out, kLargestUnits), kLargestUnits);
      if (node == tree_.root()) { break; }
    }
  }
  const std::uint64_t all = samples->empty() ? 0 : samples->at(tree_.root().value);
  if (all == 0) {
    if (wanted == EvaluationConfig::Clients()) { return {}; }
    return configuration_error(
        wanted.holdout > 0.0
            ? fmt::format("evaluation.clients.holdout is {:g}, and that is less than half a sample of each client: "
                          "raise it, or give clients more samples",
                          wanted.holdout)
            : "evaluation.clients has no effect: the trainer says of no client that it holds samples out "
              "(TrainerFactory::holdout_samples())");
  }
  if (static_cast<double>(all) > Weight::kLargest) {
    return configuration_error(fmt::format("clients hold {} samples out, and 2^38 at most can be counted", all));
  }
  const auto continuous = std::ranges::find_if(parts_, &TierParts::continuous);
  if (continuous != parts_.end()) {
    const auto tier = static_cast<std::uint32_t>(continuous - parts_.begin());
    evaluation_obstacle_ = fmt::format(
        "evaluation.clients needs policy synchronous in all tiers, and tiers.{}.policy is {}: there clients always "
        "work, and none has time to measure",
        tier, configuration_.tier(tier).policy);
    // What a library holds out nobody has asked for.
    return wanted.holdout > 0.0 ? configuration_error(evaluation_obstacle_) : ok_status();
  }
  holdout_samples_ = std::move(samples);
  return {};
}

const ExactScale& Plan::scale(NodeId node) const {
  while (!divides(node)) { node = tree_.parent(node); }
  return scales_.at(node.value);
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
  settings.scale = scale(node);
  if (divides(node) && every_child_sends_one_term(node) && !parts_[distance].continuous) {
    settings.scale_of_round = scale_maker(configuration_.algorithm.precision);
  }
  settings.weight_bounds = weight_bounds_;
  settings.way = ways_time(tree_.attributes(node).link, bytes_of_a_way());
  settings.liveness = liveness_;
  settings.retries = tier.retries;
  settings.local_rounds = root ? 1 : tier.local_rounds;
  settings.own_model = divides(node);
  settings.adoption = static_cast<Adoption>(tier.adoption);
  for (const NodeId child : settings.children) {
    settings.tell_decided = settings.tell_decided || !tree_.is_client(child);
  }
  settings.evaluate_clients = configuration_.evaluation.at_clients;
  settings.evaluation = {.every = configuration_.evaluation.clients.every,
                         .fraction = configuration_.evaluation.clients.fraction,
                         .deadline = tier.deadline_s > 0.0
                                         ? std::max(std::chrono::nanoseconds{1}, to_nanoseconds(tier.deadline_s))
                                         : std::chrono::nanoseconds{0},
                         .samples = holdout_samples_};
  settings.rounds = configuration_.rounds;
  // create() made one of each, so these names are known.
  settings.policy = registry_->make_policy(tier.policy, policy_settings(tier)).value();
  settings.rule = registry_->make_rule(tier.rule).value();
  settings.down = parts_[distance].down;
  if (!root) {
    settings.up = parts_[distance - 1].up;
    settings.passes_on = tier.codec_down == configuration_.tier(distance - 1).codec_down;
  }
  const ServerOptimizerConfig& optimizer = configuration_.server_optimizer;
  settings.optimizer = root ? registry_->make_server_optimizer(optimizer.kind, optimizer_settings(optimizer)).value()
                            : registry_->make_server_optimizer(std::string(kPlainStep), {}).value();
  if (root || (method_ && method_->parents_own_states())) { settings.method = method_; }
  settings.registered = registered_;
  settings.increments = increments_;
  settings.keeps_states = method_ && method_->keeps_state();
  settings.tree = &tree_;
  return settings;
}

// As many bytes of a model as take as long: a method's vectors come beside the model, and their sums, which are finer,
// may take twice its bytes.
std::size_t Plan::bytes_of_a_way() const {
  return payload_bytes() + increments_.names.size() * payload_bytes() * 4 / 3;
}

LivenessSettings Plan::client_liveness(NodeId client) const {
  const std::size_t bytes = bytes_of_a_way();
  std::chrono::nanoseconds way = ways_time(tree_.attributes(client).link, bytes);
  // What became of its increments it hears from the root, if that owns all states.
  const bool asks = method_ && method_->keeps_state() && !method_->parents_own_states();
  for (NodeId above = tree_.parent(client); asks && above != tree_.root(); above = tree_.parent(above)) {
    way = later_by(way, ways_time(tree_.attributes(above).link, bytes));
  }
  return liveness_.over(way);
}

TrainTask Plan::train_task(NodeId node, TrainRequest request) const {
  TrainTask task;
  task.client = tree_.client_index(node);
  task.round = Round{request.key.number};
  task.global_round = request.global_round;
  task.base = std::move(request.base);
  task.seed = task_seed(task.client, task.round);
  task.evaluate_first = request.evaluate_first;
  return task;
}

std::uint64_t Plan::task_seed(ClientIndex client, Round round) const noexcept {
  return stream_seed(configuration_.seed, Purpose::kBatches, client.value, round.value);
}

}  // namespace tributary
