// SPDX-License-Identifier: Apache-2.0
// The server optimizer of FedAvg and its kin: model <- model + rate * mean change. Rate 1 takes the mean as it is.
//
// Threads: as ServerOptimizer.
#pragma once

#include "tributary/nodes/server_optimizer.hpp"

namespace tributary {

class ServerStep final : public ServerOptimizer {
 public:
  explicit ServerStep(double rate) : rate_(rate) {}

  void step(std::size_t offset, std::span<const double> mean, std::span<float> model) override;

 private:
  double rate_;
};

}  // namespace tributary
