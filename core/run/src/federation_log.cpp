// SPDX-License-Identifier: Apache-2.0
#include "federation_log.hpp"

#include <fmt/format.h>

namespace tributary::internal {
namespace {

// What costs a round an update is a warning; what the federation is made to live with is not.
LogLevel level_of(NodeEvent::Kind kind) {
  switch (kind) {
    case NodeEvent::Kind::kTaskFailed:
    case NodeEvent::Kind::kRefused:
    case NodeEvent::Kind::kLost:
    case NodeEvent::Kind::kAbandoned:
    case NodeEvent::Kind::kCutOff:
    case NodeEvent::Kind::kAnew:
      return LogLevel::kWarning;
    case NodeEvent::Kind::kReturned:
    case NodeEvent::Kind::kKilled:
      return LogLevel::kInfo;
    case NodeEvent::Kind::kLate:
    case NodeEvent::Kind::kDuplicate:
    case NodeEvent::Kind::kInput:
      break;
  }
  return LogLevel::kDebug;
}

void log_about(const Tree& tree, NodeId node, Round round, LogLevel level, const std::string& text) {
  const std::string name = tree.name(node);
  const std::string_view role = to_string(tree.role(node));
  // The root is often called so.
  log(level, {.role = role, .node = name == role ? std::string_view() : std::string_view(name), .round = round.value},
      text);
}

}  // namespace

void log_event(const Tree& tree, const NodeEvent& event, Round round) {
  const LogLevel level = level_of(event.kind);
  if (!logs(level)) { return; }
  log_about(tree, event.node, round, level, fmt::format("{}: {}", to_string(event.kind), event.detail));
}

void log_round(const Tree& tree, const RoundReport& report) {
  if (!logs(LogLevel::kInfo)) { return; }
  const RoundState& state = report.state;
  log_about(
      tree, tree.root(), report.round, LogLevel::kInfo,
      fmt::format("{}: {} of {} children reported, {} clients in the model, {} failed, {} lost, {} late; version {}",
                  report.committed ? "committed" : "abandoned", state.reported, state.asked, report.contributors,
                  state.failed, state.lost, report.late, report.version.value));
}

void log_run(const Tree& tree, LogLevel level, Round round, const std::string& text) {
  if (logs(level)) { log_about(tree, tree.root(), round, level, text); }
}

}  // namespace tributary::internal
