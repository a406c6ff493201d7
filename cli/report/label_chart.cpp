// SPDX-License-Identifier: Apache-2.0
#include "report/label_chart.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <numeric>
#include <vector>

#include "report/chart.hpp"
#include "report/page.hpp"
#include "tributary/base/human.hpp"

namespace tributary::cli {
namespace {

using Out = std::back_insert_iterator<std::string>;

constexpr std::size_t kMaxClients = 64;
constexpr std::size_t kMaxClasses = 128;
constexpr double kWidth = 1100.0;
constexpr double kLeft = 70.0;
constexpr double kSizes = 56.0;  // height of the bars above the map

struct Client {
  std::uint64_t index = 0;
  std::vector<double> counts;

  [[nodiscard]] double size() const { return std::accumulate(counts.begin(), counts.end(), 0.0); }
};

std::vector<Client> clients_of(const RunData& data, std::size_t& classes) {
  std::vector<Client> clients;
  for (const Record& record : data.labels) {
    const auto counts = record.numbers("counts");
    Client client{saturated_count(record.number("client")), {counts.begin(), counts.end()}};
    for (double& count : client.counts) { count = std::isfinite(count) ? std::max(0.0, count) : 0.0; }
    client.counts.resize(std::min(client.counts.size(), kMaxClasses));
    classes = std::max(classes, client.counts.size());
    clients.push_back(std::move(client));
  }
  for (Client& client : clients) { client.counts.resize(classes); }
  return clients;
}

std::string heat_map(const std::vector<Client>& all, std::size_t classes) {
  std::vector<const Client*> shown;
  const std::size_t columns = std::min(kMaxClients, all.size());
  for (std::size_t i = 0; i < columns; ++i) { shown.push_back(&all[i * all.size() / columns]); }
  double largest_cell = 1.0;
  double largest_client = 1.0;
  for (const Client* client : shown) {
    largest_client = std::max(largest_client, client->size());
    for (const double count : client->counts) { largest_cell = std::max(largest_cell, count); }
  }
  const double cell = std::min(44.0, (kWidth - kLeft) / static_cast<double>(columns));
  const double row = classes <= 20 ? 20.0 : std::max(4.0, 400.0 / static_cast<double>(classes));
  const double gap = row > 8 ? 1.5 : 0.5;
  const double width = kLeft + cell * static_cast<double>(columns) + 4;
  const double height = kSizes + row * static_cast<double>(classes) + 34;

  std::string out = fmt::format(
      "<svg class=\"chart\" style=\"max-width:{0:.0f}px\" viewBox=\"0 0 {0:.1f} {1:.1f}\" role=\"img\" "
      "aria-label=\"Samples of each class at each client\">\n",
      width, height);
  Out to(out);
  fmt::format_to(to, "<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"end\">samples</text>", kLeft - 10, kSizes - 8);
  for (std::size_t k = 0; k < classes; ++k) {
    if (row < 11 && k % 10 != 0) { continue; }
    fmt::format_to(to, "<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"end\">{}{}</text>", kLeft - 10,
                   kSizes + row * (static_cast<double>(k) + 0.5) + 4, k == 0 ? "class " : "", k);
  }
  const std::size_t label_every = std::max<std::size_t>(1, static_cast<std::size_t>(std::ceil(26.0 / cell)));
  for (std::size_t c = 0; c < columns; ++c) {
    const Client& client = *shown[c];
    const double left = kLeft + cell * static_cast<double>(c);
    const double bar = client.size() / largest_client * (kSizes - 12);
    fmt::format_to(to,
                   "<g><title>client {}: {} samples</title><rect class=\"bar c7\" x=\"{:.1f}\" y=\"{:.1f}\" "
                   "width=\"{:.1f}\" height=\"{:.1f}\" rx=\"1.5\"/></g>",
                   client.index, human_count(saturated_count(client.size())), left + gap / 2, kSizes - 4 - bar,
                   cell - gap, bar);
    for (std::size_t k = 0; k < classes; ++k) {
      const double count = client.counts[k];
      const double top = kSizes + row * static_cast<double>(k);
      fmt::format_to(to,
                     "<rect class=\"frame\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" rx=\"2\"/>",
                     left + gap / 2, top + gap / 2, cell - gap, row - gap);
      if (count <= 0) { continue; }
      // The square root keeps small counts visible beside large ones.
      fmt::format_to(to,
                     "<rect class=\"cell\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" rx=\"2\" "
                     "fill-opacity=\"{:.3f}\"><title>client {}, class {}: {} samples</title></rect>",
                     left + gap / 2, top + gap / 2, cell - gap, row - gap, std::sqrt(count / largest_cell),
                     client.index, k, human_count(saturated_count(count)));
    }
    if (c % label_every == 0) {
      fmt::format_to(to, "<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{}</text>\n", left + cell / 2,
                     height - 18, client.index);
    }
  }
  fmt::format_to(to, "<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">client</text></svg>\n",
                 kLeft + cell * static_cast<double>(columns) / 2, height - 2);
  fmt::format_to(to,
                 "<div class=\"legend\"><span>0 <svg width=\"120\" height=\"11\" style=\"vertical-align:-1px\">"
                 "<defs><linearGradient id=\"heat\"><stop offset=\"0\" stop-color=\"var(--heat)\" stop-opacity=\"0\"/>"
                 "<stop offset=\"1\" stop-color=\"var(--heat)\"/></linearGradient></defs>"
                 "<rect width=\"120\" height=\"11\" rx=\"3\" fill=\"var(--grid)\"/>"
                 "<rect width=\"120\" height=\"11\" rx=\"3\" fill=\"url(#heat)\"/></svg> {} samples of a class at one "
                 "client (square-root scale)</span></div>",
                 human_count(saturated_count(largest_cell)));
  return out;
}

struct Spread {
  std::vector<double> low;
  std::vector<double> mean;
  std::vector<double> high;
};

Spread spread_of(const std::vector<Client>& clients, std::size_t classes) {
  Spread spread{std::vector<double>(classes), std::vector<double>(classes), std::vector<double>(classes)};
  for (std::size_t k = 0; k < classes; ++k) {
    double low = clients.front().counts[k];
    double high = low;
    double sum = 0.0;
    for (const Client& client : clients) {
      low = std::min(low, client.counts[k]);
      high = std::max(high, client.counts[k]);
      sum += client.counts[k];
    }
    spread.low[k] = low;
    spread.high[k] = high;
    spread.mean[k] = sum / static_cast<double>(clients.size());
  }
  return spread;
}

Spread spread_of(const Record& summary) {
  const auto list = [&summary](std::string_view key) {
    const auto numbers = summary.numbers(key);
    std::vector<double> values(numbers.begin(), numbers.end());
    for (double& value : values) { value = std::isfinite(value) ? value : 0.0; }
    return values;
  };
  Spread spread{list("min"), list("mean"), list("max")};
  const std::size_t classes = std::min({kMaxClasses, spread.low.size(), spread.mean.size(), spread.high.size()});
  spread.low.resize(classes);
  spread.mean.resize(classes);
  spread.high.resize(classes);
  return spread;
}

std::string range_chart(const Spread& spread) {
  constexpr double kRow = 24.0;
  constexpr double kChartWidth = 760.0;
  const std::size_t classes = spread.mean.size();
  double highest = 1.0;
  for (const double value : spread.high) { highest = std::max(highest, value); }
  const std::vector<double> marks = ticks(0.0, highest, 6);
  const double height = kRow * static_cast<double>(classes) + 40;
  const auto x = [&marks](double value) { return kLeft + value / marks.back() * (kChartWidth - kLeft - 30); };
  std::string out = fmt::format(
      "<svg class=\"chart\" style=\"max-width:{0:.0f}px\" viewBox=\"0 0 {0:.1f} {1:.1f}\" role=\"img\" "
      "aria-label=\"Smallest, mean and largest number of samples of each class at a client\">\n",
      kChartWidth, height);
  Out to(out);
  for (const double mark : marks) {
    fmt::format_to(to, "<line class=\"grid\" x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"4\" y2=\"{1:.1f}\"/>", x(mark),
                   height - 34);
    fmt::format_to(to, "<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{:g}</text>", x(mark), height - 20,
                   mark);
  }
  for (std::size_t k = 0; k < classes; ++k) {
    const double middle = 6 + kRow * (static_cast<double>(k) + 0.5);
    fmt::format_to(to, "<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"end\">class {}</text>", kLeft - 10, middle + 4,
                   k);
    fmt::format_to(
        to,
        "<g><title>class {}: {:g} to {:g}, mean {:.1f}</title><rect class=\"bar c0\" opacity=\".3\" x=\"{:.1f}\" "
        "y=\"{:.1f}\" width=\"{:.1f}\" height=\"8\" rx=\"4\"/><circle class=\"bar c0\" cx=\"{:.1f}\" cy=\"{:.1f}\" "
        "r=\"5\"/></g>\n",
        k, spread.low[k], spread.high[k], spread.mean[k], x(spread.low[k]), middle - 4,
        std::max(2.0, x(spread.high[k]) - x(spread.low[k])), x(spread.mean[k]), middle);
  }
  fmt::format_to(to,
                 "<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">samples at a client: smallest to largest, "
                 "and the mean</text></svg>\n",
                 (kLeft + kChartWidth) / 2, height - 3);
  return out;
}

}  // namespace

std::string label_charts(const RunData& data) {
  std::size_t classes = 0;
  const std::vector<Client> clients = clients_of(data, classes);
  if (!clients.empty() && classes > 0) {
    if (clients.size() <= kMaxClients) { return heat_map(clients, classes); }
    return fmt::format("<p class=\"note\">{} of {} clients, evenly selected.</p>", kMaxClients,
                       human_count(clients.size())) +
           heat_map(clients, classes) + range_chart(spread_of(clients, classes));
  }
  if (data.labels_summary) {
    const Spread spread = spread_of(*data.labels_summary);
    if (!spread.mean.empty()) { return range_chart(spread); }
  }
  return {};
}

}  // namespace tributary::cli
