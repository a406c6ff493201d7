// SPDX-License-Identifier: Apache-2.0
#include "console/console_sink.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <sstream>

#include "tributary/base/human.hpp"

namespace tributary {
namespace {

Record run_record() {
  Record record("run");
  record.set("name", "demo").set("rounds", 4).set("tiers", 3).set("aggregators", 4).set("clients", 32);
  record.set("parameters", 44'426).set("threads", 2).set("seed", 1);
  return record;
}

Record round_record(int round, double accuracy) {
  Record record("round");
  record.set("round", round).set("outcome", "committed").set("seconds", 2.0).set("train_seconds", 3.0);
  record.set("selected", 4)
      .set("reported", 4)
      .set("contributors", 32)
      .set("train_loss", 1.25)
      .set("accuracy", accuracy)
      .set("loss", 0.75);
  record.set("bytes_down", 6'400'000).set("bytes_up", 6'400'000);
  return record;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) { lines.push_back(line); }
  return lines;
}

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

TEST(ConsoleSink, HeaderRowsAndRuleAreAligned) {
  std::ostringstream out;
  std::ostringstream notes;
  ConsoleSink sink(out, notes, {});

  ASSERT_TRUE(sink.write(run_record()).ok());
  ASSERT_TRUE(sink.write(round_record(1, 0.6231)).ok());
  ASSERT_TRUE(sink.write(round_record(2, 0.7)).ok());

  const std::vector<std::string> lines = lines_of(out.str());
  ASSERT_EQ(lines.size(), 7U) << out.str();
  EXPECT_EQ(lines[1], " demo  3 tiers · 4 aggregators · 32 clients · 44,426 parameters · 2 threads · seed 1");
  const std::size_t width = display_width(lines[3]);
  for (std::size_t i = 4; i < lines.size(); ++i) { EXPECT_EQ(display_width(lines[i]), width) << lines[i]; }
  EXPECT_TRUE(contains(lines[5], "1/4")) << lines[5];
  EXPECT_TRUE(contains(lines[5], "62.31 %")) << lines[5];
  EXPECT_TRUE(contains(lines[5], "12.8 MB")) << lines[5];
  EXPECT_EQ(notes.str(), "") << "no progress bar beside a terminal";
}

TEST(ConsoleSink, ASeedIsPrintedToItsLastDigit) {
  std::ostringstream out;
  std::ostringstream notes;
  ConsoleSink sink(out, notes, {});

  ASSERT_TRUE(sink.write(run_record().set("seed", std::uint64_t{18'446'744'073'709'551'615U})).ok());

  EXPECT_TRUE(contains(out.str(), "seed 18446744073709551615\n")) << out.str();
}

TEST(ConsoleSink, WithoutColorNoEscapeSequenceIsWritten) {
  std::ostringstream out;
  std::ostringstream notes;
  {
    ConsoleSink sink(out, notes, {});
    ASSERT_TRUE(sink.write(run_record()).ok());
    ASSERT_TRUE(sink.write(round_record(1, 0.5)).ok());
    ASSERT_TRUE(sink.write(Record("warning").set("text", "slow link")).ok());
    ASSERT_TRUE(sink.write(Record("end").set("outcome", "finished").set("accuracy", 0.5)).ok());
  }

  EXPECT_FALSE(contains(out.str() + notes.str(), "\x1b"));
  EXPECT_EQ(notes.str(), "warning: slow link\n");
}

TEST(ConsoleSink, WithoutUtf8OnlyAsciiIsWritten) {
  std::ostringstream out;
  std::ostringstream notes;
  ConsoleOptions options;
  options.out.utf8 = false;
  ConsoleSink sink(out, notes, options);
  ASSERT_TRUE(sink.write(run_record()).ok());
  Record unmeasured("round");
  unmeasured.set("round", 1).set("seconds", 12e-6);
  ASSERT_TRUE(sink.write(unmeasured).ok());
  ASSERT_TRUE(sink.write(round_record(2, 0.5)).ok());
  ASSERT_TRUE(sink.write(round_record(3, 0.6)).ok());
  ASSERT_TRUE(sink.write(Record("end").set("outcome", "finished").set("accuracy", 0.6).set("model_sha256", "ab")).ok());

  EXPECT_GT(out.str().size(), 200U);
  for (const char c : out.str()) { ASSERT_LT(static_cast<unsigned char>(c), 0x80U) << out.str(); }
}

TEST(ConsoleSink, OnATerminalABarIsDrawnAndErasedBeforeTheNextRow) {
  std::ostringstream screen;  // both outputs on one screen
  ConsoleOptions options;
  options.notes.interactive = true;
  {
    ConsoleSink sink(screen, screen, options);
    ASSERT_TRUE(sink.write(run_record()).ok());
    sink.show_tasks(8, 32);
    sink.show_tasks(0, 32);
    ASSERT_TRUE(sink.write(round_record(1, 0.5)).ok());
  }

  const std::string text = screen.str();
  EXPECT_TRUE(contains(text, "round 1/4"));
  EXPECT_TRUE(contains(text, "8/32 tasks"));
  EXPECT_TRUE(contains(text, "round 2/4  0/32 tasks  6.00 s left")) << text;
  EXPECT_TRUE(contains(text, "\r\x1b[2K        1/4")) << "the row follows an erased line";
  EXPECT_EQ(text.substr(text.size() - 5), "\r\x1b[2K") << "nothing stays behind";
}

// A model is measured while the next round trains: its row comes in the middle of that round.
TEST(ConsoleSink, TheBarFollowsTheRoundThatTrainsAndNotTheRows) {
  std::ostringstream out;
  std::ostringstream notes;
  ConsoleOptions options;
  options.notes.interactive = true;
  ConsoleSink sink(out, notes, options);
  auto drawn = [&notes, seen = std::size_t{0}]() mutable {
    std::string text = notes.str().substr(seen);
    seen += text.size();
    return text;
  };
  ASSERT_TRUE(sink.write(run_record()).ok());
  sink.show_tasks(32, 32);
  EXPECT_TRUE(contains(drawn(), "round 1/4  32/32 tasks"));

  sink.show_tasks(0, 32);
  sink.show_tasks(8, 32);
  EXPECT_TRUE(contains(drawn(), "31 %  round 2/4  8/32 tasks"));

  ASSERT_TRUE(sink.write(round_record(1, 0.5)).ok());
  EXPECT_TRUE(contains(drawn(), "31 %  round 2/4  8/32 tasks"));
}

TEST(ConsoleSink, TheSameStateIsNotDrawnTwice) {
  std::ostringstream out;
  std::ostringstream notes;
  ConsoleOptions options;
  options.notes.interactive = true;
  ConsoleSink sink(out, notes, options);
  ASSERT_TRUE(sink.write(run_record()).ok());
  sink.show_tasks(1, 32);
  const std::size_t once = notes.str().size();

  sink.show_tasks(1, 32);

  EXPECT_EQ(notes.str().size(), once);
}

TEST(ConsoleSink, TheClosingBlockSumsUpRoundsAndTroubles) {
  std::ostringstream out;
  std::ostringstream notes;
  ConsoleSink sink(out, notes, {});
  ASSERT_TRUE(sink.write(run_record()).ok());
  ASSERT_TRUE(sink.write(round_record(1, 0.9)).ok());
  ASSERT_TRUE(sink.write(round_record(2, 0.8).set("outcome", "abandoned").set("failed", 3)).ok());
  ASSERT_TRUE(sink.write(Record("fault").set("kind", "drop")).ok());
  ASSERT_TRUE(sink.write(Record("end")
                             .set("outcome", "finished")
                             .set("rounds", 2)
                             .set("seconds", 75.0)
                             .set("accuracy", 0.8)
                             .set("version", 1)
                             .set("max_rss_bytes", 412'000'000))
                  .ok());

  const std::string text = out.str();
  EXPECT_TRUE(contains(text, "finished after 2 rounds in 1 min 15 s")) << text;
  EXPECT_TRUE(contains(text, "80.00 %  █▁  best 90.00 % in round 1")) << text;
  EXPECT_TRUE(contains(text, "25.6 MB  (12.8 MB down, 12.8 MB up)")) << text;
  EXPECT_TRUE(contains(text, "training 75.0 %")) << text;
  EXPECT_TRUE(contains(text, "3 failed · 1 round abandoned · 1 x drop")) << text;
  EXPECT_TRUE(contains(text, "412 MB at most")) << text;
}

TEST(ConsoleSink, WhatWasBeforeAResumeIsOneRowUnderOneHeader) {
  std::ostringstream out;
  std::ostringstream notes;
  ConsoleSink sink(out, notes, {});
  ASSERT_TRUE(sink.replay(run_record()).ok());
  ASSERT_TRUE(sink.replay(round_record(1, 0.5)).ok());
  ASSERT_TRUE(sink.replay(Record("warning").set("text", "old news")).ok());
  Record unmeasured("round");
  unmeasured.set("round", 2).set("seconds", 1.0).set("contributors", 30).set("selected", 4).set("reported", 4);
  ASSERT_TRUE(sink.replay(unmeasured).ok());
  EXPECT_EQ(out.str(), "");

  ASSERT_TRUE(sink.write(run_record().set("resumed_after", 2)).ok());
  ASSERT_TRUE(sink.write(round_record(3, 0.6)).ok());
  ASSERT_TRUE(sink.write(Record("end").set("outcome", "finished").set("accuracy", 0.6)).ok());

  const std::vector<std::string> lines = lines_of(out.str());
  ASSERT_GE(lines.size(), 8U) << out.str();
  EXPECT_TRUE(contains(lines[5], "1–2")) << lines[5];
  EXPECT_TRUE(contains(lines[5], "50.00 %")) << "what was measured last: " << lines[5];
  EXPECT_TRUE(contains(lines[5], "3.00 s")) << lines[5];
  EXPECT_TRUE(contains(lines[5], "12.8 MB")) << lines[5];
  EXPECT_TRUE(contains(lines[5], "before; resumed here")) << lines[5];
  EXPECT_TRUE(contains(lines[6], "3/4")) << lines[6];
  EXPECT_TRUE(contains(out.str(), "25.6 MB  (")) << "the sum is of the whole run";
  EXPECT_EQ(notes.str(), "");
}

TEST(ConsoleSink, AResumeWithoutACheckpointSaysThatItBeginsAgain) {
  std::ostringstream out;
  std::ostringstream notes;
  ConsoleSink sink(out, notes, {});

  ASSERT_TRUE(sink.write(run_record().set("resumed_after", 0)).ok());

  EXPECT_EQ(notes.str(), "note: there is no checkpoint yet: the run starts from its beginning\n");
}

TEST(ConsoleSink, TheNumberOfRanksIsPrinted) {
  std::ostringstream out;
  std::ostringstream notes;
  ConsoleSink sink(out, notes, {});

  ASSERT_TRUE(sink.write(run_record().set("processes", 8)).ok());

  EXPECT_TRUE(contains(out.str(), "8 ranks with 2 threads each")) << out.str();
}

TEST(ConsoleSink, AClosedOutputIsAnError) {
  std::ostringstream out;
  std::ostringstream notes;
  ConsoleSink sink(out, notes, {});
  out.setstate(std::ios::badbit);

  EXPECT_EQ(sink.write(run_record()).code(), Code::kIo);
}

TEST(ConsoleSink, ObeysNothingThatARecordHolds) {
  const std::string hostile = "\x1b[31m\u202e\u009b\r\xff";
  std::ostringstream out;
  std::ostringstream notes;
  ConsoleSink sink(out, notes, {.show_faults = true});

  ASSERT_TRUE(sink.write(run_record().set("name", hostile)).ok());
  ASSERT_TRUE(sink.write(Record("warning").set("text", hostile)).ok());
  ASSERT_TRUE(sink.write(Record("fault").set("kind", hostile).set("node", hostile).set("detail", hostile)).ok());
  ASSERT_TRUE(
      sink.write(Record("end").set("outcome", hostile).set("error", hostile).set("model_sha256", hostile)).ok());

  const std::string shown = out.str() + notes.str();
  for (const char* const raw : {"\x1b", "\u202e", "\u009b", "\r", "\xff"}) {
    EXPECT_FALSE(contains(shown, raw)) << raw;
  }
  EXPECT_TRUE(contains(out.str(), "\\x1b[31m\\u202e\\u009b\\r\\xff")) << out.str();
}

TEST(ConsoleSink, AccuraciesBeyondOneAreShownAsTheyAre) {
  std::ostringstream out;
  std::ostringstream notes;
  ConsoleSink sink(out, notes, {});
  ASSERT_TRUE(sink.write(run_record()).ok());
  ASSERT_TRUE(sink.write(round_record(1, 85.5)).ok());
  ASSERT_TRUE(sink.write(round_record(2, -3.0)).ok());
  ASSERT_TRUE(sink.write(Record("end").set("outcome", "finished").set("accuracy", -3.0)).ok());

  EXPECT_TRUE(contains(lines_of(out.str())[5], "  85.5  ")) << out.str();
  EXPECT_TRUE(contains(out.str(), "best 85.5 in round 1")) << out.str();
  EXPECT_FALSE(contains(out.str(), "8550")) << out.str();
}

TEST(ConsoleSink, TrainingIsSharedByTheThreadsOfAllRanks) {
  std::ostringstream out;
  std::ostringstream notes;
  ConsoleSink sink(out, notes, {});
  ASSERT_TRUE(sink.write(run_record().set("threads", 2).set("processes", 4)).ok());
  ASSERT_TRUE(sink.write(round_record(1, 0.5).set("seconds", 2.0).set("train_seconds", 8.0)).ok());
  ASSERT_TRUE(sink.write(Record("end").set("outcome", "finished").set("rounds", 1)).ok());

  EXPECT_TRUE(contains(out.str(), "training 50.0 %")) << out.str();
}

}  // namespace
}  // namespace tributary
