// SPDX-License-Identifier: Apache-2.0
#include "tributary/base/log.hpp"

#include <fmt/format.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <array>
#include <atomic>
#include <memory>
#include <string>

#include "base/words.hpp"
#include "tributary/base/printable.hpp"

namespace tributary {
namespace {

constexpr std::array<std::string_view, 6> kWords{"off", "error", "warning", "info", "debug", "trace"};
// A text of a trainer or of another process may be as long as it likes.
constexpr std::size_t kLongestText = 4096;

std::atomic<LogLevel> wanted{LogLevel::kOff};

spdlog::level::level_enum level_of_library(LogLevel level) {
  switch (level) {
    case LogLevel::kOff:
      return spdlog::level::off;
    case LogLevel::kError:
      return spdlog::level::err;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kTrace:
      return spdlog::level::trace;
  }
  return spdlog::level::off;
}

// Of its own: a program that links this library may use spdlog for itself. Never destroyed: threads may log to the end.
spdlog::logger& logger() {
  static spdlog::logger& made = []() -> spdlog::logger& {
    auto* const fresh = new spdlog::logger("tributary", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    fresh->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %l %v", spdlog::pattern_time_type::utc);
    fresh->set_level(spdlog::level::trace);
    fresh->flush_on(spdlog::level::trace);
    return *fresh;
  }();
  return made;
}

std::string text_of(const LogSubject& subject) {
  std::string text;
  const auto add = [&text](std::string_view separator, std::string_view part) {
    if (!text.empty()) { text += separator; }
    text += part;
  };
  if (!subject.role.empty()) { add("", subject.role); }
  if (!subject.node.empty()) { add(" ", printable_text(subject.node)); }
  if (subject.round > 0) { add(", ", fmt::format("round {}", subject.round)); }
  return text.empty() ? text : fmt::format("[{}] ", text);
}

}  // namespace

void set_log_level(LogLevel level) {
  wanted = level;
}

bool logs(LogLevel level) noexcept {
  return level != LogLevel::kOff && level <= wanted.load();
}

void log(LogLevel level, const LogSubject& subject, std::string_view text) {
  if (!logs(level)) { return; }
  logger().log(level_of_library(level), "{}{}", text_of(subject), printable_text(text, kLongestText));
}

Result<LogLevel> log_level_from(std::string_view word) {
  for (std::size_t i = 0; i < kWords.size(); ++i) {
    if (kWords[i] == word) { return static_cast<LogLevel>(i); }
  }
  constexpr std::size_t kShown = 60;
  const std::string_view meant = internal::nearest_word(word, kWords);
  return invalid_argument(fmt::format("a log level is {}, not \"{}\"{}", internal::one_of(kWords),
                                      printable_text(word, kShown),
                                      meant.empty() ? "" : fmt::format("; did you mean {}?", meant)));
}

}  // namespace tributary
