// SPDX-License-Identifier: Apache-2.0
// Trainers out of shared libraries, named in the configuration or known to this project.
//
// A library defines two C symbols, both by one macro:
//   TRIBUTARY_TRAINER_LIBRARY(registry) {
//     if (auto added = registry.add("mine", make_mine, "what it is"); !added.ok()) { ... }
//   }
// Checked before anything of it is called: the number of the interface it was built against.
// Errors: kNotFound: there is no such file; kUnsupported: it is no trainer library, or one for another version;
//         kConfiguration: it brings no trainer, or several and option `trainer` names none of them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "tributary/training/trainer_registry.hpp"

// Grows whenever a type that crosses this boundary changes: trainer.hpp, trainer_registry.hpp, configuration.hpp,
// dataset.hpp, partition.hpp, parameter_spec.hpp, status.hpp.
#define TRIBUTARY_TRAINER_ABI 3U

#define TRIBUTARY_TRAINER_LIBRARY(registry)                                                                       \
  extern "C" __attribute__((visibility("default"))) const std::uint32_t tributary_trainer_abi;                    \
  const std::uint32_t tributary_trainer_abi = TRIBUTARY_TRAINER_ABI;                                              \
  extern "C" __attribute__((visibility("default"))) void tributary_register_trainer(tributary::TrainerRegistry&); \
  void tributary_register_trainer(tributary::TrainerRegistry& registry)

namespace tributary {

// What `trainer: {kind: library}` makes: the trainer of configuration.trainer.library. Exceptions of its trainers
// become kInternal.
Result<std::unique_ptr<TrainerFactory>> make_library_trainer_factory(const TrainerContext& context);

// What `trainer: {kind: torch}` makes: loads libtributary_torch, which stands beside this library or where the
// loader looks. kUnsupported: there is none, with how to get it.
Result<std::unique_ptr<TrainerFactory>> make_torch_trainer_factory(const TrainerContext& context);

// What libtorch this process can load, as one JSON object (version, BLAS, threads, devices). With `measure`, also the
// speed of a 1024 x 1024 product. kUnsupported as above.
Result<std::string> torch_information(bool measure);

// Adds what the library brings. Loading a library twice is harmless.
Status load_trainer_library(const std::filesystem::path& file, TrainerRegistry& registry);

}  // namespace tributary
