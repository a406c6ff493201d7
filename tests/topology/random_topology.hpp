// SPDX-License-Identifier: Apache-2.0
// Trees of any shape with any attributes, by seed.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "tributary/topology/topology.hpp"

namespace tributary {

struct RandomTopology {
  std::uint32_t entries = 40;
  bool all_named = false;
  bool groups = true;
  bool attributes = true;
};

class RandomTopologySource {
 public:
  explicit RandomTopologySource(std::uint64_t seed) : random_(seed) {}

  Topology make(const RandomTopology& wanted) {
    Topology::Builder builder;
    NodeAttributes of_root = attributes(wanted);
    if (of_root.rank) { of_root.rank = 0; }
    std::vector<Topology::Builder::Entry> inner{builder.add_root(std::move(of_root))};
    // A client of each inner node keeps it from being a leaf, whatever comes later.
    builder.add(inner.front(), attributes(wanted));
    for (std::uint32_t i = 0; i < wanted.entries; ++i) {
      const auto parent = inner[below(inner.size())];
      switch (below(wanted.groups ? 4 : 3)) {
        case 0:
          inner.push_back(builder.add(parent, attributes(wanted)));
          builder.add(inner.back(), attributes(wanted));
          break;
        case 3:
          builder.add_group(parent, static_cast<std::uint32_t>(1 + below(9)), attributes(wanted));
          break;
        default:
          builder.add(parent, attributes(wanted));
      }
    }
    Result<Topology> topology = builder.build();
    EXPECT_TRUE(topology.ok()) << topology.status().message();
    return std::move(topology).value();
  }

 private:
  std::size_t below(std::size_t bound) { return static_cast<std::size_t>(random_() % bound); }

  std::string text() {
    static constexpr std::array<std::string_view, 12> kTexts{
        "plain", "with space", "colon: here", "# no comment", "quote \" and \\", "null",
        "true",  "1.5",        "- dash",      "{brace}",      "<tag> & 'more'",  "Universit\u00e4t \u2192 \U0001F333"};
    return std::string(kTexts[below(kTexts.size())]);
  }

  NodeAttributes attributes(const RandomTopology& wanted) {
    static constexpr std::array<std::string_view, 6> kNames{"node", "null", "-", "1", "N.o_d-e", "true"};
    NodeAttributes result;
    if (wanted.all_named || below(2) == 0) {
      // The letter keeps names apart from those of group members.
      result.name = std::string(kNames[below(kNames.size())]) + "-" + std::to_string(next_++) + "x";
    }
    if (!wanted.attributes || below(3) == 0) { return result; }
    if (below(2) == 0) { result.site = text(); }
    if (below(2) == 0) { result.device = below(2) == 0 ? "cpu" : "cuda"; }
    if (below(2) == 0) { result.transport = below(2) == 0 ? "tls" : "in-process"; }
    if (below(2) == 0) { result.address = text(); }
    if (below(2) == 0) { result.rank = static_cast<std::uint32_t>(below(TopologyLimits::kRank + 1)); }
    if (below(2) == 0) { result.link.bytes_per_second = static_cast<double>(1 + below(1'000'000'000'000)) / 7.0 + 1.0; }
    if (below(2) == 0) { result.link.bytes_per_second = static_cast<double>(1 + below(1000)) * 125000.0; }
    if (below(2) == 0) { result.link.latency = std::chrono::nanoseconds(below(3'600'000'000'001)); }
    for (std::size_t i = below(3); i > 0; --i) { result.extra[text()] = below(5) == 0 ? "" : text(); }
    return result;
  }

  std::mt19937_64 random_;
  std::uint32_t next_ = 0;
};

}  // namespace tributary
