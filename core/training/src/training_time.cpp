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

namespace {

nanoseconds time_for(const Configuration& configuration, double slowness, double samples) noexcept {
  const double per_sample = configuration.simulation.compute_seconds_per_sample;
  return per_sample == 0.0 ? nanoseconds{0} : to_nanoseconds(per_sample * slowness * samples);
}

}  // namespace

nanoseconds training_time(const Configuration& configuration, double slowness, std::uint64_t samples) noexcept {
  return time_for(configuration, slowness, samples_of_task(configuration, samples));
}

nanoseconds evaluation_time(const Configuration& configuration, double slowness, std::uint64_t samples) noexcept {
  return time_for(configuration, slowness, static_cast<double>(samples));
}

}  // namespace tributary
