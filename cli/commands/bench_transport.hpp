// SPDX-License-Identifier: Apache-2.0
// `tributary bench transport`: what drivers between processes cost, beside bare ones.
#pragma once

#include "commands/command.hpp"

namespace tributary::cli {

Action setup_bench_transport(CLI::App& app);

}  // namespace tributary::cli
