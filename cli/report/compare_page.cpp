// SPDX-License-Identifier: Apache-2.0
#include "report/compare_page.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <optional>
#include <set>

#include "console/text_table.hpp"
#include "report/chart.hpp"
#include "report/page.hpp"
#include "tributary/base/human.hpp"
#include "tributary/base/version.hpp"

namespace tributary::cli {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr std::string_view kNone = "–";

// What it took until the accuracy was reached.
struct Reached {
  double round = kNaN;
  double seconds = kNaN;
  double bytes = kNaN;
};

Reached reach(const RunData& run, double target) {
  double seconds = 0.0;
  double bytes = 0.0;
  for (const Record& round : run.rounds) {
    seconds += round.number("seconds");
    bytes += round.number("bytes_down") + round.number("bytes_up");
    if (round.number("accuracy", kNaN) >= target) { return {round.number("round"), seconds, bytes}; }
  }
  return {};
}

// Whether their accuracies may be set against one another: all shares, or none.
bool have_one_scale(std::span<const RunData> runs) {
  return std::all_of(runs.begin(), runs.end(),
                     [&runs](const RunData& run) { return run.accuracy_is_share == runs.front().accuracy_is_share; });
}

// The highest half per cent that all runs reached, or half point where they do not report shares.
std::optional<double> common_target(std::span<const RunData> runs) {
  if (!have_one_scale(runs)) { return std::nullopt; }
  double target = std::numeric_limits<double>::infinity();
  for (const RunData& run : runs) {
    const Record* best = run.best_round();
    if (best == nullptr) { return std::nullopt; }
    target = std::min(target, best->number("accuracy"));
  }
  const double steps = runs.front().accuracy_is_share ? 200.0 : 2.0;
  target = std::floor(target * steps) / steps;
  return target > 0 ? std::optional(target) : std::nullopt;
}

std::vector<std::string> unique_names(std::span<const RunData> runs) {
  std::vector<std::string> names;
  for (const RunData& run : runs) { names.push_back(run.name); }
  if (std::set<std::string>(names.begin(), names.end()).size() == names.size()) { return names; }
  for (std::size_t i = 0; i < runs.size(); ++i) { names[i] = runs[i].directory.lexically_normal().string(); }
  if (std::set<std::string>(names.begin(), names.end()).size() == names.size()) { return names; }
  for (std::size_t i = 0; i < names.size(); ++i) { names[i] += fmt::format(" ({})", i + 1); }
  return names;
}

enum class Better { kHigher, kLower };

Comparison::Row numbers_row(std::string name, const std::vector<double>& values, const NumberFormat& format,
                            Better better) {
  Comparison::Row row{std::move(name), {}, -1};
  for (std::size_t i = 0; i < values.size(); ++i) {
    row.values.push_back(std::isfinite(values[i]) ? format(values[i]) : std::string(kNone));
    if (!std::isfinite(values[i])) { continue; }
    const double current = row.best < 0 ? kNaN : values[static_cast<std::size_t>(row.best)];
    const bool wins = row.best < 0 || (better == Better::kHigher ? values[i] > current : values[i] < current);
    if (wins) { row.best = static_cast<int>(i); }
  }
  // A best among equals is none.
  if (std::all_of(row.values.begin(), row.values.end(),
                  [&row](const std::string& v) { return v == row.values.front(); })) {
    row.best = -1;
  }
  return row;
}

Series curve(const RunData& run, std::string name, std::size_t color, std::string_view field,
             const std::function<double(const Record&, double& sum)>& x_of) {
  Series series{std::move(name), color, {}};
  double sum = 0.0;
  for (const Record& round : run.rounds) {
    const double x = x_of(round, sum);
    if (const double y = round.number(field, kNaN); std::isfinite(y)) { series.points.emplace_back(x, y); }
  }
  return series;
}

std::string comparison_table(const Comparison& comparison, const std::vector<Comparison::Row>& rows, bool code) {
  Page::Table table{{""}, {false}, {}};
  for (std::size_t i = 0; i < comparison.names.size(); ++i) {
    table.titles.push_back(fmt::format("<span class=\"legend\"><span><i class=\"c{}\"></i>{}</span></span>",
                                       i % kColors, escape_html(comparison.names[i])));
    table.numeric.push_back(false);
  }
  for (const Comparison::Row& row : rows) {
    std::vector<std::string> cells{code ? "<code>" + escape_html(row.name) + "</code>" : escape_html(row.name)};
    for (std::size_t i = 0; i < row.values.size(); ++i) {
      const std::string text = escape_html(row.values[i]);
      if (code) {
        cells.push_back("<code>" + text + "</code>");
      } else {
        cells.push_back(row.best == static_cast<int>(i) ? "<b class=\"best\">" + text + "</b>" : text);
      }
    }
    table.rows.push_back(std::move(cells));
  }
  return Page::table(table);
}

}  // namespace

Comparison compare(std::span<const RunData> runs) {
  Comparison comparison;
  comparison.names = unique_names(runs);
  const auto each = [&runs](const std::function<double(const RunData&)>& value) {
    std::vector<double> values;
    for (const RunData& run : runs) { values.push_back(value(run)); }
    return values;
  };
  const auto texts = [&](std::string name, const std::function<std::string(const RunData&)>& value) {
    Comparison::Row row{std::move(name), {}, -1};
    for (const RunData& run : runs) { row.values.push_back(value(run)); }
    comparison.results.push_back(std::move(row));
  };
  const auto accuracies = [&](std::string name, const std::function<double(const RunData&)>& value) {
    Comparison::Row row = numbers_row(std::move(name), each(value), human_accuracy, Better::kHigher);
    for (std::size_t i = 0; i < runs.size(); ++i) { row.values[i] = runs[i].accuracy_text(value(runs[i])); }
    if (!have_one_scale(runs)) { row.best = -1; }
    return row;
  };
  const NumberFormat loss = human_metric;
  const NumberFormat count = [](double v) { return human_count(saturated_count(v)); };
  const auto add = [&comparison](Comparison::Row row) {
    const bool empty =
        std::all_of(row.values.begin(), row.values.end(), [](const std::string& v) { return v == kNone; });
    if (!empty) { comparison.results.push_back(std::move(row)); }
  };

  texts("outcome", [](const RunData& run) { return run.outcome(); });
  add(accuracies("accuracy", [](const RunData& r) { return r.last("accuracy"); }));
  add(accuracies("best accuracy", [](const RunData& r) {
    const Record* best = r.best_round();
    return best == nullptr ? kNaN : best->number("accuracy");
  }));
  if (!have_one_scale(runs)) {
    comparison.note =
        "Some of the runs report accuracies above 1 or below 0, the others shares: the two are not compared.";
  }
  add(numbers_row("loss", each([](const RunData& r) { return r.last("loss"); }), loss, Better::kLower));
  Comparison::Row rounds = numbers_row(
      "rounds", each([](const RunData& r) { return static_cast<double>(r.rounds.size()); }), count, Better::kLower);
  rounds.best = -1;
  add(std::move(rounds));
  add(numbers_row("time", each([](const RunData& r) { return r.seconds(); }), human_duration, Better::kLower));
  add(numbers_row("time per round", each([](const RunData& r) {
                    return r.rounds.empty() ? kNaN : r.total("seconds") / static_cast<double>(r.rounds.size());
                  }),
                  human_duration, Better::kLower));
  add(numbers_row("moved", each([](const RunData& r) { return r.bytes_moved(); }), human_bytes, Better::kLower));
  add(numbers_row("memory", each([](const RunData& r) { return r.end.number("max_rss_bytes", kNaN); }), human_bytes,
                  Better::kLower));
  if (const auto target = common_target(runs)) {
    const std::string goal = runs.front().accuracy_is_share ? human_percent(*target, 1) : fmt::format("{:g}", *target);
    add(numbers_row("rounds to " + goal, each([&](const RunData& r) { return reach(r, *target).round; }), count,
                    Better::kLower));
    add(numbers_row("time to " + goal, each([&](const RunData& r) { return reach(r, *target).seconds; }),
                    human_duration, Better::kLower));
    add(numbers_row("moved to " + goal, each([&](const RunData& r) { return reach(r, *target).bytes; }), human_bytes,
                    Better::kLower));
  }
  texts("model", [&runs](const RunData& run) {
    const std::string_view digest = run.end.text("model_sha256");
    if (digest.empty()) { return std::string(kNone); }
    const bool same = &run != &runs.front() && digest == runs.front().end.text("model_sha256");
    return same ? "the same, bit for bit" : fmt::format("sha256 {}…", digest.substr(0, 12));
  });

  std::set<std::string> keys;
  for (const RunData& run : runs) {
    for (const auto& [key, value] : run.settings) { keys.insert(key); }
  }
  for (const std::string& key : keys) {
    Comparison::Row row{key, {}, -1};
    for (const RunData& run : runs) {
      const auto place = run.settings.find(key);
      row.values.push_back(place == run.settings.end() ? std::string(kNone) : place->second);
    }
    if (std::any_of(row.values.begin(), row.values.end(),
                    [&row](const std::string& v) { return v != row.values.front(); })) {
      comparison.settings.push_back(std::move(row));
    }
  }
  return comparison;
}

std::string comparison_text(const Comparison& comparison, const Paint& paint, bool utf8) {
  const auto render = [&](const std::string& title, const std::vector<Comparison::Row>& rows) {
    std::vector<TextTable::Column> columns{{title, TextTable::Align::kLeft}};
    for (const std::string& name : comparison.names) { columns.push_back({name, TextTable::Align::kRight}); }
    TextTable table(std::move(columns));
    for (const Comparison::Row& row : rows) {
      std::vector<std::string> cells{row.name};
      for (std::size_t i = 0; i < row.values.size(); ++i) {
        cells.push_back(row.values[i] + (row.best == static_cast<int>(i) ? " *" : "  "));
      }
      table.add(std::move(cells));
    }
    return table.render(paint, utf8);
  };
  std::string out = render("result", comparison.results);
  if (!comparison.note.empty()) { out += fmt::format("\n  {}\n", comparison.note); }
  if (comparison.settings.empty()) { return out + "\n  The configurations are the same.\n"; }
  return out + "\n" + render("configuration", comparison.settings);
}

std::string comparison_page(std::span<const RunData> runs, const Comparison& comparison) {
  Page page("Comparison – Tributary");
  std::string facts;
  for (std::size_t i = 0; i < comparison.names.size(); ++i) {
    facts += "<span>" + escape_html(comparison.names[i]) + "</span>";
  }
  page << fmt::format(
      "<header><div class=\"eyebrow\">Tributary comparison</div><h1>{} runs</h1><div "
      "class=\"facts\">{}</div></header>\n",
      runs.size(), facts);

  const bool all_shares =
      std::all_of(runs.begin(), runs.end(), [](const RunData& run) { return run.accuracy_is_share; });
  const auto by_round = [](const Record& round, double&) { return round.number("round"); };
  const auto by_seconds = [](const Record& round, double& sum) { return sum += round.number("seconds"); };
  const auto by_bytes = [](const Record& round, double& sum) {
    return sum += round.number("bytes_down") + round.number("bytes_up");
  };
  const auto chart = [&](std::string_view field, const std::string& x_title, const NumberFormat& x_format,
                         const std::function<double(const Record&, double&)>& x_of) {
    LineChart lines;
    lines.description = fmt::format("{} by {}", field, x_title);
    lines.x_title = x_title;
    lines.x_format = x_format;
    if (field == "accuracy") {
      lines.y_format = accuracy_format(all_shares);
      if (all_shares) { lines.y_most = 1.0; }
    } else {
      lines.y_format = [](double v) { return fmt::format("{:.4g}", v); };
    }
    for (std::size_t i = 0; i < runs.size(); ++i) {
      lines.series.push_back(curve(runs[i], comparison.names[i], i % kColors, field, x_of));
    }
    return line_chart(lines);
  };
  const NumberFormat plain = [](double v) { return fmt::format("{:g}", v); };
  page.open_section("Results", comparison.note);
  page.card("", comparison_table(comparison, comparison.results, false));
  page.close_section();
  page.open_section("Learning");
  page << "<div class=\"cards\">\n";
  page.card("Accuracy by round", chart("accuracy", "round", plain, by_round));
  page.card("Loss by round", chart("loss", "round", plain, by_round));
  page.card("Accuracy by time", chart("accuracy", "time", human_duration, by_seconds));
  page.card("Accuracy by bytes moved", chart("accuracy", "moved", human_bytes, by_bytes));
  page << "</div>\n";
  page.close_section();
  page.open_section("Configuration", comparison.settings.empty() ? "The configurations are the same."
                                                                 : "The keys in which the runs differ.");
  if (!comparison.settings.empty()) { page.card("", comparison_table(comparison, comparison.settings, true)); }
  page.close_section();
  return page.finish(
      fmt::format("Written by tributary {}. This page loads nothing and runs no script.", version_text()));
}

}  // namespace tributary::cli
