// SPDX-License-Identifier: Apache-2.0
#include "tributary/aggregators/builtin.hpp"

#include "tributary/aggregators/buffered.hpp"
#include "tributary/aggregators/server_step.hpp"
#include "tributary/aggregators/synchronous.hpp"
#include "tributary/aggregators/weighted_sum.hpp"

namespace tributary {

void register_builtin_aggregators(ExtensionRegistry& registry) {
  registry.add_policy("synchronous", "ask a cohort, wait for all of it, or for a quorum at a deadline",
                      [](const PolicySettings& settings) { return std::make_unique<SynchronousPolicy>(settings); });
  registry.add_policy(
      "buffered", "children always work; commit with every so many updates, discounted by staleness",
      [](const PolicySettings& settings) { return std::make_unique<BufferedPolicy>(settings, settings.buffer); });
  registry.add_policy("asynchronous", "children always work; commit with every update, discounted by staleness",
                      [](const PolicySettings& settings) { return std::make_unique<BufferedPolicy>(settings, 1); });
  registry.add_rule("weighted-sum", "exact weighted mean of the children's changes",
                    [] { return std::make_unique<WeightedSum>(); });
  registry.add_server_optimizer("step", "moves the model by server_lr times the mean change",
                                [](double rate) { return std::make_unique<ServerStep>(rate); });
}

}  // namespace tributary
