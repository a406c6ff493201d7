// SPDX-License-Identifier: Apache-2.0
// From a configuration and its tree to a plan that can be run: loads the data, spreads it over the clients, makes the
// trainer's factory, and checks everything against everything.
//
// Ownership: the parts belong together; keep the Composition as long as anything uses its plan or factory.
// Threads:   after compose(), const use from any thread.
#pragma once

#include <memory>
#include <vector>

#include "tributary/core/load_dataset.hpp"
#include "tributary/core/plan.hpp"
#include "tributary/core/record.hpp"
#include "tributary/core/trainer_registry.hpp"

namespace tributary {

struct Composition {
  LoadedData data;
  std::shared_ptr<const Partition> partition;  // null without data
  std::unique_ptr<TrainerFactory> factory;
  Plan plan;

  // Samples of one client; 0 without data.
  [[nodiscard]] std::uint64_t samples(ClientIndex client) const;
  // How labels are spread: one record per client, or a summary for many; none without data.
  [[nodiscard]] std::vector<Record> label_records() const;
};

// kConfiguration: see Plan::create(); errors of load_data(), make_partition() and of the trainer's maker as they are.
Result<Composition> compose(Configuration configuration, Tree tree, const ExtensionRegistry& extensions,
                            const TrainerRegistry& trainers);

// The same with a factory of one's own, which brings its data itself.
Result<Composition> compose(Configuration configuration, Tree tree, const ExtensionRegistry& extensions,
                            std::unique_ptr<TrainerFactory> factory);

}  // namespace tributary
