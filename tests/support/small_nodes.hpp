// SPDX-License-Identifier: Apache-2.0
// Inner nodes of a model of two values, and what their children answer.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "tributary/aggregators/server_optimizers.hpp"
#include "tributary/aggregators/synchronous.hpp"
#include "tributary/aggregators/weighted_sum.hpp"
#include "tributary/nodes/client_update.hpp"
#include "tributary/nodes/inner_node.hpp"

namespace tributary::testing {

inline const ParameterSpec& spec() {
  static const ParameterSpec kSpec = ParameterSpec::create({{"w", {2}}}).value();
  return kSpec;
}

inline InnerNodeSettings settings(NodeId self, NodeId parent, Tree::Children children) {
  InnerNodeSettings made;
  made.self = self;
  made.parent = parent;
  made.children = children;
  made.spec = &spec();
  made.scale = ExactScale::fine(Weight::from(100).value(), 100);
  made.rounds = 2;
  made.policy = std::make_unique<SynchronousPolicy>(PolicySettings{});
  made.rule = std::make_unique<WeightedSum>();
  made.optimizer = std::make_unique<ServerSgd>(1.0);
  return made;
}

inline Message report(NodeId from, const TaskMessage& task, float change) {
  ClientUpdate contribution;
  contribution.delta = Payload::floats(std::make_shared<const std::vector<float>>(2, change));
  contribution.weight = Weight::from(1).value();
  Update update = make_update(spec(), std::move(contribution));
  update.bases = VersionSpread::of(task.version.value);
  update.id = {.node = from, .incarnation = task.key.incarnation, .number = task.key.number, .attempt = task.attempt};
  return UpdateMessage{.key = task.key, .update = std::move(update)};
}

}  // namespace tributary::testing
