// SPDX-License-Identifier: Apache-2.0
// The two halves of the states of clients: what the root has summed up, and what the clients hold themselves.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "support/memory_states.hpp"
#include "tributary/nodes/inner_node.hpp"
#include "tributary/nodes/member_ledger.hpp"
#include "tributary/nodes/tree.hpp"

namespace tributary::testing {

// Both are the same numbers, to the bit, once every client has heard from what was `saved` what became of its
// increments. `name`: of the root's vector. `weight`: of a client.
inline void expect_both_halves_agree(const Snapshot& saved, const std::string& name, const MemoryStates& states,
                                     const Tree& tree, const std::function<double(ClientIndex)>& weight) {
  const Snapshot::Vector sum = saved.find(name);
  if (!sum) { return; }
  MemberLedger ledger;
  ASSERT_TRUE(ledger.restore(saved.part(kMemberState)).ok());
  std::vector<double> clients(sum->size(), 0.0);
  for (const auto& [client, state] : states.states) {
    if (state->epoch() != ledger.epoch()) { continue; }
    ClientState settled = *state;
    std::vector<std::uint64_t> sequences;
    for (const auto& part : settled.undecided()) { sequences.push_back(part.sequence); }
    const MemberLedger::Claim claim{tree.client_node(client), state->last_settled(), sequences};
    EXPECT_TRUE(ledger.agrees(claim)) << "client " << client.value;
    settled.settle(ledger.settle(claim, sequences));
    EXPECT_TRUE(settled.undecided().empty()) << "client " << client.value;
    for (std::size_t i = 0; i < settled.settled().size(); ++i) { clients[i] += weight(client) * settled.settled()[i]; }
  }
  EXPECT_EQ(*sum, clients);
}

}  // namespace tributary::testing
