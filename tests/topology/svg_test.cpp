// SPDX-License-Identifier: Apache-2.0
#include "tributary/topology/svg.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "random_topology.hpp"
#include "tributary/base/printable.hpp"
#include "tributary/topology/generate.hpp"

namespace tributary {
namespace {

using testing::HasSubstr;
using testing::Not;

// Tags are closed in order, attribute values quoted, text free of bare '<' and '&'. Empty if so, else what is wrong.
std::string xml_problem(std::string_view text) {
  static const std::set<std::string_view> kEntities{"amp", "lt", "gt", "quot", "#39"};
  std::vector<std::string> open;
  for (std::size_t i = 0; i < text.size();) {
    if (text[i] == '&') {
      const std::size_t end = text.find(';', i);
      if (end == std::string_view::npos || !kEntities.contains(text.substr(i + 1, end - i - 1))) { return "a bare &"; }
      i = end + 1;
      continue;
    }
    if (text[i] != '<') {
      ++i;
      continue;
    }
    bool in_quotes = false;
    std::size_t end = i + 1;
    for (; end < text.size() && (in_quotes || text[end] != '>'); ++end) {
      if (text[end] == '"') { in_quotes = !in_quotes; }
      if (text[end] == '<') { return "a bare <"; }
    }
    if (end == text.size()) { return "a tag without end"; }
    const std::string_view tag = text.substr(i + 1, end - i - 1);
    const std::string name(
        tag.substr(tag.front() == '/' ? 1 : 0, tag.find_first_of(" /", 1) - (tag.front() == '/' ? 1 : 0)));
    if (tag.front() == '/') {
      if (open.empty() || open.back() != tag.substr(1)) { return "unexpected </" + std::string(tag.substr(1)) + ">"; }
      open.pop_back();
    } else if (tag.back() != '/') {
      open.push_back(name);
    }
    i = end + 1;
  }
  return open.empty() ? "" : "<" + open.back() + "> is never closed";
}

TEST(Svg, IsWellFormedForAnyTree) {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    const Topology topology = RandomTopologySource(seed).make({.entries = static_cast<std::uint32_t>(seed * 2)});

    EXPECT_EQ(xml_problem(svg(topology, {.title = "<&\"'>"})), "") << "seed " << seed;
  }
}

TEST(Svg, EscapesWhatPeopleWrote) {
  Topology::Builder builder;
  NodeAttributes client;
  client.site = "A & B <Hospital> \"North\"";
  builder.add(builder.add_root(), client);
  const auto style = [](NodeId, std::uint32_t) { return EdgeStyle{2.0, "<1 MB", "red\"/>", "a & b"}; };

  const std::string text = svg(builder.build().value(), {.title = "R & D", .edge = style});

  EXPECT_EQ(xml_problem(text), "");
  EXPECT_THAT(text, HasSubstr("R &amp; D"));
  EXPECT_THAT(text, HasSubstr("site A &amp; B &lt;Hospital&gt; &quot;North&quot;"));
  EXPECT_THAT(text, HasSubstr("&lt;1 MB</text>"));
  EXPECT_THAT(text, HasSubstr("stroke:red&quot;/&gt;"));
  EXPECT_THAT(text, HasSubstr("<title>a &amp; b</title>"));
}

TEST(Svg, ShowsEveryNodeOfASmallTreeAndALegend) {
  const std::vector<SiteClients> all{{"berlin", 2}, {"paris", 3}};

  const std::string text = svg(sites_topology(all).value());

  for (const char* name :
       {">root<", ">berlin<", ">paris<", ">berlin-client-1<", ">paris-client-2<", ">2 aggregators<", ">5 clients<"}) {
    EXPECT_THAT(text, HasSubstr(name));
  }
}

TEST(Svg, SummarisesAMillionClientsInFewKilobytes) {
  const std::vector<std::uint32_t> widths{1000, 1'000'000};

  const std::string text = svg(widths_topology(widths).value());

  EXPECT_EQ(xml_problem(text), "");
  EXPECT_LT(text.size(), 20'000U);
  EXPECT_THAT(text, HasSubstr("1,000 clients"));
  EXPECT_THAT(text, HasSubstr("\u2026 989 more aggregators \u00b7 989,000 clients"));
  EXPECT_THAT(text, HasSubstr("1,000,000 clients"));
}

TEST(Svg, SummarisesManySiblingsInOneLine) {
  Topology::Builder builder;
  NodeAttributes root;
  root.name = "root";
  const auto top = builder.add_root(root);
  for (int i = 0; i < 250; ++i) {
    NodeAttributes client;
    client.name = "ward-" + std::to_string(i);
    builder.add(top, client);
  }

  const std::string text = svg(builder.build().value());

  EXPECT_THAT(text, HasSubstr(">ward-10<"));
  EXPECT_THAT(text, Not(HasSubstr(">ward-11<")));
  EXPECT_THAT(text, HasSubstr("\u2026 239 more clients"));
}

TEST(Svg, KeepsToTheGivenNumberOfLines) {
  for (const std::uint32_t rows : {4U, 10U, 30U}) {
    const std::string text = svg(balanced_topology(2, 10).value(), {.max_rows = rows});

    const auto height = std::stoul(text.substr(text.find("height=\"") + 8));
    EXPECT_LT(height, 25 * (rows + 0.3 * rows * 3) + 130) << rows;
  }
}

TEST(Svg, DrawsAVeryDeepTree) {
  Tree::Builder chain;
  chain.child_counts.assign(100'000, 1);
  chain.child_counts.back() = 0;

  const std::string text = svg(Tree::create(std::move(chain)).value());

  EXPECT_EQ(xml_problem(text), "");
  EXPECT_THAT(text, HasSubstr("\u2026 1 aggregator \u00b7 1 client"));
}

TEST(Svg, AsksForTheStyleOfEveryDrawnEdgeOnce) {
  const std::vector<std::uint32_t> widths{20, 2000};
  const Topology topology = widths_topology(widths).value();
  std::set<std::uint32_t> seen;
  std::uint32_t direct = 0;
  const auto style = [&](NodeId first, std::uint32_t count) {
    for (std::uint32_t i = 0; i < count; ++i) {
      EXPECT_TRUE(seen.insert(first.value + i).second);
      if (first.value <= 20) { ++direct; }
    }
    return EdgeStyle{.width = std::nan("")};
  };

  const std::string text = svg(topology, {.edge = style});

  EXPECT_EQ(direct, 20U);
  EXPECT_EQ(seen.size(), 20U + 11 * 100);
  EXPECT_THAT(text, Not(HasSubstr("nan")));
}

TEST(Svg, HasNoScriptsAndLoadsNothing) {
  const std::string text = svg(star_topology(3).value());

  EXPECT_THAT(text, Not(HasSubstr("<script")));
  EXPECT_THAT(text, Not(HasSubstr("href")));
  EXPECT_THAT(text, HasSubstr("prefers-color-scheme:dark"));
}

TEST(Svg, LeavesTheBackgroundToThePageWhenAsked) {
  EXPECT_THAT(svg(star_topology(3).value(), {.background = false}), Not(HasSubstr("class=\"tt-bg\"")));
}

TEST(Svg, NamesOfATreeThatNobodyCheckedAreSafeAndCutBetweenCharacters) {
  std::string town;
  for (int i = 0; i < 30; ++i) { town += "\u6771"; }
  Tree::Builder builder;
  builder.child_counts = {3, 0, 0, 0};
  builder.attributes[1].name = town;
  builder.attributes[2].name = "\x1b[31m<b>\u202e\xff";
  builder.attributes[3].name = std::string(33, 'x') + "\u00e9\u00e9";

  const std::string text = svg(Tree::create(std::move(builder)).value());

  EXPECT_EQ(xml_problem(text), "");
  EXPECT_EQ(printable_lines(text), text);
  EXPECT_THAT(text, HasSubstr(">" + town.substr(0, std::size_t{16} * 3) + "\u2026</text>"));
  EXPECT_THAT(text, HasSubstr(">\\x1b[31m&lt;b&gt;\\u202e\\xff</text>"));
  EXPECT_THAT(text, HasSubstr(">" + std::string(33, 'x') + "\u2026</text>"));
}

}  // namespace
}  // namespace tributary
