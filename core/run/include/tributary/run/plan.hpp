// SPDX-License-Identifier: Apache-2.0
// A configuration that has been checked against its tree, its model and its data: everything a run needs, and nothing
// that can still be wrong. Drivers see it as an AgreedPlan.
//
// Threads: immutable; const calls may run together.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "tributary/config/configuration.hpp"
#include "tributary/nodes/agreed_plan.hpp"
#include "tributary/nodes/exact_accumulator.hpp"
#include "tributary/nodes/extensions.hpp"
#include "tributary/nodes/inner_node.hpp"
#include "tributary/nodes/trainer.hpp"
#include "tributary/nodes/tree.hpp"

namespace tributary {

class Plan final : public AgreedPlan {
 public:
  // Empty: only to be assigned to.
  Plan() = default;

  // kConfiguration: a tier that does not exist, an unknown policy, a client without samples, a weight or a total weight
  // outside the range of Weight.
  static Result<Plan> create(Configuration configuration, Tree tree, const TrainerFactory& factory,
                             const ExtensionRegistry& registry);

  [[nodiscard]] const Configuration& configuration() const noexcept { return configuration_; }
  [[nodiscard]] const Tree& tree() const noexcept override { return tree_; }
  [[nodiscard]] const ParameterSpec& spec() const noexcept override { return *spec_; }
  // The grid of the sums that come together at `node`, an inner node: that of the node where they are divided, which is
  // the root or an aggregator with local rounds.
  [[nodiscard]] const ExactScale& scale(NodeId node) const;
  [[nodiscard]] const ExactScale& scale() const { return scale(tree_.root()); }
  // Tasks outlive the commits of the nodes of this tier.
  [[nodiscard]] bool continuous(std::uint32_t tier) const { return parts_.at(tier).continuous; }
  // What one update of `node` weighs at most.
  [[nodiscard]] Weight weight_bound(NodeId node) const { return weight_bounds_->at(node.value); }
  // The coarsest step to which the change of any client, or of any aggregator with local rounds, is resolved in the
  // sums of its parent, if it weighs as much as was announced.
  [[nodiscard]] double coarsest_resolution() const noexcept { return coarsest_resolution_; }
  [[nodiscard]] LivenessSettings client_liveness(NodeId client) const override;
  // Largest number of clients that one root round counts.
  [[nodiscard]] std::uint64_t clients_per_round() const noexcept { return clients_per_round_; }
  // Children that one round of a node of this tier counts at most, and its local rounds per parent round.
  [[nodiscard]] const TierConfig& tier(std::uint32_t tier) const { return configuration_.tier(tier); }
  [[nodiscard]] bool every_answer_counts() const override { return every_answer_counts_; }
  [[nodiscard]] bool order_decides() const override;
  // Clients are asked to measure the model on samples that they hold out.
  [[nodiscard]] bool clients_evaluate() const noexcept { return holdout_samples_ != nullptr; }
  // Why not, where clients hold samples out; empty: they are asked, or hold none out.
  [[nodiscard]] const std::string& evaluation_obstacle() const noexcept { return evaluation_obstacle_; }
  // A checkpoint of another digest is not continued.
  [[nodiscard]] const Digest& digest() const noexcept override { return digest_; }
  [[nodiscard]] std::uint64_t seed() const noexcept override { return configuration_.seed; }

  [[nodiscard]] InnerNodeSettings inner_node(NodeId node, std::uint32_t incarnation) const override;
  [[nodiscard]] const LocalMethod* local_method() const noexcept override { return method_.get(); }
  // What the clients below a node weigh together, counted or not; zero where the method keeps no states.
  [[nodiscard]] Weight registered_weight(NodeId node) const {
    return registered_ ? registered_->at(node.value) : Weight();
  }
  [[nodiscard]] const Codec* codec_down(NodeId child) const override { return codec(child, &TierParts::down); }
  [[nodiscard]] const Codec* codec_up(NodeId child) const override { return codec(child, &TierParts::up); }
  // Between the nodes of `tier` and their children.
  [[nodiscard]] const Codec* model_codec(std::uint32_t tier) const { return parts_.at(tier).down.get(); }
  [[nodiscard]] const Codec* change_codec(std::uint32_t tier) const { return parts_.at(tier).up.get(); }
  // `child` sends a vector: a client its change, or an aggregator that of a model of its own. Others send sums.
  [[nodiscard]] bool sends_vector(NodeId child) const { return tree_.is_client(child) || divides(child); }
  [[nodiscard]] TrainTask train_task(NodeId node, TrainRequest request) const override;
  // The seed of one client's work in one round of its parent.
  [[nodiscard]] std::uint64_t task_seed(ClientIndex client, Round round) const noexcept;

 private:
  // What is the same for all nodes of a tier.
  struct TierParts {
    bool continuous = false;  // its policy is
    bool mergeable = true;    // its rule is
    std::shared_ptr<const Codec> down;
    std::shared_ptr<const Codec> up;
  };

  [[nodiscard]] bool divides(NodeId node) const;
  [[nodiscard]] const Codec* codec(NodeId child, std::shared_ptr<const Codec> TierParts::* direction) const {
    return (parts_.at(tree_.tier(child) - 1).*direction).get();
  }
  [[nodiscard]] Status check_codecs() const;
  // A client's change or the mean of an aggregator's rounds, and no sums.
  [[nodiscard]] bool every_child_sends_one_term(NodeId node) const;
  [[nodiscard]] std::size_t bytes_of_a_way() const;
  Status choose_method(const TrainerFactory& factory);
  Status choose_evaluation(const TrainerFactory& factory);
  Status bound_weights(const TrainerFactory& factory, std::span<const std::unique_ptr<TierPolicy>> policies);

  Configuration configuration_;
  Tree tree_;
  std::shared_ptr<const ParameterSpec> spec_;  // shared: nodes point to it, and a Plan can be moved
  std::shared_ptr<const ExtensionRegistry> registry_;
  std::shared_ptr<const LocalMethod> method_;  // null: none
  IncrementSegments increments_;
  std::unordered_map<std::uint32_t, ExactScale> scales_;      // by the node that divides
  std::shared_ptr<const std::vector<Weight>> weight_bounds_;  // by node; shared as spec_ is
  std::shared_ptr<const std::vector<Weight>> registered_;     // likewise; null where the method keeps no states
  std::shared_ptr<const std::vector<std::uint64_t>> holdout_samples_;  // likewise; null where nobody is asked
  std::string evaluation_obstacle_;
  double coarsest_resolution_ = 0.0;
  bool every_answer_counts_ = true;
  std::vector<TierParts> parts_;  // by tier
  LivenessSettings liveness_;
  std::uint64_t clients_per_round_ = 0;
  Digest digest_;
};

}  // namespace tributary
