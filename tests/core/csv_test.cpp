// SPDX-License-Identifier: Apache-2.0
#include "tributary/core/csv.hpp"

#include <gtest/gtest.h>

#include <string>

namespace tributary {
namespace {

CsvTable read(std::string_view text, const CsvOptions& options = {}) {
  Result<CsvTable> table = parse_csv(text, "t.csv", options);
  EXPECT_TRUE(table.ok()) << table.status().message();
  return table.ok() ? std::move(table).value() : CsvTable{};
}

TEST(Csv, ColumnsMayStandInAnyOrder) {
  const CsvTable table = read("x,label,y\n1,3,2\n-0.5,1,+4e1\n");

  EXPECT_EQ(table.features, (std::vector<std::string>{"x", "y"}));
  EXPECT_EQ(std::get<1>(table.data.features), (std::vector<float>{1.0F, 2.0F, -0.5F, 40.0F}));
  EXPECT_EQ(table.data.labels, (std::vector<std::int32_t>{1, 0}));
  EXPECT_EQ(table.data.sample_shape, (std::vector<std::int64_t>{2}));
}

TEST(Csv, WholeNumberLabelsAreOrderedAsNumbersAndOthersAsTexts) {
  EXPECT_EQ(read("x,label\n0,10\n0,9\n0,-1\n").classes, (std::vector<std::string>{"-1", "9", "10"}));
  EXPECT_EQ(read("x,label\n0,10\n0,9\n0,nine\n").classes, (std::vector<std::string>{"10", "9", "nine"}));
  EXPECT_EQ(read("x,label\n0,7\n0,007\n").classes, (std::vector<std::string>{"007", "7"}));
}

TEST(Csv, QuotesHoldCommasQuotesAndLineBreaks) {
  const CsvTable table = read("\"a, \"\"b\"\"\",label\r\n\"1\",\"two\nlines\"\r\n\r\n2,\"\"\"\"\r\n");

  EXPECT_EQ(table.features, std::vector<std::string>{"a, \"b\""});
  EXPECT_EQ(table.classes, (std::vector<std::string>{"\"", "two\nlines"}));
  EXPECT_EQ(table.data.labels, (std::vector<std::int32_t>{1, 0}));
}

TEST(Csv, ABomSpacesAndAMissingLastLineBreakDoNotMatter) {
  const CsvTable table = read("\xEF\xBB\xBFx , label\n 1.5 , cat");

  EXPECT_EQ(table.features, std::vector<std::string>{"x"});
  EXPECT_EQ(table.classes, std::vector<std::string>{"cat"});
  EXPECT_EQ(std::get<1>(table.data.features), std::vector<float>{1.5F});
}

TEST(Csv, IdsAreKeptAsNumbersOrNumberedInOrder) {
  CsvOptions options;
  options.id_column = "who";

  EXPECT_EQ(read("who,x,label\n40,1,0\n-3,1,0\n40,1,0\n", options).data.natural_ids,
            (std::vector<std::int64_t>{40, -3, 40}));
  EXPECT_EQ(read("who,x,label\nzoe,1,0\nada,1,0\nzoe,1,0\n", options).data.natural_ids,
            (std::vector<std::int64_t>{1, 0, 1}));
}

TEST(Csv, TestDataSharesTheClassesOfTheTrainingData) {
  const CsvTable train = read("x,label\n0,a\n0,b\n0,c\n");
  CsvOptions options;
  options.like = &train;

  const CsvTable test = read("x,label\n1,c\n1,b\n", options);

  EXPECT_EQ(test.data.labels, (std::vector<std::int32_t>{2, 1}));
  EXPECT_EQ(test.data.classes, 3);
  EXPECT_EQ(test.classes, train.classes);
}

TEST(Csv, TestDataWithOtherLabelsOrColumnsIsRefused) {
  const CsvTable train = read("x,label\n0,a\n0,b\n");
  CsvOptions options;
  options.like = &train;

  EXPECT_EQ(parse_csv("x,label\n1,d\n", "test.csv", options).status(),
            bad_data("test.csv:2:3: label \"d\" does not occur in t.csv"));
  EXPECT_EQ(parse_csv("y,label\n1,a\n", "test.csv", options).status(),
            bad_data("test.csv:1: the feature columns are not those of t.csv"));
}

TEST(Csv, ErrorsAfterAQuotedLineBreakCountLinesOfTheFile) {
  EXPECT_EQ(parse_csv("x,label\n1,\"a\nb\"\nbad,c\n", "t.csv", {}).status(),
            bad_data("t.csv:4:1: expected a finite number, found \"bad\""));
}

TEST(Csv, ATrailingCommaAtTheEndOfTheFileIsAnEmptyField) {
  EXPECT_EQ(parse_csv("x,label\n1,", "t.csv", {}).status(), bad_data("t.csv:2:3: the label is empty"));
}

}  // namespace
}  // namespace tributary
