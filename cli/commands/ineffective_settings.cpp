// SPDX-License-Identifier: Apache-2.0
#include "commands/ineffective_settings.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <set>
#include <string>

#include "tributary/aggregators/synchronous.hpp"
#include "tributary/run/policy_settings.hpp"

namespace tributary::cli {
namespace {

bool has_links(const Tree& tree) {
  for (std::uint32_t n = 0; n < tree.size(); ++n) {
    if (tree.attributes(NodeId{n}).link != Link{}) { return true; }
  }
  return false;
}

// The first tier with a deadline.
std::optional<std::uint32_t> tier_with_deadline(const Configuration& configuration, const Tree& tree) {
  for (std::uint32_t tier = 0; tier < tree.height(); ++tier) {
    const TierConfig& config = configuration.tier(tier);
    if (config.policy != "asynchronous" && config.deadline_s > 0.0) { return tier; }
  }
  return std::nullopt;
}

// On the virtual clock only what is modelled takes time.
std::string about_deadlines(const Configuration& configuration, const Tree& tree) {
  const std::optional<std::uint32_t> tier = tier_with_deadline(configuration, tree);
  const SimulationConfig& simulation = configuration.simulation;
  if (!tier || simulation.clock == SimulationConfig::Clock::kReal) { return {}; }
  if (configuration.trainer.kind == "command") {
    return fmt::format(
        "tiers.{}.deadline_s does not bound how long a program runs, as simulation.clock is virtual: one that hangs is "
        "ended by trainer.timeout_s, after {} s; with simulation.clock: real the deadline counts real seconds",
        *tier, configuration.trainer.timeout_s);
  }
  const SimulationConfig::Faults& faults = simulation.faults;
  const bool faulty = faults.drop > 0.0 || faults.delay > 0.0 || faults.kill > 0.0;
  if (faulty || simulation.compute_seconds_per_sample > 0.0 || has_links(tree)) { return {}; }
  return fmt::format(
      "tiers.{}.deadline_s has no effect: on the virtual clock nothing takes time here; give links a bandwidth or a "
      "latency, set simulation.compute_seconds_per_sample, or set simulation.clock: real",
      *tier);
}

// A commit of a single update divides by what that update weighs.
std::string about_weights(const Configuration& configuration, const Tree& tree) {
  const bool one_by_one = configuration.tier(0).policy == "asynchronous" && tree.height() == 1 &&
                          configuration.tier(0).rate_correction == 1.0;
  if (!one_by_one || configuration.algorithm.weighting == AlgorithmConfig().weighting) { return {}; }
  return "algorithm.weighting has no effect: an asynchronous root commits each update by itself, and divides by its "
         "weight";
}

std::string about_edge_models(const Configuration& configuration, const Tree& tree) {
  if (tree.height() > 1 || configuration.default_tier.edge_model == TierConfig::EdgeModel::kOwn) { return {}; }
  return "tiers.default.edge_model has no effect: in this tree there are no aggregators";
}

// An optimizer below which single updates are commits.
std::string about_optimizers(const Configuration& configuration) {
  const std::string& kind = configuration.server_optimizer.kind;
  if (configuration.tier(0).policy != "asynchronous" || kind == ServerOptimizerConfig().kind) { return {}; }
  return fmt::format(
      "server_optimizer.kind {} steps with every single update, as the root is asynchronous: its memory is one of "
      "updates, and a round's worth of them counts that many times; with policy buffered it steps once a buffer",
      kind);
}

// Of the nodes of a tier that commit.
std::set<std::uint32_t> child_counts(const Tree& tree, std::uint32_t tier) {
  std::set<std::uint32_t> counts;
  for (std::uint32_t n = 0; n < tree.size(); ++n) {
    if (!tree.is_client(NodeId{n}) && tree.tier(NodeId{n}) == tier) {
      counts.insert(static_cast<std::uint32_t>(tree.children(NodeId{n}).size()));
    }
  }
  return counts;
}

// Shares of whole children round: of few children a share may be all of them.
void add_about_cohorts(const TierConfig& config, std::uint32_t tier, const std::set<std::uint32_t>& counts,
                       std::vector<std::string>& sentences) {
  if (config.over_selection <= 1.0 && config.quorum >= 1.0) { return; }
  const SynchronousPolicy policy(policy_settings(config));
  bool asks_more = false;
  bool waits_for_fewer = false;
  for (const std::uint32_t children : counts) {
    const Cohort cohort = policy.choose(children, 0);
    asks_more = asks_more || cohort.members.size() > cohort.target;
    waits_for_fewer = waits_for_fewer || cohort.quorum < cohort.target;
  }
  if (config.over_selection > 1.0 && !asks_more) {
    sentences.push_back(
        fmt::format("tiers.{}.over_selection {} has no effect: no node there has children beyond its cohort to ask",
                    tier, config.over_selection));
  }
  if (config.quorum < 1.0 && !waits_for_fewer) {
    sentences.push_back(
        fmt::format("tiers.{}.quorum {} has no effect: rounded up to whole children it is every "
                    "child that is asked",
                    tier, config.quorum));
  }
}

double rate_of(const OptimizerConfig& optimizer, std::uint64_t round) {
  using Schedule = OptimizerConfig::Schedule;
  const std::uint64_t between =
      optimizer.schedule == Schedule::kStep ? std::max<std::uint64_t>(optimizer.step_rounds, 1) : 1;
  const std::uint64_t factors = (round - 1) / between;
  return optimizer.lr * std::pow(optimizer.gamma, static_cast<double>(factors));
}

// The first round whose learning rate float32 holds as 0; the last is such a round, the first is not.
std::uint64_t first_round_at_rest(const OptimizerConfig& optimizer, std::uint64_t rounds) {
  std::uint64_t moving = 1;
  std::uint64_t resting = rounds;
  while (resting - moving > 1) {
    const std::uint64_t middle = moving + (resting - moving) / 2;
    (rate_of(optimizer, middle) < std::numeric_limits<float>::min() ? resting : moving) = middle;
  }
  return resting;
}

std::string about_schedule(const Configuration& configuration) {
  const OptimizerConfig& optimizer = configuration.trainer.optimizer;
  using Schedule = OptimizerConfig::Schedule;
  static constexpr std::string_view kSchedule = "trainer.optimizer.schedule";
  const std::uint64_t rounds = configuration.rounds;
  if (optimizer.schedule == Schedule::kConstant) { return {}; }
  const bool cosine = optimizer.schedule == Schedule::kCosine;
  if (rounds == 1 || (cosine ? optimizer.final_lr == optimizer.lr : optimizer.gamma == 1.0)) {
    return fmt::format("{} has no effect: the learning rate is {} in every round, as {}", kSchedule, optimizer.lr,
                       rounds == 1 ? "there is only one"
                       : cosine    ? "final_lr is the same"
                                   : "gamma is 1");
  }
  if (optimizer.schedule == Schedule::kStep && optimizer.step_rounds >= rounds) {
    return fmt::format(
        "{}.step_rounds {} has no effect: the run ends after {} rounds, and the learning rate is {} in "
        "all of them",
        kSchedule, optimizer.step_rounds, rounds, optimizer.lr);
  }
  if (cosine || rate_of(optimizer, rounds) >= std::numeric_limits<float>::min()) { return {}; }
  return fmt::format("rounds {} to {} train nothing: by {}.gamma {} the learning rate is 0 there in float32",
                     first_round_at_rest(optimizer, rounds), rounds, kSchedule, optimizer.gamma);
}

// Control variates of clients that all work at once are old by the time they are used.
std::string about_variates(const Configuration& configuration, const Tree& tree) {
  constexpr std::uint32_t kMostAtWork = 4;  // times the updates of a commit
  if (configuration.algorithm.kind != AlgorithmConfig::Kind::kScaffold) { return {}; }
  for (std::uint32_t tier = 0; tier < tree.height(); ++tier) {
    const TierConfig& config = configuration.tier(tier);
    if (config.policy != "asynchronous" && config.policy != "buffered") { continue; }
    const std::uint32_t target = config.policy == "buffered" ? config.buffer : 1;
    const std::set<std::uint32_t> counts = child_counts(tree, tier);
    const std::uint32_t most = counts.empty() ? 0 : *counts.rbegin();
    const std::uint32_t working = std::min(most, config.concurrency.value_or(most));
    if (working <= kMostAtWork * target) { continue; }
    return fmt::format(
        "tiers.{}: with algorithm.kind scaffold {} children work at a time and {} make a commit, so that control "
        "variates "
        "are old when they are used: the model may swing instead of settling. Lower concurrency or the learning rate, "
        "or use a larger buffer",
        tier, working, target);
  }
  return {};
}

}  // namespace

std::vector<std::string> ineffective_settings(const Configuration& configuration, const Tree& tree, bool in_job) {
  std::vector<std::string> sentences;
  if (in_job) {
    if (configuration.simulation != SimulationConfig()) {
      sentences.emplace_back("the section `simulation` of the configuration has no effect under mpirun");
    }
  } else {
    if (configuration.mpi != MpiConfig()) {
      sentences.emplace_back("the section `mpi` of the configuration has no effect without mpirun");
    }
    if (std::string text = about_deadlines(configuration, tree); !text.empty()) {
      sentences.push_back(std::move(text));
    }
  }
  if (std::string text = about_schedule(configuration); !text.empty()) { sentences.push_back(std::move(text)); }
  for (std::string text : {about_weights(configuration, tree), about_edge_models(configuration, tree),
                           about_optimizers(configuration), about_variates(configuration, tree)}) {
    if (!text.empty()) { sentences.push_back(std::move(text)); }
  }
  if (tree.height() == 1 && configuration.default_tier.local_rounds != 1) {
    sentences.push_back(
        fmt::format("tiers.default.local_rounds {} has no effect: there is no node between the root and its clients",
                    configuration.default_tier.local_rounds));
  }
  for (std::uint32_t tier = 0; tier < tree.height(); ++tier) {
    const TierConfig& config = configuration.tier(tier);
    if (config.policy != "synchronous") { continue; }
    const std::set<std::uint32_t> counts = child_counts(tree, tier);
    const std::uint32_t most = counts.empty() ? 0 : *counts.rbegin();
    if (config.cohort_count && *config.cohort_count > most) {
      sentences.push_back(
          fmt::format("tiers.{}.cohort.count {} has no effect: no node there has more than {} children, and all are "
                      "asked",
                      tier, *config.cohort_count, most));
    }
    add_about_cohorts(config, tier, counts, sentences);
  }
  return sentences;
}

}  // namespace tributary::cli
