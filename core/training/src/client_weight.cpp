// SPDX-License-Identifier: Apache-2.0
#include "client_weight.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace tributary::internal {

ClientWeight::ClientWeight(const Configuration& configuration)
    : weighting_(configuration.algorithm.weighting),
      cap_(configuration.algorithm.weight_cap),
      bound_(configuration.trainer.weight_bound) {}

double ClientWeight::bound(double announced) const noexcept {
  if (announced == 0.0) { return 0.0; }
  if (weighting_ == AlgorithmConfig::Weighting::kUniform) { return 1.0; }
  const double bound = bound_ ? std::min(*bound_, announced) : announced;
  return weighting_ == AlgorithmConfig::Weighting::kCapped ? std::min(bound, cap_) : bound;
}

Result<double> ClientWeight::weight(std::string_view what, double value, double bound) const {
  if (weighting_ == AlgorithmConfig::Weighting::kUniform) { return 1.0; }
  const double weight = weighting_ == AlgorithmConfig::Weighting::kCapped ? std::min(value, cap_) : value;
  if (!(weight <= bound)) {
    return configuration_error(
        fmt::format("it reports {} {}, but one client may weigh at most {}: set trainer.weight_bound to the "
                    "largest {} of one client, or algorithm.weighting: uniform",
                    what, value, bound, what == "samples" ? "number of samples" : "weight"));
  }
  return weight;
}

}  // namespace tributary::internal
