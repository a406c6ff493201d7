// SPDX-License-Identifier: Apache-2.0
#include "tributary/run/record.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "record_catalog.hpp"

namespace tributary {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

Record reread(const Record& record) {
  const Result<Record> again = Record::from_json(record.to_json());
  EXPECT_TRUE(again.ok()) << again.status().to_string();
  return again.ok() ? *again : Record("unreadable");
}

TEST(Record, JsonStartsWithSchemaAndEventAndKeepsTheOrderOfFields) {
  Record record("round");
  record.set("zebra", 1).set("ant", 2.5);

  EXPECT_EQ(record.to_json(), R"({"schema":1,"event":"round","zebra":1,"ant":2.5})");
}

TEST(Record, EveryKindOfValueSurvivesARoundTrip) {
  Record record("all");
  record.set("integer", std::int64_t{-3})
      .set("large", std::numeric_limits<std::uint64_t>::max())
      .set("small", std::uint64_t{7})
      .set("real", 0.1)
      .set("whole_real", 4.0)
      .set("tiny", 5e-324)
      .set("yes", true)
      .set("text", "quote \" backslash \\ line\nend, \xC3\xA9")
      .set("list", std::vector<double>{1.0, 2.5, -3e300});

  EXPECT_EQ(reread(record), record);
}

TEST(Record, BooleansAndRealsAreNotTakenForIntegers) {
  Record record("kinds");
  record.set("flag", true).set("real", 1.0F);

  EXPECT_TRUE(std::holds_alternative<bool>(*record.find("flag")));
  EXPECT_TRUE(std::holds_alternative<double>(*record.find("real")));
}

TEST(Record, SettingAFieldAgainReplacesItsValue) {
  Record record("round");
  record.set("loss", 1.0).set("round", 3).set("loss", 0.5);

  ASSERT_EQ(record.fields().size(), 2U);
  EXPECT_EQ(record.number("loss"), 0.5);
}

TEST(Record, NonFiniteNumbersAreWrittenAsNullAndReadBackAsNaN) {
  Record record("round");
  record.set("loss", kInfinity).set("list", std::vector<double>{1.0, -kInfinity});

  const Record again = reread(record);

  EXPECT_EQ(record.to_json(), R"({"schema":1,"event":"round","loss":null,"list":[1,null]})");
  EXPECT_TRUE(std::isnan(std::get<double>(*again.find("loss"))));
  EXPECT_EQ(again.number("loss", -1.0), -1.0);
  EXPECT_TRUE(std::isnan(again.numbers("list")[1]));
}

TEST(Record, TextThatIsNotUtf8IsWrittenWithReplacements) {
  Record record("warning");
  record.set("text", std::string("bad \xFF byte"));

  EXPECT_EQ(reread(record).text("text"), "bad \xEF\xBF\xBD byte");
}

TEST(Record, AbsentFieldsAndFieldsOfAnotherKindGiveTheAlternative) {
  Record record("round");
  record.set("text", "seven");

  EXPECT_EQ(record.number("text", 9.0), 9.0);
  EXPECT_EQ(record.number("missing", 8.0), 8.0);
  EXPECT_EQ(record.text("missing"), "");
  EXPECT_TRUE(record.numbers("text").empty());
}

TEST(Record, WrongLinesAreBadDataWithAReason) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "not JSON"},
      {"{", "not JSON"},
      {"{\"schema\":1,\"event\":\"\x1b[31m", "a record is not JSON from byte 22 on"},
      {R"({"schema":1,"event":"x","n":1e999})", "a record holds a number that is out of range"},
      {"[1]", "a record is a JSON array"},
      {R"({"event":"round"})", "no \"schema\""},
      {R"({"schema":"1","event":"round"})", "no \"schema\""},
      {R"({"schema":2,"event":"round"})", "schema 2"},
      {R"({"schema":1})", "no \"event\""},
      {R"({"schema":1,"event":7})", "no \"event\""},
      {R"({"schema":1,"event":"x","deep":{"a":1}})", "field \"deep\""},
      {R"({"schema":1,"event":"x","mixed":[1,"a"]})", "field \"mixed\""},
      {R"({"schema":1,"event":"x","nested":[[1]]})", "field \"nested\""},
  };

  for (const auto& [line, expected] : cases) {
    const Result<Record> record = Record::from_json(line);

    ASSERT_FALSE(record.ok()) << line;
    EXPECT_EQ(record.status().code(), Code::kBadData) << line;
    EXPECT_NE(record.status().message().find(expected), std::string::npos) << record.status().message();
  }
}

TEST(Record, AHostilelyDeepLineIsRefusedQuickly) {
  const std::string deep =
      R"({"schema":1,"event":"x","a":)" + std::string(200'000, '[') + std::string(200'000, ']') + "}";

  EXPECT_EQ(Record::from_json(deep).status().code(), Code::kBadData);
}

TEST(RecordCatalog, NamesAreUniqueAndEveryEventIsInTheReference) {
  const std::string reference = record_reference();
  ASSERT_GE(record_events().size(), 5U);

  for (const EventInfo& event : record_events()) {
    EXPECT_EQ(find_event(event.name), &event);
    EXPECT_NE(reference.find("### `" + std::string(event.name) + "`"), std::string::npos);
    for (const FieldInfo& field : event.fields) {
      EXPECT_EQ(std::count_if(event.fields.begin(), event.fields.end(),
                              [&field](const FieldInfo& other) { return other.name == field.name; }),
                1)
          << event.name << "." << field.name;
    }
  }
  EXPECT_EQ(find_event("no such event"), nullptr);
}

}  // namespace
}  // namespace tributary
