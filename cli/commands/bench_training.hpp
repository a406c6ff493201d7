// SPDX-License-Identifier: Apache-2.0
// `tributary bench training`: how busy the training threads of a round are, beside a bare loop over the same tasks.
#pragma once

#include "commands/command.hpp"

namespace tributary::cli {

Action setup_bench_training(CLI::App& app);

}  // namespace tributary::cli
