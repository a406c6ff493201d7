// SPDX-License-Identifier: Apache-2.0
// The kinds of trainer a configuration can ask for, and what makes a factory of each.
//
// Life cycle: filled at start, by register_builtin_trainers() and by your own calls; then only read.
// Threads:    filling belongs to one thread; afterwards const calls may run together.
// Libraries:  a shared library brings trainers of its own (`trainer: {kind: library, library: my.so}`) by defining
//             TRIBUTARY_TRAINER_LIBRARY(registry) { ... registry.add(...) ... }. It stays loaded until the process
//             ends. tributary::torch is one of them: loaded only when asked for, since libtorch costs time and memory.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tributary/base/status.hpp"
#include "tributary/config/configuration.hpp"
#include "tributary/data/dataset.hpp"
#include "tributary/data/partition.hpp"
#include "tributary/nodes/trainer.hpp"

namespace tributary {

// What a factory is made from. Borrowed: a factory copies what it needs longer than the call.
struct TrainerContext {
  const Configuration& configuration;
  SharedDataset train;                         // null: the configuration names no data
  SharedDataset test;                          // null: none held out
  std::shared_ptr<const Partition> partition;  // null without data
  std::uint32_t clients = 0;
};

using TrainerFactoryMaker = std::function<Result<std::unique_ptr<TrainerFactory>>(const TrainerContext&)>;

class TrainerRegistry {
 public:
  struct Entry {
    std::string name;
    std::string summary;
  };

  // kInvalidArgument: an empty name, no maker, or a name that is taken.
  Status add(std::string kind, TrainerFactoryMaker maker, std::string summary);

  // kConfiguration, with the known kinds, if `kind` is not among them. What a maker throws becomes kInternal.
  [[nodiscard]] Result<std::unique_ptr<TrainerFactory>> make(const std::string& kind,
                                                             const TrainerContext& context) const;

  // By name, ascending.
  [[nodiscard]] std::vector<Entry> kinds() const;

 private:
  struct Known {
    std::string summary;
    TrainerFactoryMaker maker;
  };
  std::map<std::string, Known> known_;
};

// echo, command, library, and torch (whose library is loaded by the first make()).
void register_builtin_trainers(TrainerRegistry& registry);

// The models that the torch trainer knows by name; beside them any TorchScript file.
struct ModelKind {
  std::string_view name;
  std::string_view summary;
};
[[nodiscard]] std::span<const ModelKind> builtin_models() noexcept;

}  // namespace tributary
