// SPDX-License-Identifier: Apache-2.0
#include "configuration_effects.hpp"

namespace tributary::internal::config {

bool work_counts(const Configuration& configuration) {
  return configuration.trainer.kind != "echo" || configuration.simulation.compute_seconds_per_sample > 0.0;
}

bool holds_samples_out(const Configuration& configuration) {
  const DataConfig& data = configuration.data;
  using Source = DataConfig::Source;
  if (configuration.trainer.kind != "torch") { return true; }
  if (data.source == Source::kIdx) { return !data.test_images.empty(); }
  return (data.source != Source::kCsv && data.source != Source::kSafetensors) || !data.test.empty();
}

bool measures(const Configuration& configuration) {
  const EvaluationConfig& evaluation = configuration.evaluation;
  return evaluation.at_clients || (evaluation.every != 0 && holds_samples_out(configuration)) ||
         clients_hold_samples_out(configuration);
}

bool clients_hold_samples_out(const Configuration& configuration) {
  return configuration.trainer.kind == "library" || configuration.evaluation.clients.holdout > 0.0;
}

}  // namespace tributary::internal::config
