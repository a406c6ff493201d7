// SPDX-License-Identifier: Apache-2.0
#include "tributary/training/training_time.hpp"

#include <algorithm>
#include <cmath>

#include "tributary/base/duration.hpp"
#include "tributary/base/random.hpp"

namespace tributary {

using std::chrono::nanoseconds;

double samples_of_task(const Configuration& configuration, std::uint64_t samples) noexcept {
  const TrainerConfig& trainer = configuration.trainer;
  const auto all = static_cast<double>(samples);
  // One step over everything.
  if (configuration.algorithm.kind == AlgorithmConfig::Kind::kFedSgd) { return all; }
  if (trainer.steps == 0) { return all * trainer.epochs; }
  if (samples == 0) { return 0.0; }
  // A client with little data goes over it again; the last batch of a pass holds what is left.
  const std::uint64_t batch = std::max<std::uint64_t>(1, trainer.batch_size);
  const std::uint64_t steps_of_pass = (samples - 1) / batch + 1;
  const std::uint64_t passes = trainer.steps / steps_of_pass;
  const std::uint64_t further_steps = trainer.steps % steps_of_pass;
  return static_cast<double>(passes) * all + static_cast<double>(further_steps) * static_cast<double>(batch);
}

double slowness(const Configuration& configuration, ClientIndex client) noexcept {
  using Devices = SimulationConfig::Devices;
  // The longest of a heavy tail would be the whole run.
  constexpr double kSlowestOfAll = 1000.0;
  const Devices& devices = configuration.simulation.devices;
  if (devices.slowness == Devices::Slowness::kEqual) { return 1.0; }
  Rng rng(stream_seed(configuration.seed, Purpose::kDevice, client.value));
  switch (devices.slowness) {
    case Devices::Slowness::kEqual:
      break;
    case Devices::Slowness::kUniform:
      return 1.0 + (devices.slowest - 1.0) * rng.uniform();
    case Devices::Slowness::kLogNormal:
      return std::exp(devices.sigma * rng.normal());
    case Devices::Slowness::kPareto:
      return std::min(std::pow(1.0 - rng.uniform(), -1.0 / devices.alpha), kSlowestOfAll);
  }
  return 1.0;
}

namespace {

nanoseconds time_for(const Configuration& configuration, ClientIndex client, double samples) noexcept {
  const double per_sample = configuration.simulation.compute_seconds_per_sample;
  return per_sample == 0.0 ? nanoseconds{0} : to_nanoseconds(per_sample * slowness(configuration, client) * samples);
}

}  // namespace

nanoseconds training_time(const Configuration& configuration, ClientIndex client, std::uint64_t samples) noexcept {
  return time_for(configuration, client, samples_of_task(configuration, samples));
}

nanoseconds evaluation_time(const Configuration& configuration, ClientIndex client, std::uint64_t samples) noexcept {
  return time_for(configuration, client, static_cast<double>(samples));
}

}  // namespace tributary
