// SPDX-License-Identifier: Apache-2.0
#include "tributary/aggregators/builtin.hpp"

#include "tributary/aggregators/buffered.hpp"
#include "tributary/aggregators/feddyn.hpp"
#include "tributary/aggregators/fednova.hpp"
#include "tributary/aggregators/fedprox.hpp"
#include "tributary/aggregators/median.hpp"
#include "tributary/aggregators/mtgc.hpp"
#include "tributary/aggregators/qfedavg.hpp"
#include "tributary/aggregators/scaffold.hpp"
#include "tributary/aggregators/server_optimizers.hpp"
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
  registry.add_rule("median", "in each value the median of the children's changes, whatever they weigh",
                    [] { return std::make_unique<CoordinateMedian>(); });
  registry.add_local_method("fedprox", "clients are pulled towards the model that they were given",
                            [](const LocalMethodSettings& settings) { return std::make_unique<FedProx>(settings); });
  registry.add_local_method("qfedavg", "clients on which the model does badly move it further",
                            [](const LocalMethodSettings& settings) { return std::make_unique<QFedAvg>(settings); });
  registry.add_local_method("scaffold", "control variates take out what sets each client's data apart",
                            [](const LocalMethodSettings& settings) { return std::make_unique<Scaffold>(settings); });
  registry.add_local_method("mtgc", "control variates on each edge of the tree, for groups that differ as clients do",
                            [](const LocalMethodSettings& settings) { return std::make_unique<Mtgc>(settings); });
  registry.add_local_method("feddyn", "each client's pull follows what it has sent before",
                            [](const LocalMethodSettings& settings) { return std::make_unique<FedDyn>(settings); });
  registry.add_local_method("fednova",
                            "clients' changes are divided by their steps, and multiplied by the mean of them",
                            [](const LocalMethodSettings& settings) { return std::make_unique<FedNova>(settings); });
  using Settings = ServerOptimizerSettings;
  using Kind = AdaptiveOptimizer::Kind;
  const auto adaptive = [](Kind kind) {
    return [kind](const Settings& settings) { return std::make_unique<AdaptiveOptimizer>(kind, settings); };
  };
  registry.add_server_optimizer("sgd", "moves the model by lr times the mean change",
                                [](const Settings& settings) { return std::make_unique<ServerSgd>(settings.lr); });
  registry.add_server_optimizer("fedavgm", "the mean change with momentum",
                                [](const Settings& settings) { return std::make_unique<FedAvgM>(settings); });
  registry.add_server_optimizer("fedadagrad", "each value at a rate of its own, which falls with every change",
                                adaptive(Kind::kAdagrad));
  registry.add_server_optimizer("fedadam", "each value at a rate of its own, by the size of its recent changes",
                                adaptive(Kind::kAdam));
  registry.add_server_optimizer("fedyogi", "as fedadam, with rates that change no faster than the changes themselves",
                                adaptive(Kind::kYogi));
}

}  // namespace tributary
