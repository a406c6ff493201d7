// SPDX-License-Identifier: Apache-2.0
#include "tributary/base/log.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <thread>
#include <vector>

namespace tributary {
namespace {

using ::testing::HasSubstr;
using ::testing::internal::CaptureStderr;
using ::testing::internal::GetCapturedStderr;

class Log : public ::testing::Test {
 protected:
  void TearDown() override { set_log_level(LogLevel::kOff); }

  // What `call` writes at that level.
  template <typename Call>
  static std::string written(LogLevel level, const Call& call) {
    set_log_level(level);
    CaptureStderr();
    call();
    return GetCapturedStderr();
  }
};

TEST_F(Log, ALineSaysWhenHowBadAboutWhomAndWhat) {
  const std::string line = written(LogLevel::kInfo, [] {
    log(LogLevel::kWarning, {.role = "client", .node = "clinic-a", .round = 3}, "task failed: disk full");
  });

  EXPECT_THAT(line, ::testing::MatchesRegex(
                        "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z warning \\[client clinic-a, "
                        "round 3\\] task failed: disk full\n"));
}

TEST_F(Log, WhatIsNotSaidIsLeftOut) {
  EXPECT_THAT(written(LogLevel::kInfo, [] { log(LogLevel::kInfo, {}, "begins"); }), HasSubstr("Z info begins\n"));
  EXPECT_THAT(written(LogLevel::kInfo, [] { log(LogLevel::kInfo, {.round = 2}, "done"); }),
              HasSubstr("[round 2] done"));
}

TEST_F(Log, NothingIsWrittenBelowTheLevelAndNothingAtAllBeforeOneIsSet) {
  const auto everything = [] {
    for (const LogLevel level :
         {LogLevel::kError, LogLevel::kWarning, LogLevel::kInfo, LogLevel::kDebug, LogLevel::kTrace}) {
      log(level, {}, "line");
    }
  };
  const auto lines = [&](LogLevel level) {
    const std::string text = written(level, everything);
    return std::count(text.begin(), text.end(), '\n');
  };

  EXPECT_EQ(lines(LogLevel::kOff), 0);
  EXPECT_EQ(lines(LogLevel::kError), 1);
  EXPECT_EQ(lines(LogLevel::kInfo), 3);
  EXPECT_EQ(lines(LogLevel::kTrace), 5);
}

TEST_F(Log, TextOfOthersStaysOnItsLineAndMovesNoCursor) {
  const std::string line = written(LogLevel::kInfo, [] {
    log(LogLevel::kInfo, {.node = "a\x1b[2J"}, "first\nsecond {} \x1b]0;title\x07" + std::string(100'000, 'x'));
  });

  EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1);
  EXPECT_EQ(line.find('\x1b'), std::string::npos);
  EXPECT_THAT(line, HasSubstr("second {}"));
  EXPECT_LT(line.size(), 10'000U);
}

TEST_F(Log, LinesOfSeveralThreadsAreWhole) {
  const std::string text = written(LogLevel::kInfo, [] {
    std::vector<std::jthread> threads;
    for (int thread = 0; thread < 4; ++thread) {
      threads.emplace_back([] {
        for (int i = 0; i < 100; ++i) { log(LogLevel::kInfo, {.role = "client"}, "0123456789"); }
      });
    }
  });

  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 400);
  std::size_t whole = 0;
  for (std::size_t at = text.find("[client] 0123456789\n"); at != std::string::npos;
       at = text.find("[client] 0123456789\n", at + 1)) {
    ++whole;
  }
  EXPECT_EQ(whole, 400U);
}

TEST_F(Log, WordsAreLevelsAndOthersAreRefusedWithThem) {
  EXPECT_EQ(log_level_from("debug").value(), LogLevel::kDebug);
  EXPECT_EQ(log_level_from("off").value(), LogLevel::kOff);
  EXPECT_EQ(log_level_from("warn").status(),
            invalid_argument("a log level is off, error, warning, info, debug or trace, not \"warn\"; did you mean "
                             "warning?"));
}

}  // namespace
}  // namespace tributary
