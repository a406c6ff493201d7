// SPDX-License-Identifier: Apache-2.0
#include "report/report_page.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <limits>
#include <map>
#include <span>

#include "report/chart.hpp"
#include "report/label_chart.hpp"
#include "report/page.hpp"
#include "report/report_processes.hpp"
#include "report/tree_drawing.hpp"
#include "tributary/base/human.hpp"
#include "tributary/base/version.hpp"
#include "tributary/run/time_shares.hpp"

namespace tributary::cli {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr std::size_t kMaxTableRows = 500;
constexpr std::size_t kMaxFaultRows = 100;

std::string plain_number(double value) {
  return fmt::format("{:g}", value);
}

Series series_of(const RunData& data, std::string_view field, std::string name, std::size_t color) {
  Series series{std::move(name), color, {}};
  for (const Record& round : data.rounds) {
    if (const double value = round.number(field, kNaN); std::isfinite(value)) {
      series.points.emplace_back(round.number("round"), value);
    }
  }
  return series;
}

std::uint64_t abandoned_rounds(const RunData& data) {
  return static_cast<std::uint64_t>(std::count_if(data.rounds.begin(), data.rounds.end(),
                                                  [](const Record& r) { return r.text("outcome") == "abandoned"; }));
}

// Only there a clock of its own passes.
bool is_simulation(const RunData& data) {
  return data.run.text("driver") == "simulation";
}

void header(Page& page, const RunData& data) {
  std::string facts;
  const auto fact = [&facts](std::string_view text) {
    if (!text.empty()) { fmt::format_to(std::back_inserter(facts), "<span>{}</span>", escape_html(text)); }
  };
  const Record& run = data.run;
  if (run.find("tiers") != nullptr) { fact(human_plural(saturated_count(run.number("tiers")), "tier")); }
  if (run.number("aggregators") > 0) { fact(human_plural(saturated_count(run.number("aggregators")), "aggregator")); }
  if (run.find("clients") != nullptr) { fact(human_plural(saturated_count(run.number("clients")), "client")); }
  if (run.find("parameters") != nullptr) { fact(human_plural(saturated_count(run.number("parameters")), "parameter")); }
  if (run.find("seed") != nullptr) { fact(fmt::format("seed {}", whole_field(run, "seed"))); }
  if (data.where.size() > 1) {
    fact(human_plural(data.where.size(), "rank"));
  } else if (run.number("threads") > 0) {
    fact(human_plural(saturated_count(run.number("threads")), "thread"));
  }
  fact(run.text("driver"));
  fact(run.text("host"));
  fact(run.text("started"));
  if (data.starts > 1) {
    fact(fmt::format("resumed {}", data.starts == 2 ? "once" : fmt::format("{} times", data.starts - 1)));
  }
  page << fmt::format(
      "<header><div class=\"eyebrow\">Tributary run</div><h1>{}<span class=\"pill {}\">{}</span></h1>"
      "<div class=\"facts\">{}</div></header>\n",
      escape_html(data.name), escape_html(data.outcome()), escape_html(data.outcome()), facts);
  if (!data.end.text("error").empty()) {
    page << fmt::format("<p class=\"alert bad\">{}</p>\n", escape_html(data.end.text("error")));
  }
  for (const std::string& warning : data.warnings) {
    page << fmt::format("<p class=\"alert\">{}</p>\n", escape_html(warning));
  }
}

void key_numbers(Page& page, const RunData& data) {
  std::vector<Page::Tile> tiles;
  if (const double accuracy = data.last("accuracy"); std::isfinite(accuracy)) {
    const Record* best = data.best_round();
    tiles.push_back({"Test accuracy", data.accuracy_text(accuracy),
                     best == nullptr
                         ? ""
                         : fmt::format("best {} in round {:.0f}", data.accuracy_text(best->number("accuracy")),
                                       best->number("round"))});
  }
  if (const double loss = data.last("loss"); std::isfinite(loss)) {
    const double training = data.last("train_loss");
    tiles.push_back(
        {"Test loss", human_metric(loss), std::isfinite(training) ? "training " + human_metric(training) : ""});
  }
  if (const double accuracy = data.last("holdout_accuracy"); std::isfinite(accuracy)) {
    tiles.push_back(
        {"Accuracy at clients", data.accuracy_text(accuracy),
         fmt::format("on {} that {} hold out", human_plural(saturated_count(data.last("holdout_samples")), "sample"),
                     human_plural(saturated_count(data.last("holdout_clients")), "client"))});
  }
  const double rounds = data.end.number("rounds", static_cast<double>(data.rounds.size()));
  const double asked = data.run.number("rounds");
  tiles.push_back({"Rounds", human_count(saturated_count(rounds)),
                   asked > 0 ? fmt::format("of {}", human_count(saturated_count(asked))) : ""});
  tiles.push_back({"Time", human_duration(data.seconds()),
                   data.rounds.empty()
                       ? ""
                       : fmt::format("{} per round",
                                     human_duration(data.total("seconds") / static_cast<double>(data.rounds.size())))});
  if (const double moved = data.bytes_moved(); moved > 0) {
    tiles.push_back(
        {"Moved", human_bytes(moved),
         fmt::format("{} down, {} up", human_bytes(data.total("bytes_down")), human_bytes(data.total("bytes_up")))});
  }
  if (const double updates = data.total("contributors"); updates > 0) {
    const double committed = static_cast<double>(data.rounds.size()) - static_cast<double>(abandoned_rounds(data));
    tiles.push_back({"Client updates", human_count(saturated_count(updates)),
                     committed > 0 ? fmt::format("{:.4g} per round", updates / committed) : ""});
  }
  if (const double memory = data.end.number("max_rss_bytes"); memory > 0) {
    tiles.push_back({"Memory", human_bytes(memory), data.where.size() > 1 ? "of rank 0, at most" : "at most"});
  }
  if (const double simulated = data.total("virtual_seconds"); is_simulation(data) && simulated > 0) {
    tiles.push_back({"Simulated time", human_duration(simulated), "by the virtual clock"});
  }
  page.tiles(tiles);
}

LineChart chart_by_round(std::string description, NumberFormat y_format) {
  LineChart chart;
  chart.description = std::move(description);
  chart.x_title = "round";
  chart.x_format = plain_number;
  chart.y_format = std::move(y_format);
  return chart;
}

std::string four_digits(double value) {
  return fmt::format("{:.4g}", value);
}

// What it took to get there: time by the virtual clock if there is one, and bytes over all edges.
std::string reached(const RunData& data) {
  constexpr std::array kLevels{0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.99};
  const bool simulated = data.total("virtual_seconds") > 0;
  Page::Table table{
      {"accuracy", "round", simulated ? "simulated time" : "time", "bytes"}, {false, true, true, true}, {}};
  double time = 0.0;
  double bytes = 0.0;
  auto level = kLevels.begin();
  for (const Record& round : data.rounds) {
    time += std::max(round.number(simulated ? "virtual_seconds" : "seconds", 0.0), 0.0);
    bytes += std::max(round.number("bytes_down", 0.0), 0.0) + std::max(round.number("bytes_up", 0.0), 0.0);
    if (round.find("accuracy") == nullptr) { continue; }
    for (; level != kLevels.end() && round.number("accuracy") >= *level; ++level) {
      table.rows.push_back({human_percent(*level, 0), human_count(saturated_count(round.number("round"))),
                            human_duration(time), human_bytes(bytes)});
    }
  }
  return data.accuracy_is_share && !table.rows.empty() ? Page::table(table) : std::string();
}

void learning(Page& page, const RunData& data) {
  LineChart accuracy = chart_by_round("Accuracy by round", accuracy_format(data.accuracy_is_share));
  if (data.accuracy_is_share) { accuracy.y_most = 1.0; }
  accuracy.area = true;
  accuracy.series = {series_of(data, "accuracy", "held-out data", 0),
                     series_of(data, "client_accuracy", "clients' own data", 1),
                     series_of(data, "holdout_accuracy", "what clients hold out", 3)};
  LineChart loss = chart_by_round("Loss by round", four_digits);
  loss.series = {series_of(data, "loss", "held-out data", 0), series_of(data, "train_loss", "while training", 2),
                 series_of(data, "client_loss", "clients' own data", 1),
                 series_of(data, "holdout_loss", "what clients hold out", 3)};
  page.open_section("Learning");
  page << "<div class=\"cards\">\n";
  page.card("Accuracy", line_chart(accuracy));
  page.card("Loss", line_chart(loss));
  if (const std::string table = reached(data); !table.empty()) { page.card("Reached", table); }
  page << "</div>\n";
  page.close_section();
}

// How many updates were how stale, over the whole run.
std::string staleness_bars(const RunData& data) {
  std::vector<double> counts;
  for (const Record& record : data.staleness) {
    const std::span<const double> here = record.numbers("updates");
    counts.resize(std::max(counts.size(), std::min<std::size_t>(here.size(), 64)));
    for (std::size_t i = 0; i < std::min(here.size(), counts.size()); ++i) { counts[i] += std::max(here[i], 0.0); }
  }
  if (counts.empty()) { return {}; }
  StackedBars chart;
  chart.description = "Updates by staleness";
  chart.x_title = "staleness of at most";
  chart.y_format = [](double value) { return value == std::floor(value) ? plain_number(value) : std::string(); };
  chart.names = {"updates"};
  chart.colors = {0};
  for (std::size_t place = 0; place < counts.size(); ++place) {
    const double most = place <= 2 ? static_cast<double>(place) : std::ldexp(1.0, static_cast<int>(place) - 1);
    chart.bars.push_back({plain_number(most), most, {counts[place]}});
  }
  return stacked_bars(chart);
}

// How busy clients were, and how old the models that their updates came from.
void asynchrony(Page& page, const RunData& data) {
  LineChart staleness = chart_by_round("Staleness by round", four_digits);
  staleness.series = {series_of(data, "staleness_max", "most", 4), series_of(data, "staleness_mean", "mean", 0),
                      series_of(data, "staleness_min", "least", 2)};
  LineChart idle = chart_by_round("Idle share of clients by round", accuracy_format(true));
  idle.y_most = 1.0;
  idle.area = true;
  idle.series = {series_of(data, "idle_share", "idle", 1)};
  LineChart by_time;
  by_time.description = "Accuracy by simulated time";
  by_time.x_title = "simulated time";
  by_time.x_format = human_duration;
  by_time.y_format = accuracy_format(data.accuracy_is_share);
  if (data.accuracy_is_share) { by_time.y_most = 1.0; }
  Series accuracy{"held-out data", 0, {}};
  double now = 0.0;
  double idle_time = 0.0;
  for (const Record& round : data.rounds) {
    now += round.number("virtual_seconds", 0.0);
    idle_time += round.number("idle_share", 0.0) * round.number("virtual_seconds", 0.0);
    if (round.find("accuracy") != nullptr) { accuracy.points.emplace_back(now, round.number("accuracy")); }
  }
  by_time.series = {std::move(accuracy)};
  const bool stale = !staleness.series[1].points.empty();
  const bool idles = !idle.series[0].points.empty();
  if (!stale && !idles) { return; }
  page.open_section(
      "Work and waiting",
      stale ? "Staleness: how many commits of the root were made between the model that an update came from "
              "and the one that it was added to."
            : "");
  page << "<div class=\"cards\">\n";
  if (stale) { page.card("Staleness of updates", line_chart(staleness)); }
  if (const std::string bars = staleness_bars(data); !bars.empty()) { page.card("How many were how stale", bars); }
  if (idles) {
    page.card("Idle share of clients", line_chart(idle),
              fmt::format("In all {} of the clients' time: they waited for others, or were not asked.",
                          human_percent(now > 0 ? idle_time / now : 0.0, 1)));
  }
  if (idles && !by_time.series[0].points.empty()) { page.card("Accuracy by simulated time", line_chart(by_time)); }
  page << "</div>\n";
  page.close_section();
}

constexpr std::array<std::string_view, 5> kPhases{"train", "merge", "evaluate", "checkpoint", "other"};
constexpr std::array<std::size_t, 5> kPhaseColors{0, 1, 2, 3, 7};

std::vector<double> phases_of(const TimeShares& shares) {
  return {shares.training, shares.merging, shares.evaluation, shares.checkpoints, shares.other};
}

void time(Page& page, const RunData& data) {
  TimeAccount account;
  account.set_run(data.run);
  for (const Record& process : data.where) { account.add_process(process); }
  StackedBars chart;
  chart.description = "Time of each round by phase";
  chart.x_title = "round";
  chart.y_format = human_duration;
  chart.names.assign(kPhases.begin(), kPhases.end());
  chart.colors.assign(kPhaseColors.begin(), kPhaseColors.end());
  for (const Record& round : data.rounds) {
    chart.bars.push_back(
        {plain_number(round.number("round")), round.number("round"), phases_of(account.shares_of(round))});
    account.add_round(round);
  }
  const std::vector<double> totals = phases_of(account.shares());
  double sum = 0.0;
  for (const double total : totals) { sum += total; }
  std::vector<std::string> values;
  Page::Table table{{"phase", "time", "share"}, {false, true, true}, {}};
  for (std::size_t i = 0; i < totals.size(); ++i) {
    const std::string share = sum > 0 ? human_percent(totals[i] / sum, 1) : "–";
    values.push_back(share);
    table.rows.push_back({fmt::format("<span class=\"legend\"><span><i class=\"c{}\"></i>{}</span></span>",
                                      kPhaseColors.at(i), kPhases.at(i)),
                          human_duration(totals[i]), share});
  }
  page.open_section("Time", fmt::format("Training time is summed over {} and divided by their number; “other” is what "
                                        "remains of a round: waiting, moving bytes, threads without work.",
                                        data.where.size() > 1 ? "the threads of all ranks" : "threads"));
  page << "<div class=\"cards\">\n";
  page.card("Per round", legend(chart.names, chart.colors, values) + stacked_bars(chart));
  page.card("In all", Page::table(table));
  page << "</div>\n";
  page.close_section();
}

void traffic(Page& page, const RunData& data) {
  const std::string drawing = tree_drawing(data);
  struct Sum {
    double nodes = 0.0, messages = 0.0, down = 0.0, up = 0.0, merge = 0.0, rounds = 0.0, idle = 0.0, time = 0.0;
  };
  std::map<std::uint64_t, double> times;  // by the virtual clock, of each round
  for (const Record& round : data.rounds) {
    times[saturated_count(round.number("round"))] = std::max(round.number("virtual_seconds", 0.0), 0.0);
  }
  std::map<std::uint64_t, Sum> tiers;
  for (const Record& record : data.tiers) {
    Sum& sum = tiers[saturated_count(record.number("tier"))];
    sum.nodes = std::max(sum.nodes, record.number("nodes"));
    sum.messages += record.number("messages");
    sum.down += record.number("bytes_down");
    sum.up += record.number("bytes_up");
    sum.merge += record.number("merge_seconds");
    sum.rounds += 1.0;
    if (record.find("idle_share") != nullptr) {
      const double passed = times[saturated_count(record.number("round"))];
      sum.idle += record.number("idle_share") * passed;
      sum.time += passed;
    }
  }
  if (drawing.empty() && tiers.empty()) { return; }
  page.open_section("The tree and its traffic",
                    drawing.empty() || data.edges.empty()
                        ? "Bytes over the edges above each tier's nodes, whole run."
                        : "The width of an edge follows the bytes that crossed it since the run was last started or "
                          "resumed. Rest the pointer on one for "
                          "its figures.");
  page << "<div class=\"beside\">\n";
  if (!drawing.empty()) { page.card("", drawing); }
  if (!tiers.empty()) {
    const double payload = data.run.number("payload_bytes");
    Page::Table table{{""}, {false}, {}};
    for (const auto& [tier, sum] : tiers) {
      table.titles.push_back(fmt::format("tier {}", tier));
      table.numeric.push_back(true);
    }
    const auto row = [&](std::string name, const auto& value) {
      std::vector<std::string> cells{std::move(name)};
      for (const auto& [tier, sum] : tiers) { cells.push_back(value(sum)); }
      table.rows.push_back(std::move(cells));
    };
    row("nodes", [](const Sum& sum) { return human_count(saturated_count(sum.nodes)); });
    row("down", [](const Sum& sum) { return human_bytes(sum.down); });
    row("up", [](const Sum& sum) { return human_bytes(sum.up); });
    row("bytes per round", [](const Sum& sum) { return human_bytes((sum.down + sum.up) / sum.rounds); });
    if (payload > 0) {
      row("models per round",
          [payload](const Sum& sum) { return fmt::format("{:.1f}", (sum.down + sum.up) / sum.rounds / payload); });
    }
    row("messages", [](const Sum& sum) { return human_count(saturated_count(sum.messages)); });
    row("merging", [](const Sum& sum) { return human_duration(sum.merge); });
    if (std::ranges::any_of(tiers, [](const auto& tier) { return tier.second.time > 0; })) {
      row("idle",
          [](const Sum& sum) { return sum.time > 0 ? human_percent(sum.idle / sum.time, 1) : std::string("–"); });
    }
    page.card("By tier", Page::table(table), "Tier 1 is below the root; its bytes are those of the edges to the root.");
  }
  page << "</div>\n";
  page.close_section();
}

void troubles(Page& page, const RunData& data) {
  page.open_section("Faults and rejections");
  Page::Table counts{{"what", "how often"}, {false, true}, {}};
  const auto row = [&counts](std::string_view what, double count) {
    if (count > 0) { counts.rows.push_back({escape_html(what), human_count(saturated_count(count))}); }
  };
  row("children of the root that failed", data.total("failed"));
  row("updates too late for their round", data.total("late"));
  row("updates refused", data.total("rejected"));
  row("rounds abandoned", static_cast<double>(abandoned_rounds(data)));
  for (const auto& [kind, count] : data.fault_kinds) { row("fault: " + kind, static_cast<double>(count)); }
  if (counts.rows.empty()) {
    page.card("",
              "<p class=\"note\" style=\"margin:0\">None: whoever was asked answered in time, and nothing was "
              "refused.</p>");
    page.close_section();
    return;
  }
  page << "<div class=\"cards\">\n";
  page.card("Counts", Page::table(counts));
  if (!data.faults_by_round.empty()) {
    StackedBars chart;
    chart.description = "Faults of each round";
    chart.x_title = "round";
    chart.y_format = [](double value) { return value == std::floor(value) ? plain_number(value) : std::string(); };
    chart.names = {"faults"};
    chart.colors = {4};
    const std::uint64_t last = data.rounds.empty() ? data.faults_by_round.rbegin()->first
                                                   : saturated_count(data.rounds.back().number("round"));
    for (std::uint64_t round = 1; round <= std::min<std::uint64_t>(last, 100'000); ++round) {
      const auto place = data.faults_by_round.find(round);
      const double count = place == data.faults_by_round.end() ? 0.0 : static_cast<double>(place->second);
      chart.bars.push_back({fmt::format("{}", round), static_cast<double>(round), {count}});
    }
    page.card("Faults by round", stacked_bars(chart));
  }
  page << "</div>\n";
  if (!data.faults.empty()) {
    Page::Table table{{"round", "node", "kind", "detail"}, {true, false, false, false}, {}};
    for (const Record& fault : data.faults) {
      table.rows.push_back({plain_number(fault.number("round")), escape_html(fault.text("node")),
                            escape_html(fault.text("kind")), escape_html(fault.text("detail"))});
      if (table.rows.size() == kMaxFaultRows) { break; }
    }
    double all = 0.0;
    for (const auto& [kind, count] : data.fault_kinds) { all += static_cast<double>(count); }
    const bool shows_all = static_cast<double>(table.rows.size()) >= all;
    page << "<div style=\"height:14px\"></div>"
         << Page::folded(shows_all ? human_plural(table.rows.size(), "fault")
                                   : fmt::format("The first {} of {} faults", table.rows.size(),
                                                 human_count(saturated_count(all))),
                         Page::table(table));
  }
  page.close_section();
}

std::string rounds_table(const RunData& data) {
  Page::Table table{{"round", "outcome", "accuracy", "loss", "train loss", "clients", "time", "down", "up"},
                    {true, false, true, true, true, true, true, true, true},
                    {}};
  const std::size_t count = data.rounds.size();
  for (std::size_t i = count > kMaxTableRows ? count - kMaxTableRows : 0; i < count; ++i) {
    const Record& round = data.rounds[i];
    table.rows.push_back({plain_number(round.number("round")), escape_html(round.text("outcome")),
                          data.accuracy_text(round.number("accuracy", kNaN)), human_metric(round.number("loss", kNaN)),
                          human_metric(round.number("train_loss", kNaN)),
                          human_count(saturated_count(round.number("contributors"))),
                          human_duration(round.number("seconds")), human_bytes(round.number("bytes_down")),
                          human_bytes(round.number("bytes_up"))});
  }
  return Page::table(table);
}

void details(Page& page, const RunData& data) {
  page.open_section("Details");
  if (!data.rounds.empty()) {
    const std::string title = data.rounds.size() > kMaxTableRows
                                  ? fmt::format("The last {} of {} rounds", kMaxTableRows, data.rounds.size())
                                  : "All rounds";
    page << Page::folded(title, rounds_table(data));
  }
  if (!data.configuration.empty()) {
    page << Page::folded("Configuration, as resolved", fmt::format("<pre>{}</pre>", escape_html(data.configuration)));
  }
  Page::Table facts{{"fact", "value"}, {false, false}, {}};
  const auto fact = [&facts](std::string_view name, std::string_view value) {
    if (!value.empty()) { facts.rows.push_back({escape_html(name), "<code>" + escape_html(value) + "</code>"}); }
  };
  fact("model.safetensors, SHA-256", data.end.text("model_sha256"));
  fact("configuration, SHA-256", data.run.text("configuration_digest"));
  fact("trained by",
       data.run.text("version").empty() ? std::string() : "tributary " + std::string(data.run.text("version")));
  fact("driver", data.run.text("driver"));
  if (is_simulation(data)) { fact("clock", data.run.text("clock")); }
  if (data.run.find("payload_bytes") != nullptr) { fact("payload", human_bytes(data.run.number("payload_bytes"))); }
  if (!facts.rows.empty()) { page << Page::folded("Identity", Page::table(facts)); }
  page.close_section();
}

}  // namespace

std::string report_page(const RunData& data) {
  Page page(data.name + " – Tributary");
  header(page, data);
  key_numbers(page, data);
  learning(page, data);
  asynchrony(page, data);
  time(page, data);
  traffic(page, data);
  if (const std::string labels = label_charts(data); !labels.empty()) {
    page.open_section("Labels over clients", "How many samples of each class every client holds.");
    page.card("", labels);
    page.close_section();
  }
  processes_section(page, data);
  slow_edges_section(page, data);
  troubles(page, data);
  details(page, data);
  return page.finish(fmt::format(
      "Written by tributary {} from records.jsonl. This page loads nothing and runs no script.", version_text()));
}

}  // namespace tributary::cli
