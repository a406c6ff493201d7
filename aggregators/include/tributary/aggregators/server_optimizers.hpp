// SPDX-License-Identifier: Apache-2.0
// The server optimizers of "Adaptive Federated Optimization" (arXiv 2003.00295). With D, the weighted mean change of
// the clients in one commit, all by value:
//
//   ServerSgd    w <- w + lr D                                              FedAvg and its kin; lr 1 takes D as it is
//   FedAvgM      m <- momentum m + D;                w <- w + lr m          arXiv 1909.06335
//   FedAdagrad   v <- v + D^2
//   FedAdam      v <- beta2 v + (1 - beta2) D^2
//   FedYogi      v <- v - (1 - beta2) D^2 sign(v - D^2)
//                these three: m <- beta1 m + (1 - beta1) D;   w <- w + lr m / (sqrt(v) + adaptivity)
//
// m starts at 0 and v at adaptivity^2, and neither is corrected for its start. Both are doubles: twice or four times a
// model's bytes. Running statistics of a model take no part in it.
// Threads: as ServerOptimizer.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tributary/nodes/server_optimizer.hpp"

namespace tributary {

class ServerSgd final : public ServerOptimizer {
 public:
  explicit ServerSgd(double rate) : rate_(rate) {}

  void step(std::size_t offset, std::span<const double> mean, std::span<float> model) override;

 private:
  double rate_;
};

class FedAvgM final : public ServerOptimizer {
 public:
  explicit FedAvgM(const ServerOptimizerSettings& settings) : settings_(settings) {}

  void begin(std::size_t parameters) override;
  void step(std::size_t offset, std::span<const double> mean, std::span<float> model) override;
  [[nodiscard]] Snapshot save() override;
  Status restore(const Snapshot& snapshot, std::size_t parameters) override;

 private:
  ServerOptimizerSettings settings_;
  std::shared_ptr<std::vector<double>> m_;
  bool saved_ = false;  // m_ is in a snapshot
};

class AdaptiveOptimizer final : public ServerOptimizer {
 public:
  enum class Kind : std::uint8_t { kAdagrad, kAdam, kYogi };
  AdaptiveOptimizer(Kind kind, const ServerOptimizerSettings& settings) : kind_(kind), settings_(settings) {}

  void begin(std::size_t parameters) override;
  void step(std::size_t offset, std::span<const double> mean, std::span<float> model) override;
  [[nodiscard]] Snapshot save() override;
  Status restore(const Snapshot& snapshot, std::size_t parameters) override;

 private:
  [[nodiscard]] double next_v(double v, double square) const noexcept;

  Kind kind_;
  ServerOptimizerSettings settings_;
  std::shared_ptr<std::vector<double>> m_;
  std::shared_ptr<std::vector<double>> v_;
  bool saved_ = false;  // both are in a snapshot
};

}  // namespace tributary
