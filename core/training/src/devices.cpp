// SPDX-License-Identifier: Apache-2.0
#include "tributary/training/devices.hpp"

#include <cmath>

#include "tributary/base/duration.hpp"
#include "tributary/base/random.hpp"

namespace tributary {

using std::chrono::nanoseconds;

nanoseconds until_available(const Configuration& configuration, ClientIndex client, nanoseconds now) noexcept {
  const SimulationConfig::Devices& devices = configuration.simulation.devices;
  if (devices.available_share >= 1.0) { return nanoseconds{0}; }
  const double period = 86'400.0 / devices.available_times_a_day;
  const double begins = Rng(stream_seed(configuration.seed, Purpose::kAvailability, client.value)).uniform();
  const double periods = std::chrono::duration<double>(now).count() / period;
  // Since the window last opened, in periods.
  const double place = periods - begins - std::floor(periods - begins);
  if (place < devices.available_share) { return nanoseconds{0}; }
  return to_nanoseconds((1.0 - place) * period);
}

std::optional<double> leaves_after(const Configuration& configuration, ClientIndex client, Round round,
                                   std::uint32_t attempt) noexcept {
  const double drop_out = configuration.simulation.devices.drop_out;
  if (drop_out == 0.0) { return std::nullopt; }
  const std::uint64_t task = stream_seed(configuration.seed, Purpose::kDropOut, client.value, round.value, attempt);
  Rng rng(task);
  if (!rng.chance(drop_out)) { return std::nullopt; }
  return rng.uniform();
}

}  // namespace tributary
