// SPDX-License-Identifier: Apache-2.0
#include "base/words.hpp"

#include <gtest/gtest.h>

#include <array>

namespace tributary::internal {
namespace {

constexpr std::array<std::string_view, 5> kWords{"run", "validate", "report", "version", "gpu"};

TEST(Words, SwappedMissingWrongAndAdditionalLettersAreForgiven) {
  EXPECT_EQ(nearest_word("rnu", kWords), "run");
  EXPECT_EQ(nearest_word("validat", kWords), "validate");
  EXPECT_EQ(nearest_word("repport", kWords), "report");
  EXPECT_EQ(nearest_word("VALIDATE", kWords), "validate");
  EXPECT_EQ(nearest_word("", kWords), "");
  EXPECT_EQ(nearest_word("completely different", kWords), "");
  EXPECT_EQ(nearest_word(std::string(10'000, 'x'), kWords), "");
}

TEST(Words, ABeginningIsMeantAsThatWord) {
  EXPECT_EQ(nearest_word("vers", kWords), "version");
  EXPECT_EQ(nearest_word("va", kWords), "");
}

TEST(Words, AnotherFirstLetterInAShortWordMakesAnotherWord) {
  EXPECT_EQ(nearest_word("cpu", kWords), "");
  EXPECT_EQ(nearest_word("gp", kWords), "gpu");
  EXPECT_EQ(nearest_word("rum", kWords), "run");
}

TEST(Words, ListsEndWithOr) {
  EXPECT_EQ(one_of(std::span(kWords).first(0)), "");
  EXPECT_EQ(one_of(std::span(kWords).first(1)), "run");
  EXPECT_EQ(one_of(std::span(kWords).first(2)), "run or validate");
  EXPECT_EQ(one_of(std::span(kWords).first(3)), "run, validate or report");
}

}  // namespace
}  // namespace tributary::internal
