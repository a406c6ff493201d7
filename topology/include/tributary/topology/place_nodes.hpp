// SPDX-License-Identifier: Apache-2.0
// Which rank of an MPI job holds which node of the tree.
//
// Said:       a node whose attribute `rank` is set is there, and so is everything below it that says nothing else. The
//             root is on rank 0.
// Not said:   clients, in the order of their ClientIndex, are cut into one block per rank, as equal in expected work as
//             blocks can be; the ranks of one host follow one another, so a subtree stays on few ranks and fewer hosts.
//             An inner node goes where most of the work of its children is: to that host, and there to that rank.
//             docs/decisions/0005-placement.md has the reasons.
// Balance:    if nothing is said, no rank has more work than the average rank plus the heaviest client. Every rank gets
//             a client as long as there are as many clients as ranks; ranks that are left without a node are legal.
// Determinism: a function of its arguments alone: every rank computes it for itself, and all get the same.
// Cost:       24 bytes per node while it is made; tens of milliseconds for a million clients.
// Threads:    functions of their arguments only.
#pragma once

#include <functional>
#include <span>
#include <string>

#include "tributary/base/ids.hpp"
#include "tributary/base/status.hpp"
#include "tributary/nodes/placement.hpp"
#include "tributary/nodes/tree.hpp"

namespace tributary {

// `hosts`: for each rank the name of its host; ranks whose names are equal share one. `work`: what a round costs one
// client, in any unit, finite and > 0 (for example samples x epochs); empty: all clients cost the same.
// kInvalidArgument: no ranks, or work that is no such number. kConfiguration: a node says a rank that does not exist,
// or the root one that is not 0.
Result<Placement> place_nodes(const Tree& tree, std::span<const std::string> hosts,
                              const std::function<double(ClientIndex)>& work);

// The same for drivers, which know the hosts later.
[[nodiscard]] NodePlacer node_placer(std::function<double(ClientIndex)> work = {});

}  // namespace tributary
