// SPDX-License-Identifier: Apache-2.0
// A client: trains when its parent asks, and answers until it is heard.
//
// Life cycle: made when a message for it arrives, may be dropped whenever idle(): it remembers nothing between tasks.
// Threads:    as Node.
#pragma once

#include "tributary/nodes/client_update.hpp"
#include "tributary/nodes/parent_link.hpp"

namespace tributary {

class ClientNode final : public Node {
 public:
  // `spec` must outlive the node.
  ClientNode(NodeId self, NodeId parent, const ParameterSpec& spec, LivenessSettings liveness);

  // Says Hello: only for a node that was away.
  void on_start(NodeContext& context) override;
  void on_message(NodeContext& context, NodeId from, Message message) override;
  void on_timer(NodeContext& context, TimerId timer) override;
  // The answer to NodeContext::train(). Answers to requests that were replaced or cancelled are ignored.
  void on_trained(NodeContext& context, const TaskKey& key, Result<ClientUpdate> result);

  [[nodiscard]] bool idle() const noexcept { return link_.idle(); }

 private:
  ParentLink link_;
  const ParameterSpec& spec_;
};

}  // namespace tributary
