// SPDX-License-Identifier: Apache-2.0
// From a configuration and its tree to a plan that can be run: loads the data, spreads it over the clients, makes the
// trainer's factory, and checks everything against everything.
//
// Ownership: the parts belong together; keep the PreparedRun as long as anything uses its plan or factory.
// Threads:   after prepare_run(), const use from any thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tributary/base/digest.hpp"
#include "tributary/data/load_dataset.hpp"
#include "tributary/data/safetensors.hpp"
#include "tributary/run/plan.hpp"
#include "tributary/run/record.hpp"
#include "tributary/run/run_inputs.hpp"
#include "tributary/training/device_speeds.hpp"
#include "tributary/training/trainer_registry.hpp"

namespace tributary {

struct PreparedRun {
  std::vector<InputFile> inputs;  // as they were before anything of them was read
  LoadedData data;
  std::shared_ptr<const Partition> partition;  // null without data
  // By client, if its samples are those of ids; empty otherwise.
  std::vector<std::vector<std::string>> client_ids;
  std::vector<std::string> warnings;  // of the data and how it is spread, for people
  std::unique_ptr<TrainerFactory> factory;
  Plan plan;
  DeviceSpeeds speeds;

  // `warnings`, and what the trainer has to say of its model.
  [[nodiscard]] std::vector<std::string> all_warnings() const;

  // What one task of a client takes on the virtual clock: to train, and to measure a model.
  [[nodiscard]] std::chrono::nanoseconds training_time(ClientIndex client) const;
  [[nodiscard]] std::chrono::nanoseconds evaluation_time(ClientIndex client) const;
  // Samples of one client; 0 without data.
  [[nodiscard]] std::uint64_t samples(ClientIndex client) const;
  // Of all samples, which are read for it once; zero without data. Processes whose data differ do not work together.
  [[nodiscard]] Digest data_digest() const;
  // What is to be known of the data: warnings, names of classes, and how labels are spread: one record per client, or a
  // summary for many; nothing without data.
  [[nodiscard]] std::vector<Record> data_records() const;
  // What the model file says of the data: names of classes, and whose samples the clients hold.
  [[nodiscard]] SafetensorsMetadata model_metadata() const;
};

// kConfiguration: see Plan::create(); errors of load_data(), make_partition() and of the trainer's maker as they are.
Result<PreparedRun> prepare_run(Configuration configuration, Tree tree, const ExtensionRegistry& extensions,
                                const TrainerRegistry& trainers);

// The same with a factory of one's own, which brings its data itself.
Result<PreparedRun> prepare_run(Configuration configuration, Tree tree, const ExtensionRegistry& extensions,
                                std::unique_ptr<TrainerFactory> factory);

}  // namespace tributary
