// SPDX-License-Identifier: Apache-2.0
// Returns what it was given: for measuring everything but training.
//
// Model:  one tensor "echo.weight" of model.parameters values, uniform in [-1, 1) by seed.
// Result: TrainTask::base itself, weight 1. evaluate() is kUnsupported.
#pragma once

#include <memory>

#include "tributary/training/trainer_registry.hpp"

namespace tributary {

// kConfiguration: model.parameters is 0 or too large.
Result<std::unique_ptr<TrainerFactory>> make_echo_trainer_factory(const TrainerContext& context);

}  // namespace tributary
