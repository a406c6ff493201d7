// SPDX-License-Identifier: Apache-2.0
// A small federation in memory for the tests of the torch trainer.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "tributary/base/random.hpp"
#include "tributary/torch/torch_trainer.hpp"

namespace tributary::testing {

// Noise, with a bright row whose height says the class: learnable within a few steps.
inline SharedDataset striped_images(std::size_t samples, std::uint64_t seed, std::int64_t side = 28) {
  auto data = std::make_shared<Dataset>();
  data->name = "stripes";
  data->sample_shape = {1, side, side};
  data->scale = 1.0F / 255.0F;
  data->classes = 10;
  Rng rng(seed);
  std::vector<std::uint8_t> pixels;
  const auto width = static_cast<std::size_t>(side);
  for (std::size_t s = 0; s < samples; ++s) {
    const auto label = static_cast<std::int32_t>(rng.below(10));
    data->labels.push_back(label);
    for (std::size_t y = 0; y < width; ++y) {
      for (std::size_t x = 0; x < width; ++x) {
        const bool bright = y * 10 / width == static_cast<std::size_t>(label);
        pixels.push_back(static_cast<std::uint8_t>((bright ? 150 : 0) + rng.below(100)));
      }
    }
  }
  data->features = std::move(pixels);
  return data;
}

struct TestFederation {
  Configuration configuration;
  SharedDataset train;
  SharedDataset test;
  std::shared_ptr<const Partition> partition;

  explicit TestFederation(const std::string& model, std::uint32_t clients = 3, std::size_t samples = 60)
      : train(striped_images(samples, 1)),
        test(striped_images(50, 2)),
        partition(std::make_shared<Partition>(Partition::iid(samples, clients, 1).value())) {
    configuration.model.kind = model;
    configuration.trainer.batch_size = 8;
    configuration.trainer.optimizer.lr = 0.1;
    configuration.evaluation.batch_size = 16;
  }

  [[nodiscard]] Result<std::unique_ptr<TrainerFactory>> factory() const {
    return make_torch_factory({configuration, train, test, partition, partition->clients()});
  }
};

inline TrainTask task_for(std::uint32_t client, std::vector<float> base, std::uint64_t round = 1) {
  TrainTask task;
  task.client = ClientIndex{client};
  task.round = task.global_round = Round{round};
  task.base = std::make_shared<const std::vector<float>>(std::move(base));
  task.seed = stream_seed(5, Purpose::kBatches, client, round);
  return task;
}

inline TrainOutcome train_once(const TestFederation& federation, const TrainTask& task) {
  const auto outcome = federation.factory().value()->create().value()->train(task);
  if (!outcome.ok()) { throw std::runtime_error(outcome.status().to_string()); }
  return outcome.value();
}

}  // namespace tributary::testing
