// SPDX-License-Identifier: Apache-2.0
// Where the boxes of a drawing stand: which nodes are shown one by one, which are summarised, and in which line.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tributary/topology/topology.hpp"

namespace tributary::internal {

struct Box {
  std::string label;
  NodeId first{};  // the nodes it stands for: siblings, consecutive
  std::uint32_t count = 1;
  std::uint32_t entry = 0;   // of the first node
  std::uint32_t parent = 0;  // box
  std::uint32_t column = 0;
  bool stack = false;    // a group in one box
  bool summary = false;  // several entries in one box
  double y = 0.0;        // of its middle, in lines from 0
};

// Parents come before their children.
[[nodiscard]] std::vector<Box> lay_out(const Topology& topology, std::uint32_t max_rows);

}  // namespace tributary::internal
