// SPDX-License-Identifier: Apache-2.0
#include "tributary/aggregators/gradient_steps.hpp"

#include <fmt/format.h>

#include <limits>

namespace tributary {

// A gradient counts once when it is taken, momentum times as much in the next step, and so on.
double accumulated_steps(std::uint64_t steps, double momentum, bool nesterov) {
  if (momentum == 0.0) { return static_cast<double>(steps); }
  double velocity = 0.0;
  double sum = 0.0;
  for (std::uint64_t step = 0; step < steps; ++step) {
    velocity = momentum * velocity + 1.0;
    sum += nesterov ? 1.0 + momentum * velocity : velocity;
  }
  return sum;
}

double mean_of_all(const AggregationRule& rule, const std::string& metric) {
  const auto found = rule.scalars().find(metric);
  const bool complete =
      found != rule.scalars().end() && found->second.left_out() == 0 && found->second.weight() == rule.weight();
  return complete ? found->second.mean() : std::numeric_limits<double>::quiet_NaN();
}

Status check_steps(const char* who, std::uint64_t steps) {
  constexpr std::uint64_t kMostSteps = std::uint64_t{1} << 30U;
  if (steps != 0 && steps <= kMostSteps) { return {}; }
  return bad_data(fmt::format(
      "{} divides a change by the steps that made it, and the trainer tells none: it must report `steps`", who));
}

}  // namespace tributary
