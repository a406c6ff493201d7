// SPDX-License-Identifier: Apache-2.0
// One replica of a model on one device: what the training loop needs of it, without libtorch in sight.
//
// Use:     load() a model; then any number of: fill features() and labels(), accumulate() or score().
// Threads: one thread at a time.
// Errors:  exceptions (those of libtorch); the trainer turns them into a Status.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "optimizer.hpp"
#include "tributary/base/status.hpp"
#include "tributary/config/configuration.hpp"
#include "tributary/nodes/parameter_spec.hpp"

namespace tributary::internal {

struct Scores {
  double loss_sum = 0.0;
  std::uint64_t correct = 0;
};

class Network {
 public:
  virtual ~Network() = default;

  virtual void load(std::span<const float> model) = 0;
  [[nodiscard]] virtual std::vector<float> store() const = 0;

  // Where to put the next batch: `samples` rows. Valid until the next call.
  virtual std::span<float> features(std::size_t samples) = 0;
  virtual std::span<std::int64_t> labels(std::size_t samples) = 0;

  virtual void zero_gradients() = 0;
  // Adds the gradient of (sum of the losses of the first `samples` rows) / divisor. `seed` is for models that draw
  // random numbers.
  virtual void accumulate(std::size_t samples, double divisor, std::uint64_t seed) = 0;
  // The sum of the losses of all rows accumulated since the last call.
  virtual double take_loss() = 0;

  // The model as it is used, not as it is trained: no gradients and, unless it ignores its mode, no random numbers and
  // no change of running statistics. `seed` is for models that do ignore it.
  virtual Scores score(std::size_t samples, std::uint64_t seed) = 0;

  // Steps this network's values by its gradients; must not outlive it.
  [[nodiscard]] virtual std::unique_ptr<Optimizer> make_optimizer(const OptimizerConfig& config) = 0;
};

// A model before any replica of it exists.
struct NetworkPlan {
  ParameterSpec spec;
  std::vector<float> initial;  // of a TorchScript file; empty: from the seed
  std::function<std::unique_ptr<Network>()> create;
  // In training, a sample's output depends on the others of its batch (batch normalisation): a full batch must come at
  // once.
  bool mixes_samples = false;
  bool trains_on_one_sample = true;
  std::vector<std::string> warnings;  // what a user should know before the first round, one sentence or two each
};

struct NetworkRequest {
  ModelConfig model;
  std::string torchscript;  // resolved path, or empty
  std::vector<std::int64_t> sample_shape;
  std::int64_t classes = 0;
  std::string device;  // cpu | cuda | auto
  // Training threads of the process, each with a replica of its own.
  std::uint32_t threads = 1;
  // Some samples, end to end, to try a TorchScript file on; at least one.
  std::vector<float> examples;
};

Result<NetworkPlan> plan_network(const NetworkRequest& request);

// Implemented with libtorch, in the library that libtorch_part() loads; here only for that one.
Result<NetworkPlan> plan_torch_network(const NetworkRequest& request);
// True if libtorch sees a CUDA device.
[[nodiscard]] bool cuda_available();
void use_one_libtorch_thread();
// See torch_info().
[[nodiscard]] std::string libtorch_info(bool measure);

// One linear layer in plain loops: for a model this small libtorch's own bookkeeping costs several times the
// arithmetic.
Result<NetworkPlan> plan_logistic_network(std::int64_t inputs, std::int64_t classes);

// What libtorch would start from (weights and biases uniform in +-1/sqrt(inputs of a unit), scales 1, shifts 0), from
// our own stream. `weight` and `bias` of one layer follow each other.
[[nodiscard]] std::vector<float> initial_values(const ParameterSpec& spec, std::uint64_t seed);

// One thread for libtorch, OpenMP and OpenBLAS, if they are loaded: the process once, and the calling thread.
void use_one_thread();

}  // namespace tributary::internal
