// SPDX-License-Identifier: Apache-2.0
#include "tributary/base/terminal.hpp"

#include <gtest/gtest.h>

#include <map>
#include <string>

namespace tributary {
namespace {

TerminalTraits traits(ColorChoice choice, bool is_terminal, const std::map<std::string, std::string>& variables) {
  return terminal_traits(choice, is_terminal, 120, [&variables](const char* name) -> const char* {
    const auto place = variables.find(name);
    return place == variables.end() ? nullptr : place->second.c_str();
  });
}

TEST(Terminal, ColorNeedsATerminalUnlessItIsAskedFor) {
  EXPECT_TRUE(traits(ColorChoice::kAuto, true, {{"TERM", "xterm"}}).color);
  EXPECT_FALSE(traits(ColorChoice::kAuto, false, {{"TERM", "xterm"}}).color);
  EXPECT_TRUE(traits(ColorChoice::kAlways, false, {}).color);
  EXPECT_FALSE(traits(ColorChoice::kNever, true, {}).color);
}

TEST(Terminal, NoColorCountsOnlyWhenItIsNotEmptyAndNotAgainstAnExplicitChoice) {
  EXPECT_FALSE(traits(ColorChoice::kAuto, true, {{"NO_COLOR", "1"}}).color);
  EXPECT_TRUE(traits(ColorChoice::kAuto, true, {{"NO_COLOR", ""}}).color);
  EXPECT_TRUE(traits(ColorChoice::kAlways, true, {{"NO_COLOR", "1"}}).color);
}

TEST(Terminal, ADumbTerminalGetsNeitherColorNorAProgressBar) {
  const TerminalTraits dumb = traits(ColorChoice::kAuto, true, {{"TERM", "dumb"}});

  EXPECT_FALSE(dumb.color);
  EXPECT_FALSE(dumb.interactive);
  EXPECT_TRUE(traits(ColorChoice::kNever, true, {{"TERM", "xterm"}}).interactive) << "colour is another question";
}

TEST(Terminal, TheFirstLocaleVariableThatIsSetDecidesTheCharacterSet) {
  EXPECT_TRUE(traits(ColorChoice::kAuto, true, {}).utf8);
  EXPECT_TRUE(traits(ColorChoice::kAuto, true, {{"LANG", "C.UTF-8"}}).utf8);
  EXPECT_TRUE(traits(ColorChoice::kAuto, true, {{"LC_ALL", "de_DE.utf8"}, {"LANG", "C"}}).utf8);
  EXPECT_FALSE(traits(ColorChoice::kAuto, true, {{"LC_ALL", "C"}, {"LANG", "C.UTF-8"}}).utf8);
}

TEST(Terminal, ChoicesAreReadByName) {
  EXPECT_EQ(parse_color_choice("auto"), ColorChoice::kAuto);
  EXPECT_EQ(parse_color_choice("always"), ColorChoice::kAlways);
  EXPECT_EQ(parse_color_choice("never"), ColorChoice::kNever);
  EXPECT_EQ(parse_color_choice("sometimes"), std::nullopt);
}

TEST(Paint, WrapsTextOnlyWhenOn) {
  EXPECT_EQ(Paint(true).bold("x"), "\x1b[1mx\x1b[0m");
  EXPECT_EQ(Paint(false).bold("x"), "x");
}

}  // namespace
}  // namespace tributary
