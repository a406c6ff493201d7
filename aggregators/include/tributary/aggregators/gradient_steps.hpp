// SPDX-License-Identifier: Apache-2.0
// How often gradients count in the change that so many optimizer steps make: nu of FedNova (arXiv 2007.07481), by which
// a change is divided to get a mean gradient.
//
// Threads: pure functions.
#pragma once

#include <cstdint>
#include <string>

#include "tributary/base/status.hpp"
#include "tributary/nodes/local_method.hpp"

namespace tributary {

// Of SGD with momentum begun anew in each task: the change is -lr times the sum of all gradients, each times its count,
// and this is the sum of the counts. Their number where there is no momentum.
[[nodiscard]] double accumulated_steps(std::uint64_t steps, double momentum, bool nesterov);

// kBadData: the trainer tells no steps, or more than 2^30. `who` asks for them.
Status check_steps(const char* who, std::uint64_t steps);

// The mean of a metric that every client in the sums must have told. Not a number where one of them has not: of very
// many metrics only so many are carried. A model that is not finite then ends the run.
[[nodiscard]] double mean_of_all(const AggregationRule& rule, const std::string& metric);

// Calls change(i) for every value of a trainable tensor.
template <typename Change>
void for_each_trainable(const ParameterSpec& spec, const Change& change) {
  for (std::size_t t = 0; t < spec.tensors().size(); ++t) {
    if (spec.tensors()[t].kind != TensorKind::kTrainable) { continue; }
    const std::size_t end = spec.offset(t) + spec.tensors()[t].elements();
    for (std::size_t i = spec.offset(t); i < end; ++i) { change(i); }
  }
}

}  // namespace tributary
