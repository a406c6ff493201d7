// SPDX-License-Identifier: Apache-2.0
// What all processes of a run must agree on before a message moves: the tree, the shape of the model, and what each
// node is made from. Drivers and the node runtime know no more of a configuration than this.
//
// Threads: immutable; const calls may run together.
#pragma once

#include <cstdint>

#include "tributary/base/digest.hpp"
#include "tributary/nodes/codec.hpp"
#include "tributary/nodes/inner_node.hpp"
#include "tributary/nodes/parameter_spec.hpp"
#include "tributary/nodes/trainer.hpp"
#include "tributary/nodes/tree.hpp"

namespace tributary {

class AgreedPlan {
 public:
  AgreedPlan() = default;
  AgreedPlan(const AgreedPlan&) = default;
  AgreedPlan(AgreedPlan&&) = default;
  AgreedPlan& operator=(const AgreedPlan&) = default;
  AgreedPlan& operator=(AgreedPlan&&) = default;
  virtual ~AgreedPlan() = default;

  [[nodiscard]] virtual const Tree& tree() const noexcept = 0;
  [[nodiscard]] virtual const ParameterSpec& spec() const noexcept = 0;
  // Of everything that decides the result: processes whose digests differ do not work together.
  [[nodiscard]] virtual const Digest& digest() const noexcept = 0;
  // Of the run: what is drawn at random follows from it.
  [[nodiscard]] virtual std::uint64_t seed() const noexcept = 0;
  // Bytes of the model on the wire.
  [[nodiscard]] std::size_t payload_bytes() const noexcept { return spec().parameters() * sizeof(float); }
  // No round closes before all children that it asked have answered.
  [[nodiscard]] virtual bool every_answer_counts() const = 0;
  // The order in which updates arrive decides the result, beside the configuration.
  [[nodiscard]] virtual bool order_decides() const { return false; }

  // What the inner node `node` is made from.
  [[nodiscard]] virtual InnerNodeSettings inner_node(NodeId node, std::uint32_t incarnation) const = 0;
  // How patient the client node `client` is with its parent, whose link may be slow.
  [[nodiscard]] virtual LivenessSettings client_liveness(NodeId client) const = 0;
  // What clients make of their changes before they send them; null: nothing.
  [[nodiscard]] virtual const LocalMethod* local_method() const noexcept { return nullptr; }
  // How vectors travel over the edge above `child`: models down, changes of them up. Null: as floats.
  [[nodiscard]] virtual const Codec* codec_down(NodeId /*child*/) const { return nullptr; }
  [[nodiscard]] virtual const Codec* codec_up(NodeId /*child*/) const { return nullptr; }
  // What the client node `node` has to train when it asks with `request`.
  [[nodiscard]] virtual TrainTask train_task(NodeId node, TrainRequest request) const = 0;
};

}  // namespace tributary
