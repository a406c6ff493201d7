// SPDX-License-Identifier: Apache-2.0
#include "commands/bench_loops.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>

namespace tributary::cli {

void axpy(float factor, std::span<const float> from, std::span<float> into) {
  float* const to = into.data();
  const float* const values = from.data();
  for (std::size_t i = 0; i < into.size(); ++i) { to[i] += factor * values[i]; }
}

double arithmetic() {
  std::array<double, 512> values{};
  for (std::size_t i = 0; i < values.size(); ++i) { values[i] = 1.0 + static_cast<double>(i) * 1e-3; }
  for (int pass = 0; pass < 4800000; ++pass) {
    for (double& value : values) { value = value * 0.999 + 0.001; }
  }
  return values[100];
}

double median(std::vector<double> values) {
  if (values.empty()) { return 0.0; }
  std::ranges::sort(values);
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : 0.5 * (values[middle - 1] + values[middle]);
}

double rounded(double value) {
  return std::round(value * 1e4) / 1e4;
}

}  // namespace tributary::cli
