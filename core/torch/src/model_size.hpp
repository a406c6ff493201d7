// SPDX-License-Identifier: Apache-2.0
// How large a model is, known before any of it is made.
//
// Threads: functions for any thread.
#pragma once

#include "network.hpp"
#include "tributary/base/status.hpp"

namespace tributary::internal {

// Of the built-in model of that name for such samples; 0 where it does not suit them. A double, as the number that a
// configuration asks for may be any.
[[nodiscard]] double parameters_of_builtin(const NetworkRequest& request);

// kResourceExhausted: this machine cannot hold a run's copies of a model of so many parameters: the model, a sum of
// changes and, where training is on the CPU, each thread's values and gradients.
[[nodiscard]] Status check_model_fits(const NetworkRequest& request, double parameters);

}  // namespace tributary::internal
