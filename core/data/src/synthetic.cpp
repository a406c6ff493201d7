// SPDX-License-Identifier: Apache-2.0
#include "synthetic.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/reading.hpp"
#include "config/configuration_schema.hpp"
#include "tributary/base/random.hpp"

namespace tributary {
namespace {

using internal::config::kMostSyntheticValues;

// Streams of Purpose::kDraw: client draws have zero as their last number, these have not.
constexpr std::uint64_t kCentres = 1;
constexpr std::uint64_t kSamples = 2;

Rng stream(const SyntheticOptions& options, std::uint64_t a, std::uint64_t what) {
  return Rng(stream_seed(options.seed, Purpose::kDraw, a, 0, what));
}

Status check(const SyntheticOptions& options) {
  const auto values = internal::checked_elements(options.shape);
  if (!values || *values == 0) {
    return invalid_argument(
        fmt::format("synthetic data: a sample of shape {} has no values", internal::shape_text(options.shape)));
  }
  if (options.samples == 0 || *values > kMostSyntheticValues || options.samples > kMostSyntheticValues / *values) {
    return invalid_argument(fmt::format("synthetic data: {} samples of {} values, expected 1 to {} values in all",
                                        options.samples, *values, kMostSyntheticValues));
  }
  if (options.classes >= 2 && options.samples < static_cast<std::uint64_t>(options.classes)) {
    return invalid_argument(fmt::format("synthetic data: {} samples for {} classes, expected one of each at least",
                                        options.samples, options.classes));
  }
  if (options.classes < 2 || options.classes > internal::kMaxClasses) {
    return invalid_argument(fmt::format("synthetic data: {} classes for {} samples, expected 2 to {}", options.classes,
                                        options.samples,
                                        std::min<std::uint64_t>(options.samples, internal::kMaxClasses)));
  }
  return ok_status();
}

}  // namespace

Result<Dataset> make_synthetic(const SyntheticOptions& options) {
  TRIBUTARY_RETURN_IF_ERROR(check(options));
  return internal::with_memory_guard("synthetic data", [&]() -> Result<Dataset> {
    const bool train = options.split == SyntheticOptions::Split::kTrain;
    Dataset data;
    data.name = train ? "synthetic training data" : "synthetic test data";
    data.sample_shape = options.shape;
    data.classes = options.classes;
    const std::size_t width = data.sample_size();
    const auto classes = static_cast<std::size_t>(options.classes);

    Rng centre_stream = stream(options, 0, kCentres);
    std::vector<float> centres(classes * width);
    for (float& value : centres) { value = static_cast<float>(centre_stream.normal()); }

    Rng sample_stream = stream(options, static_cast<std::uint64_t>(options.split), kSamples);
    std::vector<float> values;
    values.reserve(options.samples * width);
    data.labels.reserve(options.samples);
    for (std::size_t sample = 0; sample < options.samples; ++sample) {
      const std::size_t label = sample % classes;
      data.labels.push_back(static_cast<std::int32_t>(label));
      for (std::size_t i = 0; i < width; ++i) {
        values.push_back(centres[label * width + i] + static_cast<float>(sample_stream.normal()));
      }
    }
    data.features = std::move(values);
    return data;
  });
}

}  // namespace tributary
