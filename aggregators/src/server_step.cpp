// SPDX-License-Identifier: Apache-2.0
#include "tributary/aggregators/server_step.hpp"

namespace tributary {

void ServerStep::step(std::size_t /*offset*/, std::span<const double> mean, std::span<float> model) {
  for (std::size_t i = 0; i < model.size(); ++i) {
    // -0 + 0 is +0: without a change not even that bit may move.
    if (mean[i] != 0.0) { model[i] = static_cast<float>(static_cast<double>(model[i]) + rate_ * mean[i]); }
  }
}

}  // namespace tributary
