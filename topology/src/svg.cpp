// SPDX-License-Identifier: Apache-2.0
#include "tributary/topology/svg.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <string_view>
#include <vector>

#include "svg_layout.hpp"
#include "text.hpp"
#include "tributary/base/human.hpp"
#include "tributary/base/printable.hpp"

namespace tributary {
namespace {

using internal::Box;
using internal::xml_escaped;

constexpr double kLine = 25.0;
constexpr double kBoxHeight = 20.0;
constexpr double kMargin = 20.0;
constexpr double kLetter = 6.9;       // mean width of a letter of a box
constexpr double kSmallLetter = 5.8;  // and of an edge's label
constexpr double kLeastGap = 64.0;    // between columns
constexpr std::size_t kLabelLetters = 34;

// Presentation attributes would not follow the page's scheme, so colours are classes. Every class starts with "tt-": an
// SVG inside a page shares its style sheet with the page.
constexpr std::string_view kStyle = R"(<style>
.tt-bg{fill:#fff}
.tt-text{font:12px system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
.tt-title{font-size:16px;font-weight:600;fill:#0f172a}
.tt-legend{fill:#475569}
.tt-edge{fill:none;stroke:#a3b1c6;stroke-linecap:round}
.tt-label{font-size:10px;fill:#475569;stroke:#fff;stroke-width:3px;stroke-linejoin:round;paint-order:stroke}
.tt-root{fill:#e0e7ff;stroke:#6366f1}
.tt-aggregator{fill:#ccfbf1;stroke:#14b8a6}
.tt-client{fill:#fef3c7;stroke:#f59e0b}
.tt-more{fill:none;stroke:#94a3b8;stroke-dasharray:4 3}
.tt-on-root{fill:#312e81}
.tt-on-aggregator{fill:#134e4a}
.tt-on-client{fill:#78350f}
.tt-on-more{fill:#475569}
@media (prefers-color-scheme:dark){
.tt-bg{fill:#0f172a}
.tt-title{fill:#f1f5f9}
.tt-legend{fill:#cbd5e1}
.tt-edge{stroke:#55657d}
.tt-label{fill:#cbd5e1;stroke:#0f172a}
.tt-root{fill:#312e81;stroke:#818cf8}
.tt-aggregator{fill:#134e4a;stroke:#2dd4bf}
.tt-client{fill:#5c2f0c;stroke:#fbbf24}
.tt-more{stroke:#64748b}
.tt-on-root{fill:#e0e7ff}
.tt-on-aggregator{fill:#ccfbf1}
.tt-on-client{fill:#fef3c7}
.tt-on-more{fill:#cbd5e1}
}
</style>
)";

// In letters of common width.
std::size_t letters(std::string_view text) {
  return display_width(printable_text(text));
}

// Long names lose their end. Not so groups and summaries: they end with their numbers.
std::string shortened(const Box& box) {
  std::string label = printable_text(box.label);
  if (box.summary || box.stack || display_width(label) <= kLabelLetters) { return label; }
  std::size_t end = 0;
  for (std::size_t i = 1; i <= label.size(); ++i) {
    const bool inside = i < label.size() && (static_cast<unsigned char>(label[i]) & 0xC0U) == 0x80U;
    if (inside) { continue; }
    if (display_width(std::string_view(label).substr(0, i)) >= kLabelLetters) { break; }
    end = i;
  }
  return label.substr(0, end) + "\u2026";
}

std::string_view class_of(const Topology& topology, const Box& box) {
  return box.summary ? "more" : to_string(topology.node(box.entry).role);
}

class Picture {
 public:
  Picture(const Topology& topology, const SvgOptions& options)
      : topology_(topology), options_(options), boxes_(internal::lay_out(topology, options.max_rows)) {}

  std::string run() {
    choose_styles();
    place_columns();
    place_rows();
    auto out = std::back_inserter(text_);
    fmt::format_to(out,
                   R"(<svg xmlns="http://www.w3.org/2000/svg" class="tributary-tree" width="{0:.0f}" height="{1:.0f}" )"
                   R"(viewBox="0 0 {0:.0f} {1:.0f}" style="max-width:100%;height:auto" role="img" aria-label="{2}">)",
                   width_, height_, xml_escaped(summary()));
    text_ += '\n';
    text_ += kStyle;
    if (options_.background) { text_ += "<rect class=\"tt-bg\" width=\"100%\" height=\"100%\" rx=\"8\"/>\n"; }
    draw_head();
    for (std::size_t box = 1; box < boxes_.size(); ++box) { draw_edge(box); }
    for (std::size_t box = 1; box < boxes_.size(); ++box) { draw_edge_label(box); }
    for (std::size_t box = 0; box < boxes_.size(); ++box) { draw_box(box); }
    text_ += "</svg>\n";
    return std::move(text_);
  }

 private:
  [[nodiscard]] std::string summary() const {
    return fmt::format("Tree of one root, {} aggregators and {} clients",
                       internal::with_commas(topology_.aggregators()), internal::with_commas(topology_.clients()));
  }

  void choose_styles() {
    styles_.resize(boxes_.size());
    if (!options_.edge) { return; }
    for (std::size_t box = 1; box < boxes_.size(); ++box) {
      EdgeStyle& style = styles_[box];
      style = options_.edge(boxes_[box].first, boxes_[box].count);
      style.width = std::isfinite(style.width) ? std::clamp(style.width, 0.5, 12.0) : EdgeStyle{}.width;
    }
  }

  static double box_width(const Box& box) { return static_cast<double>(letters(shortened(box))) * kLetter + 22.0; }

  // Columns are as wide as their widest box; a summary has nothing to its right and may be wider.
  void place_columns() {
    std::vector<double> widths(1, 0.0);
    std::vector<double> gaps(1, 0.0);
    std::vector<double> straight(1, 0.0);
    for (std::size_t i = 0; i < boxes_.size(); ++i) {
      const Box& box = boxes_[i];
      if (box.column >= widths.size()) {
        widths.resize(box.column + 1, 0.0);
        gaps.resize(box.column + 1, kLeastGap);
        straight.resize(box.column + 1, 0.0);
      }
      if (!box.summary) { widths[box.column] = std::max(widths[box.column], box_width(box)); }
      const double label = static_cast<double>(letters(styles_[i].label)) * kSmallLetter;
      if (label > 0.0) {
        gaps[box.column] = std::max(gaps[box.column], kLeastGap + label);
        straight[box.column] = std::max(straight[box.column], label + 8.0);
      }
    }
    double x = kMargin;
    for (std::size_t column = 0; column < widths.size(); ++column) {
      x += gaps[column];
      column_x_.push_back(x);
      x += widths[column];
    }
    straight_ = std::move(straight);
    column_width_ = std::move(widths);
    for (std::size_t i = 0; i < boxes_.size(); ++i) { width_ = std::max(width_, left(i) + width(i)); }
    const double title = static_cast<double>(letters(options_.title)) * 9.5;
    width_ = std::max({width_ + kMargin + 6.0, title + 2 * kMargin, 360.0});
  }

  void place_rows() {
    top_ = kMargin + (options_.title.empty() ? 0.0 : 28.0) + 34.0 + kBoxHeight / 2;
    double last = 0.0;
    for (const Box& box : boxes_) { last = std::max(last, box.y); }
    height_ = top_ + last * kLine + kBoxHeight / 2 + kMargin;
  }

  [[nodiscard]] double left(std::size_t box) const { return column_x_[boxes_[box].column]; }
  [[nodiscard]] double width(std::size_t box) const {
    return boxes_[box].summary ? box_width(boxes_[box]) : column_width_[boxes_[box].column];
  }
  [[nodiscard]] double middle(std::size_t box) const { return top_ + boxes_[box].y * kLine; }

  void draw_head() {
    auto out = std::back_inserter(text_);
    double y = kMargin;
    if (!options_.title.empty()) {
      fmt::format_to(out, "<text class=\"tt-text tt-title\" x=\"{}\" y=\"{}\">{}</text>\n", kMargin, y + 14,
                     xml_escaped(options_.title));
      y += 28.0;
    }
    double x = kMargin;
    const auto item = [&](Role role, std::uint64_t count) {
      if (count == 0) { return; }
      const std::string label = role == Role::kRoot ? "root"
                                                    : fmt::format("{} {}{}", internal::with_commas(count),
                                                                  to_string(role), count == 1 ? "" : "s");
      fmt::format_to(out, "<rect class=\"tt-{}\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"18\" height=\"12\" rx=\"6\"/>",
                     to_string(role), x + 0.5, y + 0.5);
      fmt::format_to(out, "<text class=\"tt-text tt-legend\" x=\"{:.1f}\" y=\"{:.1f}\">{}</text>\n", x + 25, y + 10.5,
                     label);
      x += 25 + static_cast<double>(label.size()) * kLetter + 20;
    };
    item(Role::kRoot, 1);
    item(Role::kAggregator, topology_.aggregators());
    item(Role::kClient, topology_.clients());
    width_ = std::max(width_, x);
  }

  void draw_edge(std::size_t box) {
    const std::size_t parent = boxes_[box].parent;
    const double x1 = left(parent) + width(parent);
    const double x2 = left(box) - straight_[boxes_[box].column];
    const double bend = x1 + (x2 - x1) * 0.5;
    const EdgeStyle& style = styles_[box];
    auto out = std::back_inserter(text_);
    fmt::format_to(out,
                   R"(<path class="tt-edge" d="M{:.1f} {:.1f}C{:.1f} {:.1f} {:.1f} {:.1f} {:.1f} {:.1f}H{:.1f}" )"
                   R"(stroke-width="{:.3g}")",
                   x1, middle(parent), bend, middle(parent), bend, middle(box), x2, middle(box), left(box),
                   style.width);
    if (!style.color.empty()) { fmt::format_to(out, R"( style="stroke:{}")", xml_escaped(style.color)); }
    if (style.tooltip.empty()) {
      text_ += "/>\n";
    } else {
      fmt::format_to(out, "><title>{}</title></path>\n", xml_escaped(style.tooltip));
    }
  }

  void draw_edge_label(std::size_t box) {
    if (styles_[box].label.empty()) { return; }
    fmt::format_to(std::back_inserter(text_),
                   R"(<text class="tt-text tt-label" text-anchor="end" x="{:.1f}" y="{:.1f}">{}</text>)", left(box) - 6,
                   middle(box) - 2.5 - styles_[box].width / 2, xml_escaped(styles_[box].label));
    text_ += '\n';
  }

  void draw_box(std::size_t index) {
    const Box& box = boxes_[index];
    const std::string_view kind = class_of(topology_, box);
    const double x = left(index);
    const double y = middle(index) - kBoxHeight / 2;
    auto out = std::back_inserter(text_);
    fmt::format_to(out, "<g><title>{}</title>", xml_escaped(tooltip(box)));
    const auto rectangle = [&](double shift) {
      fmt::format_to(out, R"(<rect class="tt-{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.0f}" rx="{:.0f}"/>)",
                     kind, x + shift, y - shift, width(index), kBoxHeight, kBoxHeight / 2);
    };
    if (box.stack) {
      rectangle(5.0);
      rectangle(2.5);
    }
    rectangle(0.0);
    fmt::format_to(out, R"(<text class="tt-text tt-on-{}" text-anchor="middle" x="{:.1f}" y="{:.1f}">{}</text></g>)",
                   kind, x + width(index) / 2, y + 14.2, xml_escaped(shortened(box)));
    text_ += '\n';
  }

  [[nodiscard]] std::string tooltip(const Box& box) const {
    if (box.summary) { return box.label; }
    const TopologyNode& node = topology_.node(box.entry);
    const NodeAttributes& attributes = topology_.attributes(node);
    std::string text = box.stack ? topology_.label(node) : box.label;
    text += fmt::format(" \u00b7 {}", to_string(node.role));
    if (node.role != Role::kClient) {
      text += fmt::format(" \u00b7 {} children, {} clients", internal::with_commas(node.children),
                          internal::with_commas(node.clients));
    }
    const auto add = [&](std::string_view key, const std::string& value) {
      if (!value.empty()) { text += fmt::format(" \u00b7 {} {}", key, value); }
    };
    add("site", topology_.site(node));
    add("device", attributes.device);
    add("transport", attributes.transport);
    add("address", attributes.address);
    if (attributes.rank) { add("rank", std::to_string(*attributes.rank)); }
    if (attributes.link.bytes_per_second > 0.0) {
      add("link", internal::format_rate(attributes.link.bytes_per_second));
    }
    if (attributes.link.latency.count() > 0) { add("latency", internal::format_duration(attributes.link.latency)); }
    return text;
  }

  const Topology& topology_;
  const SvgOptions& options_;
  std::vector<Box> boxes_;
  std::vector<EdgeStyle> styles_;
  std::vector<double> column_x_;
  std::vector<double> column_width_;
  std::vector<double> straight_;  // ends of the edges to a column, where the labels stand
  double width_ = 0.0;
  double height_ = 0.0;
  double top_ = 0.0;
  std::string text_;
};

}  // namespace

std::string svg(const Topology& topology, const SvgOptions& options) {
  return Picture(topology, options).run();
}

std::string svg(const Tree& tree, const SvgOptions& options) {
  return svg(Topology::from_tree(tree), options);
}

}  // namespace tributary
