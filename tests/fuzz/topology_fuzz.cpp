// SPDX-License-Identifier: Apache-2.0
// Any bytes as a topology of each format: they are refused, or they are a topology that is written and read back equal.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "tributary/topology/cost.hpp"
#include "tributary/topology/read.hpp"
#include "tributary/topology/svg.hpp"
#include "tributary/topology/write.hpp"

namespace {

using tributary::TopologyFormat;

void require(bool condition) {
  if (!condition) { std::abort(); }
}

void check_round_trip(const tributary::Topology& topology, TopologyFormat format) {
  const auto text = tributary::format_topology(topology, format);
  require(text.ok());
  const auto back = tributary::parse_topology(*text, format, "written");
  require(back.ok() && *back == topology);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) { return 0; }
  const auto format = static_cast<TopologyFormat>(data[0] % 4);
  const std::string_view text(reinterpret_cast<const char*>(data + 1), size - 1);

  const auto topology = tributary::parse_topology(text, format, "fuzz");
  if (!topology.ok()) {
    require(!topology.status().message().empty());
    return 0;
  }
  // A group takes few bytes to write and many to expand.
  constexpr std::uint32_t kExpanded = 10'000;
  check_round_trip(*topology, TopologyFormat::kYaml);
  check_round_trip(*topology, TopologyFormat::kJson);
  require(!tributary::svg(*topology).empty());
  require(tributary::estimate_cost(*topology, {.bytes_down = 1, .bytes_up = 1}).payloads >= 2.0);
  if (topology->size() <= kExpanded) { require(topology->to_tree().size() == topology->size()); }
  return 0;
}
