// SPDX-License-Identifier: Apache-2.0
// Log lines on standard error, for whoever operates a federation or looks for a fault in it:
//
//   2026-11-27T04:30:00.123Z warning [client clinic-a, round 3] task failed: no space left on device
//
// Nothing is logged before a level is set: what people should read appears without it (the screen, records.jsonl).
// Life cycle: set_log_level() at the start of the process.
// Threads:    functions for any thread; a line is written whole.
// Text:       of other programs and of the network may be given as it is; it is made printable and stays on one line.
#pragma once

#include <cstdint>
#include <string_view>

#include "tributary/base/status.hpp"

namespace tributary {

enum class LogLevel : std::uint8_t { kOff, kError, kWarning, kInfo, kDebug, kTrace };

// Whom a line is about. What is empty, or round 0, is left out.
struct LogSubject {
  std::string_view role;  // client, aggregator, root, rank
  std::string_view node;
  std::uint64_t round = 0;  // of the root
};

void set_log_level(LogLevel level);
// Whether lines of this level are written: ask before making a text that costs something.
[[nodiscard]] bool logs(LogLevel level) noexcept;
void log(LogLevel level, const LogSubject& subject, std::string_view text);

// kInvalidArgument, with the words there are: off, error, warning, info, debug, trace.
[[nodiscard]] Result<LogLevel> log_level_from(std::string_view word);

}  // namespace tributary
