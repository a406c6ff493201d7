// SPDX-License-Identifier: Apache-2.0
// Labelled samples from Gaussian blobs: one random centre per class, standard normal noise around it. For trying things
// without data: a linear model learns it, and no two splits share a sample.
//
// Threads: functions without state.
#pragma once

#include <cstdint>
#include <vector>

#include "tributary/base/status.hpp"
#include "tributary/data/dataset.hpp"

namespace tributary {

struct SyntheticOptions {
  enum class Split : std::uint8_t { kTrain = 0, kTest = 1 };
  std::uint64_t samples = 1000;
  std::vector<std::int64_t> shape{16};
  std::int32_t classes = 4;
  std::uint64_t seed = 1;  // of the centres, and with `split` of the samples
  Split split = Split::kTrain;
};

// Labels go round the classes, so that these are as even as can be.
// kInvalidArgument: no samples, a shape without values, classes < 2 or > samples, or more than 2^32 values in all.
Result<Dataset> make_synthetic(const SyntheticOptions& options);

}  // namespace tributary
