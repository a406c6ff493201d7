// SPDX-License-Identifier: Apache-2.0
// Tries a foreign model on a few samples before the first round: does it suit the data, and does it do what its modes
// promise?
#pragma once

#include "libtorch/torch_network.hpp"

namespace tributary::internal {

struct ProbeResult {
  Draws draws;
  // Whether a sample's output depends on the others of its batch; in training, or the model's state, or it may.
  bool mixes_in_training = false;
  bool mixes_in_evaluation = false;
  bool trains_on_one_sample = true;
  // Every output that was seen is a probability, those of one sample together are 1.
  bool gives_probabilities = true;
};

// `replica` starts from `values`, which are laid out by `layout`, and is not to be used afterwards. Throws what the
// model throws on batches of several samples.
ProbeResult probe(TorchNetwork& replica, const NetworkRequest& request, const TensorLayout& layout,
                  std::span<const float> values);

// One or two sentences for each mode that the model ignores, and for outputs that are no logits.
std::vector<std::string> model_warnings(const std::string& file, const TorchModel& model, const ProbeResult& found);

}  // namespace tributary::internal
