// SPDX-License-Identifier: Apache-2.0
// The states of clients, kept in memory for as long as a test runs: a disk that outlives every client.
#pragma once

#include <map>
#include <memory>

#include "tributary/nodes/client_state.hpp"

namespace tributary::testing {

class MemoryStates final : public ClientStateStore {
 public:
  Result<std::shared_ptr<const ClientState>> load(ClientIndex client) override {
    std::shared_ptr<const ClientState>& state = states[client];
    if (!state) { state = std::make_shared<const ClientState>(); }
    return state;
  }
  Status save(ClientIndex client, std::shared_ptr<const ClientState> state) override {
    states[client] = std::move(state);
    ++saves;
    return {};
  }

  std::map<ClientIndex, std::shared_ptr<const ClientState>> states;
  std::uint64_t saves = 0;
};

}  // namespace tributary::testing
