// SPDX-License-Identifier: Apache-2.0
// Whether keys have an effect where no condition of the schema on one other key can say it.
//
// Threads: functions of their arguments only.
#pragma once

#include "tributary/config/configuration.hpp"

namespace tributary::internal::config {

// A task's epochs or steps are trained, or at least take virtual time.
[[nodiscard]] bool work_counts(const Configuration& configuration);

// There are samples that no client trains on, or a library that may have such.
[[nodiscard]] bool holds_samples_out(const Configuration& configuration);

// Clients hold samples out to evaluate the model on, or a library may say that they do.
[[nodiscard]] bool clients_hold_samples_out(const Configuration& configuration);

// The root or the clients measure the model.
[[nodiscard]] bool measures(const Configuration& configuration);

}  // namespace tributary::internal::config
