// SPDX-License-Identifier: Apache-2.0
#include "report/page.hpp"

#include <fmt/format.h>

#include <iterator>

#include "tributary/base/printable.hpp"

namespace tributary::cli {
namespace {

constexpr std::string_view kStyle = R"css(
:root {
  color-scheme: light dark;
  --page: #f6f7f9; --card: #ffffff; --ink: #17202e; --soft: #5b6778; --faint: #8a95a5; --line: #e3e7ed; --grid: #edf0f4;
  --accent: #1f5fbf; --heat: #1f5fbf; --good: #12805c; --warn: #b45309; --bad: #c2321f; --tip: #17202e;
  --tip-ink: #ffffff;
  --c0: #2367c9; --c1: #0c9a78; --c2: #dd8a13; --c3: #8457d6; --c4: #d1447b; --c5: #1793b8; --c6: #7a8b1f;
  --c7: #98a3b3;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #0e1319; --card: #161d26; --ink: #e7ecf3; --soft: #a0acbb; --faint: #76828f; --line: #283240;
  --grid: #212a36;
    --accent: #78adff; --heat: #6aa5ff; --good: #3fcf9c; --warn: #f0b04f; --bad: #ff8a78; --tip: #eef2f7;
  --tip-ink: #131922;
    --c0: #6aa5ff; --c1: #35c79b; --c2: #f0b04f; --c3: #b295ff; --c4: #f583ac; --c5: #4cc3e6; --c6: #bccb57;
  --c7: #66727f;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif;
}
main { max-width: 1160px; margin: 0 auto; padding: 36px 24px 48px; }
header { margin-bottom: 24px; }
.eyebrow { color: var(--soft); font-size: 13px; letter-spacing: .02em; }
h1 { font-size: 30px; line-height: 1.2; margin: 2px 0 6px; font-weight: 680; letter-spacing: -.015em;
  overflow-wrap: anywhere; }
h2 { font-size: 19px; margin: 38px 0 12px; font-weight: 650; letter-spacing: -.01em; }
h3 { font-size: 14px; margin: 0; font-weight: 620; }
.note { color: var(--soft); font-size: 13px; margin: -8px 0 12px; max-width: 120ch; }
.card .note { margin: 2px 0 0; }
.facts { color: var(--soft); }
/* A name written from right to left must not turn what stands beside it. */
.facts span, .legend span, .pill, code { unicode-bidi: isolate; }
.facts span + span::before { content: "·"; margin: 0 .5em; color: var(--faint); }
.pill {
  display: inline-block; vertical-align: .32em; margin-left: 10px; padding: 1px 11px; border-radius: 99px;
  font-size: 13px;
  font-weight: 600; letter-spacing: 0; color: var(--soft); border: 1px solid currentColor;
}
.pill.finished, .pill.stopped { color: var(--good); } .pill.interrupted, .pill.unfinished { color: var(--warn); }
.pill.failed { color: var(--bad); }
.tiles { display: grid; grid-template-columns: repeat(var(--columns), minmax(0, 1fr)); gap: 12px; }
@media (max-width: 760px) { .tiles { grid-template-columns: repeat(2, minmax(0, 1fr)); } }
.tile, .card { background: var(--card); border: 1px solid var(--line); border-radius: 12px; }
.tile { padding: 13px 16px 12px; }
.tile .label { color: var(--soft); font-size: 12.5px; }
.tile .value { font-size: 24px; line-height: 1.25; font-weight: 660; letter-spacing: -.015em;
  font-variant-numeric: tabular-nums; }
.tile .detail { color: var(--soft); font-size: 12.5px; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 470px), 1fr)); gap: 14px; }
.card { padding: 16px 18px; min-width: 0; overflow-x: auto; margin-bottom: 14px; }
.cards .card { margin-bottom: 0; }
.card > svg { display: block; margin: 8px auto 0; max-width: 100%; height: auto; }
.beside { display: flex; flex-wrap: wrap; gap: 14px; align-items: flex-start; }
.beside .card { flex: 1 1 380px; margin-bottom: 0; } .beside .card:first-child { flex: 2 1 420px; }
.alert { border-left: 3px solid var(--warn); padding: 8px 14px; margin: 0 0 14px; background: var(--card);
  border-radius: 6px; }
.alert.bad { border-color: var(--bad); }
.legend { display: flex; flex-wrap: wrap; gap: 2px 18px; font-size: 12.5px; color: var(--soft); margin-top: 4px; }
.legend i { display: inline-block; width: 11px; height: 11px; border-radius: 3px; margin-right: 6px;
  vertical-align: -1px; background: var(--c); }
.legend b { color: var(--ink); font-weight: 600; font-variant-numeric: tabular-nums; }
.c0 { --c: var(--c0); } .c1 { --c: var(--c1); } .c2 { --c: var(--c2); } .c3 { --c: var(--c3); }
.c4 { --c: var(--c4); } .c5 { --c: var(--c5); } .c6 { --c: var(--c6); } .c7 { --c: var(--c7); }
svg.chart { width: 100%; font-size: 11.5px; font-variant-numeric: tabular-nums; }
svg.chart text { fill: var(--soft); }
svg.chart .grid { stroke: var(--grid); } svg.chart .axis { stroke: var(--line); }
svg.chart .curve { fill: none; stroke: var(--c); stroke-width: 2.2; stroke-linejoin: round; stroke-linecap: round; }
svg.chart .dot { fill: var(--card); stroke: var(--c); stroke-width: 2; }
svg.chart .area { fill: var(--c); opacity: .09; }
svg.chart .bar { fill: var(--c); }
svg.chart .cell { fill: var(--heat); } svg.chart .frame { fill: var(--grid); }
svg.chart .mark { visibility: hidden; pointer-events: none; }
svg.chart .hit > rect { fill: transparent; }
svg.chart .hit:hover .mark { visibility: visible; }
svg.chart .cross { stroke: var(--faint); stroke-dasharray: 2 3; }
svg.chart .tip rect { fill: var(--tip); opacity: .95; } svg.chart .tip text { fill: var(--tip-ink); }
svg.chart .tip circle { fill: var(--c); }
table { border-collapse: collapse; width: 100%; font-size: 13.5px; font-variant-numeric: tabular-nums; }
th { text-align: left; color: var(--soft); font-weight: 560; font-size: 12.5px; white-space: nowrap; }
th, td { padding: 6px 14px 6px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
tr:last-child td { border-bottom: 0; }
th.n, td.n { text-align: right; padding-right: 0; padding-left: 14px; white-space: nowrap; }
th.n + th:not(.n), td.n + td:not(.n) { padding-left: 26px; }
td { overflow-wrap: anywhere; }
td.best, b.best { color: var(--good); font-weight: 640; }
code, pre { font: 12.5px/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
pre { margin: 10px 0 0; white-space: pre-wrap; overflow-wrap: anywhere; }
details { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 12px 18px;
  margin-bottom: 12px; }
details > div { overflow-x: auto; }
summary { cursor: pointer; font-weight: 600; font-size: 14px; }
details table { margin-top: 8px; }
footer { margin-top: 40px; color: var(--faint); font-size: 12.5px; }
@media print {
  :root { color-scheme: light; --page: #fff; --card: #fff; --ink: #111; --soft: #444; --line: #ccc; --grid: #e6e6e6; }
  body { font-size: 12px; } main { max-width: none; padding: 0; }
  .card, .tile, tr { break-inside: avoid; } h2 { break-after: avoid; }
  * { -webkit-print-color-adjust: exact; print-color-adjust: exact; }
}
)css";

}  // namespace

std::string escape_html(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : printable_lines(text)) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

Page::Page(std::string_view title) : title_(escape_html(title)) {}

void Page::open_section(std::string_view title, std::string_view note) {
  fmt::format_to(std::back_inserter(body_), "<section>\n<h2>{}</h2>\n", escape_html(title));
  if (!note.empty()) { fmt::format_to(std::back_inserter(body_), "<p class=\"note\">{}</p>\n", escape_html(note)); }
}

void Page::card(std::string_view title, std::string_view markup, std::string_view note) {
  body_ += "<div class=\"card\">";
  if (!title.empty()) { fmt::format_to(std::back_inserter(body_), "<h3>{}</h3>", escape_html(title)); }
  if (!note.empty()) { fmt::format_to(std::back_inserter(body_), "<p class=\"note\">{}</p>", escape_html(note)); }
  body_ += markup;
  body_ += "</div>\n";
}

void Page::tiles(const std::vector<Tile>& tiles) {
  const std::size_t columns = tiles.size() <= 5 ? tiles.size() : (tiles.size() + 1) / 2;
  fmt::format_to(std::back_inserter(body_), "<div class=\"tiles\" style=\"--columns:{}\">\n", columns);
  for (const Tile& tile : tiles) {
    fmt::format_to(std::back_inserter(body_),
                   "<div class=\"tile\"><div class=\"label\">{}</div><div class=\"value\">{}</div>"
                   "<div class=\"detail\">{}</div></div>\n",
                   escape_html(tile.label), escape_html(tile.value), escape_html(tile.detail));
  }
  body_ += "</div>\n";
}

std::string Page::table(const Table& table) {
  std::string out = "<table><thead><tr>";
  const auto align = [&table](std::size_t column) { return table.numeric.at(column) ? " class=\"n\"" : ""; };
  for (std::size_t i = 0; i < table.titles.size(); ++i) {
    fmt::format_to(std::back_inserter(out), "<th{}>{}</th>", align(i), table.titles[i]);
  }
  out += "</tr></thead><tbody>\n";
  for (const auto& row : table.rows) {
    out += "<tr>";
    for (std::size_t i = 0; i < row.size(); ++i) {
      fmt::format_to(std::back_inserter(out), "<td{}>{}</td>", align(i), row[i]);
    }
    out += "</tr>\n";
  }
  return out + "</tbody></table>\n";
}

std::string Page::folded(std::string_view title, std::string_view markup) {
  return fmt::format("<details><summary>{}</summary><div>{}</div></details>\n", escape_html(title), markup);
}

std::string Page::finish(std::string_view footer) const {
  std::string out =
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n";
  fmt::format_to(std::back_inserter(out), "<title>{}</title>\n<style>{}</style>\n</head>\n<body>\n<main>\n", title_,
                 kStyle);
  out += body_;
  fmt::format_to(std::back_inserter(out), "<footer>{}</footer>\n</main>\n</body>\n</html>\n", escape_html(footer));
  return out;
}

}  // namespace tributary::cli
