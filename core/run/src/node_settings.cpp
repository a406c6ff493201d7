// SPDX-License-Identifier: Apache-2.0
#include "node_settings.hpp"

#include <fmt/format.h>

#include <map>
#include <string>
#include <vector>

namespace tributary::internal {
namespace {

// One sentence about a node's setting that has no effect; empty if there is none.
std::string problem_of(const NodeAttributes& node, const TrainerConfig& trainer) {
  if (node.transport == "tls") {
    return "transport: tls is not there yet, and everything would be sent in the clear; remove it, and keep the "
           "federation on one machine or in one MPI job";
  }
  if (!node.transport.empty() && node.transport != "auto") {
    return fmt::format(
        "transport: {} has no effect, as the way the program is started decides that; remove it, or "
        "say auto",
        node.transport);
  }
  if (!node.address.empty()) { return "address has no effect yet, as no node listens on a network; remove it"; }
  if (!node.device.empty() && node.device != trainer.device) {
    return fmt::format(
        "device: {} has no effect, as all clients train on trainer.device, which is {}; remove it here, "
        "or change it there",
        node.device, trainer.device);
  }
  return {};
}

}  // namespace

Status check_node_settings(const Tree& tree, const TrainerConfig& trainer) {
  struct Found {
    std::string node;
    std::uint32_t others = 0;
  };
  std::map<std::string, Found> problems;
  for (std::uint32_t n = 0; n < tree.size(); ++n) {
    std::string problem = problem_of(tree.attributes(NodeId{n}), trainer);
    if (problem.empty() && NodeId{n} == tree.root() && tree.attributes(NodeId{n}).link != Link{}) {
      problem =
          "link has no effect, as it is the way to a parent, and the root has none; give it to the root's children";
    }
    if (problem.empty()) { continue; }
    const auto [found, first] = problems.try_emplace(problem, Found{tree.name(NodeId{n}), 0});
    if (!first) { ++found->second.others; }
  }
  std::string text;
  for (const auto& [problem, found] : problems) {
    const std::string others =
        found.others == 0 ? "" : fmt::format(" and {} other{}", found.others, found.others == 1 ? "" : "s");
    text += fmt::format("{}topology: node {}{}: {}", text.empty() ? "" : "\n", found.node, others, problem);
  }
  return text.empty() ? ok_status() : configuration_error(text);
}

}  // namespace tributary::internal
