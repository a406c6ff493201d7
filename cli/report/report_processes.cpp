// SPDX-License-Identifier: Apache-2.0
#include "report/report_processes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <numeric>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "report/chart.hpp"
#include "tributary/base/human.hpp"

namespace tributary::cli {
namespace {

constexpr std::size_t kMaxTableRows = 500;
constexpr std::size_t kOpenTableRows = 24;  // longer tables are folded
constexpr std::size_t kMaxNamedLost = 20;
constexpr std::size_t kSlowest = 10;      // edges of each kind
constexpr std::size_t kFewestOfTier = 2;  // of them, however many tiers there are
constexpr std::size_t kMaxSlowRows = 60;

double at_least_zero(const Record& record, std::string_view field) {
  const double value = record.number(field);
  return std::isfinite(value) ? std::max(0.0, value) : 0.0;
}

std::string count_of(const Record& record, std::string_view field) {
  return human_count(whole_field(record, field));
}

bool is_lost(const Record& process) {
  const Record::Value* const value = process.find("lost");
  const bool* const lost = std::get_if<bool>(value);
  return lost != nullptr && *lost;
}

std::string rank_of(const Record& process) {
  return fmt::format("{}", whole_field(process, process.find("rank") == nullptr ? "process" : "rank"));
}

std::string nodes_of(const Record& process) {
  const std::string_view text = process.text("nodes");
  return text.empty() ? count_of(process, "nodes") : escape_html(text);
}

// On a narrow screen it scrolls instead of breaking words.
std::string wide(const Page::Table& table) {
  return "<div style=\"min-width:900px\">" + Page::table(table) + "</div>";
}

void one_process(Page& page, const Record& process) {
  const Page::Table table{
      {"host", "nodes", "tasks trained", "training", "merging"},
      {false, true, true, true, true},
      {{escape_html(process.text("host")), nodes_of(process), count_of(process, "clients_trained"),
        human_duration(process.number("train_seconds")), human_duration(process.number("merge_seconds"))}}};
  page.open_section("What ran where");
  page.card("", Page::table(table), "Training is summed over threads.");
  page.close_section();
}

void say_who_was_lost(Page& page, const std::vector<Record>& processes) {
  std::string names;
  std::size_t lost = 0;
  for (const Record& process : processes) {
    if (!is_lost(process) || ++lost > kMaxNamedLost) { continue; }
    names += fmt::format("{}rank {} on {}", names.empty() ? "" : ", ", rank_of(process), process.text("host"));
  }
  if (lost == 0) { return; }
  if (lost > kMaxNamedLost) { names += fmt::format(" and {} more", lost - kMaxNamedLost); }
  page << fmt::format("<p class=\"alert bad\">{} of {} ranks lost: {}. Their figures are those they last sent.</p>\n",
                      lost, processes.size(), escape_html(names));
}

constexpr std::string_view kProcessNote =
    "Training is summed over a rank's threads and goes on while others are sent to, so the parts of a bar do not add "
    "up "
    "to the time that passed. Sending: something was on its way to another rank. Waiting: the rank neither trained, "
    "merged nor sent.";

std::string process_chart(const std::vector<Record>& processes) {
  StackedBars chart;
  chart.description = "Training, merging, sending and waiting of each rank";
  chart.x_title = "rank";
  chart.y_format = human_duration;
  chart.names = {"training, all threads", "merging", "sending", "waiting"};
  chart.colors = {0, 1, 4, 7};
  std::vector<double> totals(chart.names.size());
  const bool grouped = processes.size() > kMostBars;
  for (const Record& process : processes) {
    StackedBars::Bar bar{rank_of(process) + (is_lost(process) && !grouped ? ", lost" : ""),
                         static_cast<double>(whole_field(process, "rank")),
                         {at_least_zero(process, "train_seconds"), at_least_zero(process, "merge_seconds"),
                          at_least_zero(process, "send_seconds"), at_least_zero(process, "wait_seconds")}};
    for (std::size_t i = 0; i < totals.size(); ++i) { totals[i] += bar.values[i]; }
    chart.bars.push_back(std::move(bar));
  }
  std::vector<std::string> values;
  for (const double total : totals) { values.push_back(human_duration(total)); }
  return legend(chart.names, chart.colors, values) + lying_bars(chart);
}

std::string process_table(const std::vector<Record>& processes) {
  Page::Table table{
      {"rank", "host", "nodes", "tasks trained", "training", "merging", "sending", "waiting", "sent", "received"},
      {false, false, true, true, true, true, true, true, true, true},
      {}};
  const bool any_lost = std::any_of(processes.begin(), processes.end(), is_lost);
  if (any_lost) {
    table.titles.emplace_back("state");
    table.numeric.push_back(false);
  }
  for (const Record& process : processes) {
    std::vector<std::string> row{rank_of(process),
                                 escape_html(process.text("host")),
                                 nodes_of(process),
                                 count_of(process, "clients_trained"),
                                 human_duration(process.number("train_seconds")),
                                 human_duration(process.number("merge_seconds")),
                                 human_duration(process.number("send_seconds")),
                                 human_duration(process.number("wait_seconds")),
                                 human_bytes(process.number("bytes_sent")),
                                 human_bytes(process.number("bytes_received"))};
    if (any_lost) { row.emplace_back(is_lost(process) ? "<b>lost</b>" : ""); }
    table.rows.push_back(std::move(row));
    if (table.rows.size() == kMaxTableRows) { break; }
  }
  return wide(table);
}

// The places of the first `most` edges of `among` by `field`, largest first; those of zero never.
std::vector<std::size_t> largest(const std::vector<Record>& edges, std::vector<std::size_t> among,
                                 std::string_view field, std::size_t most) {
  std::erase_if(among, [&](std::size_t i) { return at_least_zero(edges[i], field) <= 0; });
  std::stable_sort(among.begin(), among.end(), [&](std::size_t a, std::size_t b) {
    return at_least_zero(edges[a], field) > at_least_zero(edges[b], field);
  });
  among.resize(std::min(among.size(), most));
  return among;
}

// Waiting for an aggregator contains its waiting for its children: each tier has slowest edges of its own.
std::vector<std::size_t> longest_waited(const std::vector<Record>& edges) {
  std::map<std::uint64_t, std::vector<std::size_t>> tiers;
  for (std::size_t i = 0; i < edges.size(); ++i) { tiers[whole_field(edges[i], "tier")].push_back(i); }
  std::vector<std::size_t> all;
  for (auto& [tier, among] : tiers) {
    const std::vector<std::size_t> some =
        largest(edges, std::move(among), "wait_seconds", std::max(kFewestOfTier, kSlowest / tiers.size()));
    all.insert(all.end(), some.begin(), some.end());
  }
  return all;
}

std::string time_cell(const Record& edge, std::string_view field, bool outstanding) {
  const double seconds = at_least_zero(edge, field);
  if (seconds <= 0) { return "–"; }
  return outstanding ? "<b>" + human_duration(seconds) + "</b>" : human_duration(seconds);
}

}  // namespace

void processes_section(Page& page, const RunData& data) {
  if (data.where.empty()) { return; }
  if (data.where.size() == 1 && !is_lost(data.where.front())) {
    one_process(page, data.where.front());
    return;
  }
  page.open_section("What ran where", kProcessNote);
  say_who_was_lost(page, data.where);
  page.card("Time by rank", process_chart(data.where));
  const std::string table = process_table(data.where);
  if (data.where.size() <= kOpenTableRows) {
    page.card("", table);
  } else {
    page << Page::folded(data.where.size() > kMaxTableRows
                             ? fmt::format("The first {} of {} ranks", kMaxTableRows, data.where.size())
                             : fmt::format("All {} ranks", data.where.size()),
                         table);
  }
  page.close_section();
}

void slow_edges_section(Page& page, const RunData& data) {
  const std::vector<Record>& edges = data.edges;
  std::vector<std::size_t> every(edges.size());
  std::iota(every.begin(), every.end(), std::size_t{0});
  const std::vector<std::size_t> waited = longest_waited(edges);
  const std::vector<std::size_t> sent = largest(edges, std::move(every), "send_seconds", kSlowest);
  if (waited.empty() && sent.empty()) { return; }

  const std::set<std::size_t> among_waited(waited.begin(), waited.end());
  const std::set<std::size_t> among_sent(sent.begin(), sent.end());
  std::vector<std::size_t> shown;
  std::set_union(among_waited.begin(), among_waited.end(), among_sent.begin(), among_sent.end(),
                 std::back_inserter(shown));
  std::stable_sort(shown.begin(), shown.end(), [&edges](std::size_t a, std::size_t b) {
    return std::pair(whole_field(edges[a], "tier"), -at_least_zero(edges[a], "wait_seconds")) <
           std::pair(whole_field(edges[b], "tier"), -at_least_zero(edges[b], "wait_seconds"));
  });
  shown.resize(std::min(shown.size(), kMaxSlowRows));

  std::map<std::uint64_t, std::string_view> names;
  for (const Record& edge : edges) { names[whole_field(edge, "child")] = edge.text("child_name"); }
  const auto name_of = [&names](std::uint64_t node) {
    const auto place = names.find(node);
    if (place != names.end() && !place->second.empty()) { return escape_html(place->second); }
    return node == 0 ? std::string("root") : fmt::format("node {}", node);
  };
  Page::Table table{{"child", "parent", "tier", "waiting"}, {false, false, true, true}, {}};
  if (!sent.empty()) { table.titles.emplace_back("sending"); }
  for (const char* title : {"down", "up", "messages"}) { table.titles.emplace_back(title); }
  table.numeric.resize(table.titles.size(), true);
  for (const std::size_t i : shown) {
    const Record& edge = edges[i];
    std::vector<std::string> row{name_of(whole_field(edge, "child")), name_of(whole_field(edge, "parent")),
                                 count_of(edge, "tier"),
                                 time_cell(edge, "wait_seconds", !sent.empty() && among_waited.contains(i))};
    if (!sent.empty()) { row.push_back(time_cell(edge, "send_seconds", among_sent.contains(i))); }
    row.push_back(human_bytes(edge.number("bytes_down")));
    row.push_back(human_bytes(edge.number("bytes_up")));
    row.push_back(count_of(edge, "messages"));
    table.rows.push_back(std::move(row));
  }
  std::string note = fmt::format(
      "{} of {}, since the run was last started or resumed. Waiting: of the parent, from asking the child until its "
      "update is there, training included.",
      shown.size(), human_plural(edges.size(), "edge"));
  if (!sent.empty()) {
    note +=
        " Sending: payloads on their way between ranks, – where both ends share one. Bold: the longest waits of "
        "each tier, the longest sending of all.";
  }
  page.open_section("Slowest edges", note);
  page.card("", wide(table));
  page.close_section();
}

}  // namespace tributary::cli
