// SPDX-License-Identifier: Apache-2.0
// Between models and the sums that travel: what a client sends for a trained model, and how a mean changes a model.
//
// Everything travels as differences. What is summed of a running variance is the difference of second moments about the
// base's mean, (variance + (mean - base mean)^2) - base variance, so that the merged variance is that of all clients'
// samples together and does not drown in rounding beside a large mean.
// Threads: pure functions.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tributary/nodes/aggregation_rule.hpp"
#include "tributary/nodes/client_state.hpp"
#include "tributary/nodes/exact_accumulator.hpp"
#include "tributary/nodes/server_optimizer.hpp"
#include "tributary/nodes/trainer.hpp"

namespace tributary {

// One client's work, ready to be sent.
struct ClientUpdate {
  Payload delta;  // without elements: of an evaluation, whose weight is its samples
  Weight weight;
  std::uint64_t samples = 0;
  Metrics metrics;
  std::vector<Segment> increments;  // of a method, beside the change of the model
  ClientState::Increment state;     // by which the client's state grows once this is counted; null: none
};

// kInvalidArgument: a model of another size, a weight outside its range, too many metrics; kBadData: a model with
// values that are not finite.
Result<ClientUpdate> make_client_update(const ParameterSpec& spec, const ModelValues& base, TrainOutcome outcome);

// kBadData: more samples than can be counted, or none; kInvalidArgument: too many metrics.
Result<ClientUpdate> make_evaluation_update(Evaluation evaluation);

// after - before.
[[nodiscard]] std::vector<float> model_difference(std::span<const float> before, std::span<const float> after);

// Which sums of a model's changes are sums of second moments: those of running variances.
[[nodiscard]] std::vector<SecondMoments> second_moments(const ParameterSpec& spec);

// The update that a client sends for its work.
[[nodiscard]] Update make_update(const ParameterSpec& spec, ClientUpdate contribution);

// Moves `model` by `share` of the mean of what `rule` holds: trainable tensors, `scale` times that, through
// `optimizer`, statistics directly.
void apply_mean(const ParameterSpec& spec, const AggregationRule& rule, ServerOptimizer& optimizer, double share,
                double scale, std::span<float> model);

// Moves `model` by `factor`, in (0, 1], towards the model that one client has made: `base` and its change, of which
// `rule` holds `factor` times. Running statistics become those of the mixture of both.
void apply_mixing(const ParameterSpec& spec, const AggregationRule& rule, std::span<const float> base, double factor,
                  std::span<float> model);

}  // namespace tributary
