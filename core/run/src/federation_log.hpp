// SPDX-License-Identifier: Apache-2.0
// What a federation logs: the lines of log.hpp, about its nodes and rounds.
//
// Threads: functions for any thread.
#pragma once

#include <string>

#include "tributary/base/log.hpp"
#include "tributary/nodes/node.hpp"
#include "tributary/nodes/tree.hpp"

namespace tributary::internal {

// `round`: the root's.
void log_event(const Tree& tree, const NodeEvent& event, Round round);
// A round of the root, at its end.
void log_round(const Tree& tree, const RoundReport& report);
// About the run as a whole: its root.
void log_run(const Tree& tree, LogLevel level, Round round, const std::string& text);

}  // namespace tributary::internal
