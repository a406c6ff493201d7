// SPDX-License-Identifier: Apache-2.0
// A picture of a tree: one self-contained SVG element, readable on light and dark pages, without scripts.
//
// Left to right, a column per tier, the roles in colours, a legend with their numbers. Trees with more clients than
// `max_rows` are summarised: groups become one stack, further siblings one line "12 more aggregators".
// Threads: functions of their arguments only; `edge` is called on the calling thread.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "tributary/base/ids.hpp"
#include "tributary/nodes/tree.hpp"
#include "tributary/topology/topology.hpp"

namespace tributary {

struct EdgeStyle {
  double width = 1.5;   // pixels, 0.5 to 12
  std::string label;    // short; stands on the edge beside the child
  std::string color;    // any CSS colour; empty: that of the page's lines
  std::string tooltip;  // shown while the pointer rests on the edge
};

struct SvgOptions {
  std::string title;            // above the picture; empty: none
  std::uint32_t max_rows = 48;  // lines of the picture, >= 4
  bool background = true;       // false: that of the page shines through
  // The style of the edge above the nodes [first, first + count), which are siblings: one node, a group, or the
  // siblings summarised in one line. Empty: EdgeStyle{} for all.
  std::function<EdgeStyle(NodeId first, std::uint32_t count)> edge;
};

[[nodiscard]] std::string svg(const Topology& topology, const SvgOptions& options = {});
[[nodiscard]] std::string svg(const Tree& tree, const SvgOptions& options = {});

}  // namespace tributary
