// SPDX-License-Identifier: Apache-2.0
#include "tributary/base/printable.hpp"

#include <gtest/gtest.h>

#include <string>

namespace tributary {
namespace {

TEST(Printable, LettersOfEveryScriptStay) {
  for (const char* const text : {"plain", "Zürich", "東京", "Ελλάδα", "مرحبا", "नमस्ते", "می‌خواهم", "é",
                                 "👩‍🔬", "– … µ \"'<>&\\"}) {
    EXPECT_EQ(printable_text(text), text);
    EXPECT_TRUE(is_printable_text(text)) << text;
  }
}

TEST(Printable, WhatATerminalWouldObeyBecomesAnEscape) {
  EXPECT_EQ(printable_text("\x1b[31mred\x1b[0m"), "\\x1b[31mred\\x1b[0m");
  EXPECT_EQ(printable_text(std::string("a\0b", 3)), "a\\x00b");
  EXPECT_EQ(printable_text("bell\a back\b del\x7f"), "bell\\x07 back\\x08 del\\x7f");
  EXPECT_EQ(printable_text("\u009b31m"), "\\u009b31m") << "the control sequence introducer as one character";
  EXPECT_EQ(printable_text("a\r\n\tb"), "a\\r\\n\\tb");
}

TEST(Printable, WhatTurnsOrHidesTextBecomesAnEscape) {
  EXPECT_EQ(printable_text("abc\u202etxt.exe"), "abc\\u202etxt.exe");
  EXPECT_EQ(printable_text("\u2066a\u2069\u200f\u061c"), "\\u2066a\\u2069\\u200f\\u061c");
  EXPECT_EQ(printable_text("pay\u200bpal\ufeff\u00ad"), "pay\\u200bpal\\ufeff\\u00ad");
  EXPECT_EQ(printable_text("line\u2028paragraph\u2029"), "line\\u2028paragraph\\u2029");
  EXPECT_EQ(printable_text("\U000E0041\U0001FFFF"), "\\U000e0041\\U0001ffff");
}

TEST(Printable, BytesThatAreNotUtf8BecomeEscapes) {
  EXPECT_EQ(printable_text("caf\xe9"), "caf\\xe9") << "Latin-1";
  EXPECT_EQ(printable_text("\xff\xfe"), "\\xff\\xfe");
  EXPECT_EQ(printable_text("\xc0\x9b"), "\\xc0\\x9b") << "an overlong escape character";
  EXPECT_EQ(printable_text("\xed\xa0\x80"), "\\xed\\xa0\\x80") << "half of a surrogate pair";
  EXPECT_EQ(printable_text("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80") << "beyond Unicode";
  EXPECT_EQ(printable_text("cut \xe6\x9d"), "cut \\xe6\\x9d");
  EXPECT_FALSE(is_printable_text("cut \xe6\x9d"));
}

TEST(Printable, TwiceIsOnce) {
  std::string everything;
  for (int byte = 0; byte < 256; ++byte) { everything += static_cast<char>(byte); }
  everything += "\u202e\u009b東";

  const std::string once = printable_text(everything);

  EXPECT_EQ(printable_text(once), once);
  EXPECT_EQ(printable_lines(once), once);
  EXPECT_TRUE(is_printable_text(once));
}

TEST(Printable, LinesKeepTheirEndsAndTabs) {
  EXPECT_EQ(printable_lines("one\n\ttwo\r\n\x1b[2J"), "one\n\ttwo\\r\n\\x1b[2J");
}

TEST(Printable, LongTextIsCutBetweenCharacters) {
  EXPECT_EQ(printable_text("abcdef", 6), "abcdef");
  EXPECT_EQ(printable_text("abcdefg", 6), "abcdef...");
  EXPECT_EQ(printable_text("東京都", 4), "東京...");
  EXPECT_EQ(printable_text(std::string(1'000'000, 'x'), 10), "xxxxxxxxxx...");
}

}  // namespace
}  // namespace tributary
