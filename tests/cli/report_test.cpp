// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "program.hpp"
#include "report/compare_page.hpp"
#include "report/report.hpp"
#include "report/report_page.hpp"
#include "report/run_data.hpp"
#include "support/scratch_directory.hpp"
#include "tributary/base/printable.hpp"
#include "tributary/run/record_sinks.hpp"

namespace tributary::cli {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

Record round_record(int number, double accuracy, double loss) {
  Record record("round");
  record.set("round", number).set("version", number).set("outcome", "committed").set("seconds", 2.0);
  record.set("train_seconds", 3.0).set("merge_seconds", 0.1).set("evaluate_seconds", 0.2);
  record.set("selected", 2).set("reported", 2).set("contributors", 4).set("train_loss", loss + 0.1);
  record.set("accuracy", accuracy).set("loss", loss).set("bytes_down", 1000).set("bytes_up", 1000);
  return record;
}

std::vector<Record> whole_run(const std::string& name, double rate) {
  std::vector<Record> records;
  records.push_back(Record("run").set("name", name).set("rounds", 3).set("clients", 4).set("threads", 2));
  for (int client = 0; client < 4; ++client) {
    records.push_back(Record("labels").set("client", client).set("counts", std::vector<double>{3.0, 0.0, 9.0}));
  }
  for (int number = 1; number <= 3; ++number) {
    records.push_back(Record("tier").set("round", number).set("tier", 1).set("nodes", 2).set("bytes_down", 400));
    records.push_back(Record("tier").set("round", number).set("tier", 2).set("nodes", 4).set("bytes_down", 600));
    records.push_back(round_record(number, rate * number, 1.0 / number));
  }
  const int parents[] = {0, 0, 1, 1, 2, 2};
  for (int child = 1; child <= 6; ++child) {
    records.push_back(Record("edge")
                          .set("child", child)
                          .set("parent", parents[child - 1])
                          .set("child_name", "node-" + std::to_string(child))
                          .set("bytes_down", 500)
                          .set("bytes_up", 500)
                          .set("messages", 6));
  }
  records.push_back(Record("fault").set("round", 2).set("node", "node-3").set("kind", "drop").set("detail", "lost"));
  records.push_back(Record("where").set("process", 0).set("host", "here").set("nodes", 7));
  records.push_back(
      Record("end").set("outcome", "finished").set("rounds", 3).set("seconds", 6.5).set("model_sha256", "ab12"));
  return records;
}

class Report : public ::testing::Test {
 protected:
  std::filesystem::path write_run(const std::string& directory, const std::vector<Record>& records,
                                  const std::string& configuration = "") {
    std::filesystem::create_directory(scratch_ / directory);
    std::string text;
    for (const Record& record : records) { text += record.to_json() + "\n"; }
    scratch_.write(directory + "/records.jsonl", text);
    if (!configuration.empty()) { scratch_.write(directory + "/configuration.yaml", configuration); }
    return scratch_ / directory;
  }

  std::string page_of(const std::vector<Record>& records, const std::string& configuration = "") {
    const Result<RunData> data = read_run(real_file_system(), write_run("run", records, configuration));
    EXPECT_TRUE(data.ok()) << data.status().to_string();
    return data.ok() ? report_page(*data) : std::string();
  }

  testing::ScratchDirectory scratch_;
};

// Every element is closed in order, and no text has a stray '<': what an XML parser would insist on.
::testing::AssertionResult is_balanced(const std::string& html) {
  std::vector<std::string> open;
  for (std::size_t at = html.find('<'); at != std::string::npos; at = html.find('<', at + 1)) {
    const std::size_t end = html.find('>', at);
    if (end == std::string::npos) { return ::testing::AssertionFailure() << "an element does not end"; }
    const std::string element = html.substr(at + 1, end - at - 1);
    const std::string name = element.substr(element.starts_with("/") ? 1 : 0,
                                            element.find_first_of(" /", 1) - (element.starts_with("/") ? 1 : 0));
    if (element.starts_with("!") || element.ends_with("/") || name == "meta") { continue; }
    if (!element.starts_with("/")) {
      open.push_back(name);
      continue;
    }
    if (open.empty() || open.back() != element.substr(1)) {
      return ::testing::AssertionFailure()
             << "</" << element.substr(1) << "> closes <" << (open.empty() ? "" : open.back()) << ">";
    }
    open.pop_back();
  }
  if (!open.empty()) { return ::testing::AssertionFailure() << "<" << open.back() << "> is never closed"; }
  return ::testing::AssertionSuccess();
}

TEST_F(Report, ShowsEverySectionOfAWholeRun) {
  const std::string page = page_of(whole_run("demo", 0.3), "schema: 1\nname: demo\n");

  for (const char* section : {"Learning", "Time", "The tree and its traffic", "Labels over clients", "What ran where",
                              "Faults and rejections", "Configuration, as resolved"}) {
    EXPECT_TRUE(contains(page, section)) << section;
  }
  EXPECT_TRUE(contains(page, "90.00 %"));
  EXPECT_TRUE(contains(page, "node-6"));
  EXPECT_TRUE(is_balanced(page));
}

Record where_record(int rank, bool lost = false) {
  Record record("where");
  record.set("process", rank).set("host", "node-" + std::to_string(rank / 2)).set("rank", rank).set("nodes", 3);
  record.set("clients_trained", 40 + rank).set("train_seconds", 9.0).set("merge_seconds", 0.25);
  record.set("send_seconds", 0.5).set("wait_seconds", 1.25).set("bytes_sent", 7000).set("bytes_received", 8000);
  return record.set("lost", lost);
}

Record edge_record(int child, int parent, int tier, double sending, double waiting) {
  Record record("edge");
  record.set("child", child).set("parent", parent).set("child_name", "node-" + std::to_string(child));
  record.set("tier", tier).set("messages", 6).set("bytes_down", 500).set("bytes_up", 600);
  return record.set("send_seconds", sending).set("wait_seconds", waiting);
}

// The rows of the table below that heading.
std::size_t rows_below(const std::string& page, const std::string& heading) {
  const std::size_t begin = page.find("<tbody>", page.find("<h2>" + heading));
  const std::string table = page.substr(begin, page.find("</tbody>", begin) - begin);
  std::size_t rows = 0;
  for (std::size_t at = table.find("<tr>"); at != std::string::npos; at = table.find("<tr>", at + 1)) { ++rows; }
  return rows;
}

TEST_F(Report, OneProcessIsOneLineWithoutRanksAndWaits) {
  const std::string page = page_of(whole_run("alone", 0.3));

  EXPECT_EQ(rows_below(page, "What ran where"), 1U);
  for (const char* word : {"Time by rank", "Slowest edges", "waiting</th>", "<th>rank"}) {
    EXPECT_FALSE(contains(page, word)) << word;
  }
}

TEST_F(Report, EachRankHasABarAndARowWithAllThatWasMeasured) {
  std::vector<Record> records{Record("run").set("name", "job").set("driver", "mpi").set("threads", 2)};
  for (int rank = 0; rank < 3; ++rank) { records.push_back(where_record(rank)); }

  const std::string page = page_of(records);

  EXPECT_TRUE(contains(page, "<span>3 ranks</span>"));
  EXPECT_TRUE(contains(page, "Time by rank"));
  EXPECT_TRUE(contains(page, ">rank 2</text>"));
  EXPECT_EQ(rows_below(page, "What ran where"), 3U);
  EXPECT_TRUE(contains(page,
                       "<tr><td>2</td><td>node-1</td><td class=\"n\">3</td><td class=\"n\">42</td>"
                       "<td class=\"n\">9.00 s</td><td class=\"n\">250 ms</td><td class=\"n\">500 ms</td>"
                       "<td class=\"n\">1.25 s</td><td class=\"n\">7.00 kB</td><td class=\"n\">8.00 kB</td></tr>"));
  EXPECT_FALSE(contains(page, "lost"));
  EXPECT_TRUE(is_balanced(page));
}

TEST_F(Report, LostRanksAreNamedInWords) {
  const std::string page = page_of({where_record(0), where_record(1, true), where_record(2)});

  EXPECT_TRUE(contains(page, "1 of 3 ranks lost: rank 1 on node-0."));
  EXPECT_TRUE(contains(page, ">rank 1, lost</text>"));
  EXPECT_TRUE(contains(page, "<b>lost</b>"));
  EXPECT_TRUE(is_balanced(page));
}

TEST_F(Report, AThousandRanksAreAveragedInTheirChart) {
  std::vector<Record> records;
  for (int rank = 0; rank < 1000; ++rank) { records.push_back(where_record(rank, rank % 10 == 3)); }

  const std::string page = page_of(records);

  EXPECT_TRUE(contains(page, ">rank 0 to 9, mean</text>"));
  EXPECT_TRUE(contains(page, "rank 193 on node-96 and 80 more."));
  EXPECT_TRUE(contains(page, "The first 500 of 1000 ranks"));
  EXPECT_LT(page.size(), 500'000U);
  EXPECT_TRUE(is_balanced(page));
}

TEST_F(Report, TheSlowestEdgesOfEachTierAreShownAndThoseSlowestToSend) {
  std::vector<Record> records;
  for (int child = 1; child <= 8; ++child) { records.push_back(edge_record(child, 0, 1, 0.0, 50.0 + child)); }
  for (int child = 9; child <= 2048; ++child) {
    records.push_back(edge_record(child, 1 + child % 8, 2, child == 77 ? 3.5 : 0.0, child * 0.01));
  }

  const std::string page = page_of(records);

  EXPECT_TRUE(contains(page, "11 of 2,048 edges"));
  EXPECT_EQ(rows_below(page, "Slowest edges"), 11U) << "five of each tier by waiting, one by sending";
  EXPECT_TRUE(contains(page, "<td>node-8</td><td>root</td><td class=\"n\">1</td><td class=\"n\"><b>58.0 s</b></td>"));
  EXPECT_TRUE(contains(page, "<td>node-2048</td><td>node-1</td><td class=\"n\">2</td><td class=\"n\"><b>20.5 s</b>"));
  EXPECT_TRUE(contains(page, "<td class=\"n\">770 ms</td><td class=\"n\"><b>3.50 s</b></td>"));
  EXPECT_FALSE(contains(page, "<td>node-3</td><td>root"));
  EXPECT_TRUE(is_balanced(page));
}

TEST_F(Report, WithoutPayloadsBetweenRanksThereIsNoColumnForSending) {
  const std::string page = page_of({edge_record(1, 0, 1, 0.0, 2.0), edge_record(2, 0, 1, 0.0, 0.0)});

  EXPECT_EQ(rows_below(page, "Slowest edges"), 1U);
  EXPECT_FALSE(contains(page, "sending"));
}

TEST_F(Report, TrainingOnSeveralRanksTakesNoMoreThanTheRound) {
  const Record run = Record("run").set("name", "job").set("driver", "mpi").set("threads", 1);
  const Record round = Record("round").set("round", 1).set("seconds", 4.0).set("train_seconds", 9.0);

  const std::string ended = page_of({run, round, where_record(0), where_record(1), where_record(2)});
  const std::string begun = page_of({run, round});

  EXPECT_TRUE(contains(ended, "<td class=\"n\">3.00 s</td><td class=\"n\">75.0 %</td>"));
  EXPECT_TRUE(contains(begun, "<td class=\"n\">4.00 s</td><td class=\"n\">100.0 %</td>"));
}

TEST_F(Report, OnlyASimulationHasATimeOfItsOwn) {
  const Record round = Record("round").set("round", 1).set("virtual_seconds", 5.0);

  EXPECT_TRUE(contains(page_of({Record("run").set("driver", "simulation"), round}), "Simulated time"));
  EXPECT_FALSE(contains(page_of({Record("run").set("driver", "mpi"), round}), "Simulated time"));
}

TEST_F(Report, ARunResumedOnFewerRanksShowsThoseAlone) {
  const Record run = Record("run").set("name", "job").set("driver", "mpi");

  const std::string page =
      page_of({run, where_record(0), where_record(1), where_record(2, true), run, where_record(0), where_record(1)});

  EXPECT_EQ(rows_below(page, "What ran where"), 2U);
  EXPECT_FALSE(contains(page, "lost"));
}

TEST_F(Report, LoadsNothingAndRunsNoScript) {
  const std::string page = page_of(whole_run("demo", 0.3));

  EXPECT_TRUE(contains(page, "default-src 'none'"));
  for (const char* word :
       {"<script", "<link", "<img", "<iframe", "@import", "src=", "href=\"http", "url(http", "onload"}) {
    EXPECT_FALSE(contains(page, word)) << word;
  }
}

TEST_F(Report, HostileTextIsEscapedEverywhere) {
  const std::string evil = "<script>alert('x')</script>\"&\u202e\x1b[31m\xff";
  std::vector<Record> records = whole_run(evil, 0.3);
  records.push_back(Record("warning").set("text", evil));
  records.push_back(Record("where").set("process", 1).set("host", evil).set("lost", true));
  records.push_back(Record("edge").set("child", 6).set("parent", 2).set("child_name", evil).set("wait_seconds", 1.0));
  records.push_back(Record("fault").set("round", 1).set("kind", evil).set("detail", evil).set("node", evil));
  records.push_back(Record("end").set("outcome", evil).set("error", evil));

  const std::string page = page_of(records, "name: '" + std::string("<script>") + "'\n");

  EXPECT_FALSE(contains(page, "<script"));
  EXPECT_FALSE(contains(page, "alert('x')"));
  EXPECT_TRUE(contains(page, "&lt;script&gt;"));
  EXPECT_TRUE(contains(page, "\\u202e\\x1b[31m"));
  EXPECT_EQ(printable_lines(page), page);
  EXPECT_TRUE(is_balanced(page));
}

TEST_F(Report, ARunThatHasOnlyBegunStillHasAPage) {
  EXPECT_TRUE(is_balanced(page_of({})));
  const std::string begun = page_of({Record("run").set("name", "begun")});

  EXPECT_TRUE(contains(begun, "unfinished"));
  EXPECT_TRUE(contains(begun, "Nothing was measured."));
  EXPECT_TRUE(is_balanced(begun));
}

TEST_F(Report, AbsentAndAbsurdFieldsDoNoHarm) {
  const std::string page = page_of({
      Record("run").set("name", 7).set("threads", -1.0).set("clients", kNaN),
      Record("round"),
      Record("round").set("round", 2).set("accuracy", kNaN).set("seconds", -3.0).set("train_seconds", 1e300),
      Record("round").set("round", 3).set("accuracy", -1e9).set("loss", 1e300),
      Record("labels").set("client", -4).set("counts", std::vector<double>{kNaN, -1.0, 1e18}),
      Record("labels").set("client", 1).set("counts", "many"),
      Record("edge").set("child", 1e18).set("parent", -1).set("send_seconds", 1e300).set("wait_seconds", -1.0),
      Record("edge").set("child", 2).set("tier", -7).set("wait_seconds", kNaN),
      Record("where").set("process", -1).set("train_seconds", 1e308).set("wait_seconds", 1e308).set("lost", "yes"),
      Record("where").set("process", 9).set("train_seconds", kNaN).set("send_seconds", -4.0).set("lost", true),
      Record("tier").set("tier", -1),
      Record("fault"),
      Record("an event of the future").set("x", 1),
  });

  EXPECT_TRUE(is_balanced(page));
}

TEST_F(Report, EdgesThatAreNoTreeAreNotDrawn) {
  const std::string page =
      page_of({Record("edge").set("child", 1).set("parent", 2), Record("edge").set("child", 2).set("parent", 1)});

  EXPECT_TRUE(is_balanced(page));
}

TEST_F(Report, ManyClientsAreSummarised) {
  std::vector<Record> records{Record("run").set("name", "wide")};
  for (int client = 0; client < 300; ++client) {
    records.push_back(Record("labels").set("client", client).set("counts", std::vector<double>(10, client)));
  }

  const std::string page = page_of(records);

  EXPECT_TRUE(contains(page, "64 of 300 clients"));
  EXPECT_TRUE(contains(page, "class 9: 0 to 299, mean 149.5"));
  EXPECT_TRUE(is_balanced(page));
}

TEST_F(Report, ALabelSummaryBecomesRanges) {
  const std::string page = page_of({Record("labels_summary")
                                        .set("clients", 100'000)
                                        .set("mean", std::vector<double>{2.0, 3.0})
                                        .set("min", std::vector<double>{0.0, 1.0})
                                        .set("max", std::vector<double>{5.0, 9.0})});

  EXPECT_TRUE(contains(page, "class 1: 1 to 9, mean 3.0"));
}

TEST_F(Report, TenThousandRoundsStayASmallPage) {
  std::vector<Record> records{Record("run").set("name", "long")};
  for (int number = 1; number <= 10'000; ++number) { records.push_back(round_record(number, 0.5, 1.0)); }

  EXPECT_LT(page_of(records).size(), 2'000'000U);
}

TEST_F(Report, ARoundThatWasDoneAgainCountsOnce) {
  const std::filesystem::path run =
      write_run("again", {round_record(1, 0.1, 1.0), round_record(2, 0.2, 1.0), round_record(2, 0.3, 1.0)});

  const Result<RunData> data = read_run(real_file_system(), run);

  ASSERT_TRUE(data.ok());
  ASSERT_EQ(data->rounds.size(), 2U);
  EXPECT_EQ(data->rounds.back().number("accuracy"), 0.3);
}

TEST_F(Report, CommandWritesThePageIntoTheRunDirectory) {
  const std::filesystem::path run_directory = write_run("one", whole_run("one", 0.3));

  const Outcome outcome = run({"report", run_directory.string()});

  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(outcome.out, (run_directory / "report.html").string() + "\n");
  EXPECT_TRUE(contains(scratch_.read("one/report.html"), "<h1>one"));
}

TEST_F(Report, CommandComparesRunsAndNamesTheBestAndTheDifferences) {
  const std::string a = write_run("a", whole_run("slow", 0.2), "seed: 1\ndata: {alpha: 0.5, sizes: [1, 2]}\n").string();
  const std::string b = write_run("b", whole_run("fast", 0.3), "seed: 1\ndata: {alpha: 0.1, sizes: [1, 2]}\n").string();
  const std::string page = (scratch_ / "both.html").string();

  const Outcome text = run({"report", a, b, "-o", page});
  const Outcome json = run({"report", a, b, "-o", page, "--json"});

  EXPECT_EQ(text.exit_code, 0) << text.err;
  EXPECT_TRUE(contains(text.out, "90.00 % *")) << text.out;
  EXPECT_TRUE(contains(text.out, "rounds to 60.0 %")) << text.out;
  EXPECT_TRUE(contains(text.out, "data.alpha")) << text.out;
  EXPECT_TRUE(contains(text.out, "the same, bit for bit")) << text.out;
  EXPECT_FALSE(contains(text.out, "seed")) << "only what differs";
  EXPECT_EQ(json.json().at("differences"), nlohmann::json::parse(R"({"data.alpha":["0.5","0.1"]})"));
  EXPECT_EQ(json.json().at("runs").size(), 2U);
  EXPECT_TRUE(is_balanced(scratch_.read("both.html")));
}

// Some programs report an accuracy of 85 and mean per cent.
std::vector<Record> run_in_per_cent(const std::string& name, double rate) {
  std::vector<Record> records = whole_run(name, rate);
  for (Record& record : records) {
    if (record.event() == "round") { record.set("accuracy", 100.0 * record.number("accuracy")); }
  }
  return records;
}

TEST_F(Report, AccuraciesBeyondOneAreShownAsTheyAre) {
  const std::string page = page_of(run_in_per_cent("points", 0.3));

  EXPECT_TRUE(contains(page, "<div class=\"value\">90</div>"));
  EXPECT_TRUE(contains(page, "best 90 in round 3"));
  EXPECT_FALSE(contains(page, "9000"));
  EXPECT_TRUE(is_balanced(page));
}

TEST_F(Report, RunsThatReportInPerCentAreComparedAmongThemselves) {
  const std::string a = write_run("a", run_in_per_cent("a", 0.2)).string();
  const std::string b = write_run("b", run_in_per_cent("b", 0.3)).string();

  const Outcome outcome = run({"report", a, b, "-o", (scratch_ / "both.html").string()});

  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_TRUE(contains(outcome.out, "90 *")) << outcome.out;
  EXPECT_TRUE(contains(outcome.out, "rounds to 60 ")) << outcome.out;
  EXPECT_FALSE(contains(outcome.out, "%")) << outcome.out;
}

TEST_F(Report, SharesAndPointsAreNotCompared) {
  const std::string shares = write_run("shares", whole_run("shares", 0.3)).string();
  const std::string points = write_run("points", run_in_per_cent("points", 0.2)).string();

  const Outcome outcome = run({"report", shares, points, "-o", (scratch_ / "both.html").string()});

  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_TRUE(contains(outcome.out, "90.00 %  ")) << outcome.out;
  EXPECT_FALSE(contains(outcome.out, "60 *")) << outcome.out;
  EXPECT_FALSE(contains(outcome.out, "rounds to")) << outcome.out;
  EXPECT_TRUE(contains(outcome.out, "the two are not compared")) << outcome.out;
  const std::string page = scratch_.read("both.html");
  EXPECT_TRUE(contains(page, "the two are not compared"));
  EXPECT_TRUE(is_balanced(page));
}

TEST_F(Report, RunsOfOneNameAreToldApart) {
  const Result<RunData> a = read_run(real_file_system(), write_run("a", whole_run("same", 0.2)));
  const Result<RunData> b = read_run(real_file_system(), write_run("b", whole_run("same", 0.3)));

  const std::vector<RunData> runs{*a, *b};
  const Comparison comparison = compare(runs);

  EXPECT_NE(comparison.names[0], comparison.names[1]);
}

TEST_F(Report, ADirectoryWithoutRecordsIsNotFound) {
  const Outcome outcome = run({"report", scratch_.path().string()});

  EXPECT_EQ(outcome.exit_code, 66);
  EXPECT_TRUE(contains(outcome.err, "is no run directory: it has no records.jsonl"));
}

TEST_F(Report, CsvIsWrittenFromTheRecords) {
  const std::filesystem::path run_directory = write_run("csv", whole_run("csv", 0.3));

  ASSERT_TRUE(write_csv(run_directory).ok());

  const std::string text = scratch_.read("csv/records.csv");
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 4);
}

TEST(FlattenYaml, GivesDottedKeysAndListsAsOneValue) {
  const auto settings = flatten_yaml("a: {b: 1, c: [x, y]}\nd: [{e: 2}]\nf:\n");

  EXPECT_EQ(settings,
            (std::map<std::string, std::string>{{"a.b", "1"}, {"a.c", "[x, y]"}, {"d[0].e", "2"}, {"f", "~"}}));
  EXPECT_TRUE(flatten_yaml("a: [").empty());
}

}  // namespace
}  // namespace tributary::cli
