// SPDX-License-Identifier: Apache-2.0
#include "csv.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "config/number_advice.hpp"
#include "support/file_bytes.hpp"
#include "support/scratch_directory.hpp"

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
  EXPECT_EQ(table.data.feature_names, table.features);
  EXPECT_EQ(std::get<1>(table.data.features), (std::vector<float>{1.0F, 2.0F, -0.5F, 40.0F}));
  EXPECT_EQ(table.data.labels, (std::vector<std::int32_t>{1, 0}));
  EXPECT_EQ(table.data.sample_shape, (std::vector<std::int64_t>{2}));
}

TEST(Csv, LabelsThatAreNumbersAreOrderedByValueHoweverTheyAreSpelledAndOthersAsTexts) {
  using Names = std::vector<std::string>;
  EXPECT_EQ(read("x,label\n0,10\n0,9\n0,-1\n").classes, (Names{"-1", "9", "10"}));
  EXPECT_EQ(read("x,label\n0,10.0\n0,9.0\n0,2.0\n").classes, (Names{"2.0", "9.0", "10.0"}));
  EXPECT_EQ(read("x,label\n0,1e1\n0,+9\n0,0.5\n0,-2\n").classes, (Names{"-2", "0.5", "+9", "1e1"}));
  EXPECT_EQ(read("x,label\n0,10\n0,9\n0,nine\n").classes, (Names{"10", "9", "nine"}));
  // Beyond what a double tells apart.
  EXPECT_EQ(read("x,label\n0,9007199254740993\n0,9007199254740992\n").classes,
            (Names{"9007199254740992", "9007199254740993"}));
}

TEST(Csv, NumbersOfOneValueAreOneClassNamedByTheShortestSpelling) {
  const CsvTable table = read("x,label\n0,7.0\n0,007\n0,7\n0,7e0\n0,0\n0,-0.0\n");

  EXPECT_EQ(table.classes, (std::vector<std::string>{"0", "7"}));
  EXPECT_EQ(table.data.labels, (std::vector<std::int32_t>{1, 1, 1, 1, 0, 0}));
}

TEST(Csv, LabelsSpelledAsFloatsGiveTheSameClassesAsIntegers) {
  std::string integers = "x,label\n";
  std::string floats = integers;
  for (int label = 0; label < 12; ++label) {
    integers += "1," + std::to_string(label) + "\n";
    floats += "1," + std::to_string(label) + ".0\n";
  }
  const CsvTable a = read(integers);
  const CsvTable b = read(floats);
  CsvOptions like;
  like.like = &a;

  EXPECT_EQ(b.data.labels, a.data.labels);
  EXPECT_EQ(read(floats, like).data.labels, a.data.labels);  // a test file may spell them otherwise
  EXPECT_TRUE(a.data.class_names.empty());                   // a class's number is its name
  EXPECT_EQ(b.data.class_names[10], "10.0");
}

TEST(Csv, AMissingLabelOrIdAmongNumbersIsNoClassAndNoId) {
  CsvOptions options;
  options.id_column = "who";

  EXPECT_EQ(parse_csv("x,label\n0,1\n0,NaN\n", "t.csv", {}).status(),
            bad_data("t.csv:3:3: the label \"NaN\" stands for none, as all others are numbers; leave samples without a "
                     "label out"));
  EXPECT_EQ(
      parse_csv("who,x,label\n1,0,1\nnull,0,1\n", "t.csv", options).status(),
      bad_data("t.csv:3:1: the id \"null\" stands for none, as all others are numbers; leave samples without an id "
               "out"));
  EXPECT_EQ(read("x,label\n0,naan\n0,nan\n").classes, (std::vector<std::string>{"naan", "nan"}));  // breads
}

// One such would make texts of all, and texts are ordered by their bytes.
TEST(Csv, LabelsAndIdsBeyondTheRangeOfNumbersAreRefusedAmongNumbers) {
  CsvOptions options;
  options.id_column = "who";
  const std::string rest =
      " is beyond the range of float64, and cannot be ordered among the others, which are numbers; write a number "
      "within "
      "it, or words for all";

  EXPECT_EQ(parse_csv("x,label\n0,1\n0,2\n0,1e400\n", "t.csv", {}).status(),
            bad_data("t.csv:4:3: the label 1e400" + rest));
  EXPECT_EQ(parse_csv("x,label\n0,1\n0,-1e-400\n", "t.csv", {}).status(),
            bad_data("t.csv:3:3: the label -1e-400" + rest));
  EXPECT_EQ(parse_csv("who,x,label\n1,0,1\n1e999,0,1\n", "t.csv", options).status(),
            bad_data("t.csv:3:1: the id 1e999" + rest));
  EXPECT_EQ(read("x,label\n0,ab1\n0,1e400\n").classes, (std::vector<std::string>{"1e400", "ab1"}));
}

// Two names that differ in such bytes alone would look the same everywhere.
TEST(Csv, NamesThatAreNoUtf8AreRefused) {
  const std::string latin = "gr\xf6\xdf";
  const std::string remedy = " is not UTF-8 text; save the file as UTF-8 (spreadsheets call it \"CSV UTF-8\")";
  CsvOptions options;
  options.id_column = "who";

  EXPECT_EQ(parse_csv("x,label\n1," + latin + "e\n", "t.csv", {}).status(),
            bad_data("t.csv:2:3: the label \"gr\\xf6\\xdfe\"" + remedy));
  EXPECT_EQ(parse_csv(latin + ",label\n1,0\n", "t.csv", {}).status(),
            bad_data("t.csv:1:1: the column name \"gr\\xf6\\xdf\"" + remedy));
  EXPECT_EQ(parse_csv("who,x,label\n" + latin + ",1,0\n", "t.csv", options).status(),
            bad_data("t.csv:2:1: the id \"gr\\xf6\\xdf\"" + remedy));
  options.id_column.clear();
  options.ignore_columns = {"note"};
  EXPECT_TRUE(parse_csv("note,x,label\n" + latin + ",1,gr\u00f6\u00dfe\n", "t.csv", options).ok());
}

TEST(Csv, AWordForNothingAmongWordsIsAClassWithAWarning) {
  const CsvTable table = read("x,label\n1,ja\n2,NA\n3,nein\n4,NA\n");

  EXPECT_EQ(table.classes, (std::vector<std::string>{"NA", "ja", "nein"}));
  EXPECT_EQ(table.warnings,
            std::vector<std::string>{"t.csv:3:3: the label \"NA\" is taken for a class of its own; if it "
                                     "says that there is no label, leave such lines out"});
}

TEST(Csv, ARegressionTargetIsRefused) {
  std::string prices = "area,label\n";
  for (int i = 0; i < 60; ++i) { prices += "1," + std::to_string(100 + i) + "." + std::to_string(10 + i % 7) + "\n"; }
  std::string whole = "area,label\n";
  for (int i = 0; i < 300; ++i) { whole += "1," + std::to_string(100000 + 731 * i) + "\n"; }

  EXPECT_EQ(parse_csv(prices, "t.csv", {}).status(),
            bad_data("t.csv: the column label looks like the target of a regression: 60 different numbers, such as "
                     "100.10, in 60 samples. Only classifiers are trained: name a column of classes in "
                     "data.label_column, or sort the numbers into classes first"));
  EXPECT_EQ(parse_csv(whole, "t.csv", {}).status().code(), Code::kBadData);
  std::string few = "area,label\n";  // 100 houses, and each price once
  for (int i = 0; i < 100; ++i) { few += "1," + std::to_string(100000 + 7310 * i) + "\n"; }
  EXPECT_EQ(parse_csv(few, "t.csv", {}).status().code(), Code::kBadData);
  std::string rounded = "area,label\n";  // 1,000 houses, 368 prices
  for (int i = 0; i < 1000; ++i) { rounded += "1," + std::to_string(100000 + 5000 * (i % 368)) + "\n"; }
  EXPECT_EQ(parse_csv(rounded, "t.csv", {}).status().code(), Code::kBadData);
}

TEST(Csv, ManyClassesAndRatingsAreNoRegressionTargets) {
  std::string people = "x,label\n";  // a few pictures of each of 5,749 people, spelled as pandas does
  for (int i = 0; i < 5749; ++i) { people += "1," + std::to_string(i) + ".0\n"; }
  std::string ratings = "x,label\n";
  for (int i = 0; i < 40; ++i) { ratings += "1," + std::to_string(i % 5) + (i % 2 == 0 ? ".5\n" : ".0\n"); }
  std::string codes = "x,label\n";  // with gaps, but often enough
  for (int i = 0; i < 600; ++i) { codes += "1," + std::to_string(i / 3 * 1000) + "\n"; }

  EXPECT_EQ(read(people).data.classes, 5749);
  EXPECT_EQ(read(ratings).data.classes, 10);
  EXPECT_EQ(read(codes).data.classes, 200);
}

TEST(Csv, NumbersBelowTheRangeOfFloat32AreZeroWithAWarningAndNumbersAboveItAreRefused) {
  const CsvTable table = read("a,b,label\n1,3.2e-50,0\n2,1e-46,1\n0.5,-1e-300,0\n4,1e-999,1\n5,1e-40,0\n");

  EXPECT_EQ(std::get<1>(table.data.features),
            (std::vector<float>{1.0F, 0.0F, 2.0F, 0.0F, 0.5F, 0.0F, 4.0F, 0.0F, 5.0F, 1e-40F}));
  EXPECT_EQ(table.warnings, std::vector<std::string>{"t.csv:2:3: 3.2e-50: nearer to 0 than float32 can tell, and read "
                                                     "as 0; so are 3 more values"});
  EXPECT_EQ(parse_csv("a,label\n-1e999,0\n", "t.csv", {}).status(),
            bad_data("t.csv:2:1: column a: -1e999 is beyond the range of float32, which ends at 3.40282e+38; scale the "
                     "column"));
}

TEST(Csv, SemicolonsAndTabsAreRecognisedByTheHeaderLine) {
  for (const char delimiter : {';', '\t'}) {
    std::string text = "a,b|label\n1|0\n3|\"1\"\n";
    std::replace(text.begin(), text.end(), '|', delimiter);
    const CsvTable table = read(text);

    EXPECT_EQ(table.features, std::vector<std::string>{"a,b"});
    EXPECT_EQ(std::get<1>(table.data.features), (std::vector<float>{1.0F, 3.0F}));
  }
  EXPECT_EQ(
      parse_csv("a;label\n1,5;0\n", "t.csv", {}).status(),
      bad_data("t.csv:2:1: column a: expected a finite number, found \"1,5\"; decimals are written with a point"));
}

TEST(Csv, Utf16AndGzipFilesAreRead) {
  const testing::ScratchDirectory scratch;
  const std::string text = "x,label\n1,caf\xC3\xA9\n2,\xF0\x9F\x8D\x9E\n";
  const auto units = std::u16string(u"x,label\n1,caf\u00E9\n2,\U0001F35E\n");
  std::string little = "\xFF\xFE";
  std::string big = "\xFE\xFF";
  std::string unmarked;
  for (const char16_t unit : units) {
    const std::string low(1, static_cast<char>(unit & 0xFFU));
    const std::string high(1, static_cast<char>(unit >> 8U));
    little += low + high;
    unmarked += low + high;
    big += high + low;
  }
  const std::string half = testing::gzip_bytes(text.substr(0, 9)) + testing::gzip_bytes(text.substr(9));
  for (const std::string& bytes : {text, little, big, unmarked, testing::gzip_bytes(text), half}) {
    const auto path = scratch.write("t.csv", bytes);
    const Result<CsvTable> table = read_csv(real_file_system(), path, {});
    ASSERT_TRUE(table.ok()) << table.status().message();
    EXPECT_EQ(table->classes, (std::vector<std::string>{"caf\xC3\xA9", "\xF0\x9F\x8D\x9E"}));
  }
}

TEST(Csv, OtherFormatsAreNamedAndPackedFilesHaveABound) {
  const testing::ScratchDirectory scratch;
  const auto message = [&](const std::string& bytes) {
    const std::string text = read_csv(real_file_system(), scratch.write("t.csv", bytes), {}).status().message();
    return text.substr(std::min(text.size(), text.find("t.csv") + 7));
  };

  EXPECT_EQ(message("PK\x03\x04 and more"),
            "is a ZIP archive or an Excel workbook, not a CSV file; save it as CSV text");
  EXPECT_EQ(message("PAR1 and more"), "is a Parquet file, not a CSV file; save it as CSV text");
  const std::string bomb = testing::gzip_bytes("x,label\n" + std::string(80'000'000, '0'));
  EXPECT_EQ(message(bomb), "unpacks to more than 67108864 bytes, which is more than its " +
                               std::to_string(bomb.size()) +
                               " packed bytes should hold; if that is right, unpack it with gunzip first");
}

TEST(Csv, ATextColumnIsNamedWithAdviceAndMayBeIgnored) {
  const std::string text = "city,x,label\nrome,1,0\nparis,2,1\n";
  CsvOptions options;

  EXPECT_EQ(parse_csv(text, "t.csv", options).status(),
            bad_data("t.csv:2:1: column city: expected a finite number, found \"rome\"; if the column is no feature, "
                     "name it in data.ignore_columns or, if it says whose sample it is, in data.id_column"));
  options.ignore_columns = {"city"};
  EXPECT_EQ(read(text, options).features, std::vector<std::string>{"x"});
  options.ignore_columns = {"town"};
  EXPECT_EQ(
      parse_csv(text, "t.csv", options).status(),
      bad_data("t.csv:1: there is no column town, which data.ignore_columns names; the columns are city, x, label"));
}

TEST(Csv, TheLabelAndTheIdsCannotBeIgnored) {
  CsvOptions options;
  options.id_column = "who";
  options.ignore_columns = {"label"};
  EXPECT_EQ(
      parse_csv("who,x,label\n1,0,1\n", "t.csv", options).status(),
      bad_data("t.csv:1:7: the column label is named by data.ignore_columns and by data.label_column; it can only "
               "be one"));
  options.ignore_columns = {"who"};
  EXPECT_EQ(
      parse_csv("who,x,label\n1,0,1\n", "t.csv", options).status(),
      bad_data("t.csv:1:1: the column who is named by data.ignore_columns and by data.id_column; it can only be one"));
}

TEST(Csv, OneColumnIsNotLabelAndIdsAtOnce) {
  CsvOptions options;
  options.label_column = options.id_column = "who";
  EXPECT_EQ(
      parse_csv("x,who\n1,0\n", "t.csv", options).status(),
      bad_data("t.csv:1:3: the column who is named by data.label_column and by data.id_column; it can only be one"));
}

TEST(Csv, AColumnThatDiffersInCapitalsIsSuggested) {
  CsvOptions options;
  options.label_column = "Y";
  EXPECT_EQ(parse_csv("x,y\n1,0\n", "t.csv", options).status(),
            bad_data("t.csv:1: there is no column Y, which data.label_column names (did you mean y?); the columns are "
                     "x, y"));
}

TEST(Csv, NumbersWrittenForPeopleGetAdvice) {
  using internal::number_advice;
  const std::string thousands = "write it without separators of thousands: ";
  EXPECT_EQ(number_advice("39,081.43"), thousands + "39081.43");
  EXPECT_EQ(number_advice("-1,234,567"), thousands + "-1234567");
  EXPECT_EQ(number_advice("1.234.567"), thousands + "1234567");
  EXPECT_EQ(number_advice("12 345.5"), thousands + "12345.5");
  EXPECT_EQ(number_advice("12\xE2\x80\x99"
                          "345"),
            thousands + "12345");
  EXPECT_EQ(number_advice("39.081,43"), "write it without separators of thousands and with a decimal point: 39081.43");
  EXPECT_EQ(number_advice("1,5"), "decimals are written with a point");
  EXPECT_EQ(number_advice("1,234"), "decimals are written with a point, and thousands without a separator");
  for (const char* text : {"", "rome", "rome, italy", "1,2,3", "2021-03-04", "12 34", ",5", "1.2.3", "1,,234"}) {
    EXPECT_EQ(number_advice(text), "") << text;
  }
}

TEST(Csv, AllColumnsAreListedWhereOneIsMissing) {
  std::string header = "c0";
  for (int i = 1; i < 30; ++i) { header += ", c" + std::to_string(i); }
  EXPECT_EQ(
      parse_csv(header + ",Label\n", "t.csv", {}).status(),
      bad_data("t.csv:1: there is no column label, which data.label_column names (did you mean Label?); the columns "
               "are " +
               header + ", Label"));
}

TEST(Csv, LinesOfSpacesAndBareCarriageReturnsDoNotMatter) {
  const testing::ScratchDirectory scratch;
  EXPECT_EQ(read("x,label\n  \n1,0\n   \r\n2,1\n  ").data.size(), 2U);
  EXPECT_EQ(read_csv(real_file_system(), scratch.write("t.csv", "x,label\r1,0\r2,1\r"), {})->data.size(), 2U);
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

TEST(Csv, IdsAreNumberedInOrderAndKeepTheirNames) {
  CsvOptions options;
  options.id_column = "who";
  const Dataset numbers = read("who,x,label\n40.0,1,0\n-3,1,0\n9,1,0\n40,1,0\n", options).data;
  const Dataset texts = read("who,x,label\nzoe,1,0\nada,1,0\nzoe,1,0\n", options).data;

  EXPECT_EQ(numbers.natural_ids, (std::vector<std::int64_t>{2, 0, 1, 2}));
  EXPECT_EQ(numbers.id_names, (std::vector<std::string>{"-3", "9", "40"}));
  EXPECT_EQ(texts.natural_ids, (std::vector<std::int64_t>{1, 0, 1}));
  EXPECT_EQ(texts.id_names, (std::vector<std::string>{"ada", "zoe"}));
}

TEST(Csv, LongNumbersAreToldApartByTheirSpelling) {
  using Names = std::vector<std::string>;
  CsvOptions options;
  options.id_column = "who";
  const Dataset long_ids =
      read("who,x,label\n98765432109876543211,1,0\n98765432109876543210,1,0\n98765432109876543211,1,0\n", options).data;
  const CsvTable around =
      read("x,label\n0,9223372036854775808\n0,9223372036854775807\n0,9223372036854775806\n0,-1e30\n0,2\n");
  CsvOptions like;
  like.like = &around;

  EXPECT_EQ(long_ids.id_names, (Names{"98765432109876543210", "98765432109876543211"}));
  EXPECT_EQ(long_ids.natural_ids, (std::vector<std::int64_t>{1, 0, 1}));
  EXPECT_EQ(around.classes, (Names{"-1e30", "2", "9223372036854775806", "9223372036854775807", "9223372036854775808"}));
  EXPECT_EQ(read("x,label\n0,9223372036854775808\n0,2.0\n", like).data.labels, (std::vector<std::int32_t>{4, 1}));
  EXPECT_EQ(parse_csv("x,label\n0,9223372036854775809\n", "test.csv", like).status(),
            bad_data("test.csv:2:3: label \"9223372036854775809\" does not occur in t.csv"));
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
            bad_data("test.csv:1: there is no column x, a feature of t.csv"));
  EXPECT_EQ(parse_csv("x,y,label\n1,2,a\n", "test.csv", options).status(),
            bad_data("test.csv:1: the column y is no feature of t.csv; if it is none here either, name it in "
                     "data.ignore_columns"));
}

TEST(Csv, ColumnsOfTestDataInAnotherOrderAreRefusedUnlessItIsTheLabelOrIds) {
  CsvOptions options;
  options.id_column = "who";
  const CsvTable train = read("who,x,y,label\n1,1,2,a\n", options);
  options.like = &train;

  EXPECT_EQ(read("label,x,y\na,1,2\n", options).data.natural_ids.size(), 0U);  // nobody asks whose test samples are
  EXPECT_EQ(read("x,label,y,who\n1,a,2,7\n", options).data.size(), 1U);
  EXPECT_EQ(read("who,x,y,label\n,1,2,a\n", options).data.size(), 1U);
  EXPECT_EQ(parse_csv("y,x,label\n1,2,a\n", "test.csv", options).status(),
            bad_data("test.csv:1: the feature columns stand in another order than in t.csv"));
}

TEST(Csv, ErrorsAfterAQuotedLineBreakCountLinesOfTheFile) {
  EXPECT_EQ(
      parse_csv("x,label\n1,\"a\nb\"\nbad,c\n", "t.csv", {}).status(),
      bad_data("t.csv:4:1: column x: expected a finite number, found \"bad\"; if the column is no feature, name it "
               "in data.ignore_columns or, if it says whose sample it is, in data.id_column"));
}

TEST(Csv, ATrailingCommaAtTheEndOfTheFileIsAnEmptyField) {
  EXPECT_EQ(parse_csv("x,label\n1,", "t.csv", {}).status(),
            bad_data("t.csv:2:3: column label: the label is missing; fill it in, or leave the line out"));
}

}  // namespace
}  // namespace tributary
