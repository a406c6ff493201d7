// SPDX-License-Identifier: Apache-2.0
// What benchmarks measure beside the library: bare loops over the same data, and figures of what was measured.
#pragma once

#include <span>
#include <vector>

namespace tributary::cli {

// into[i] += factor * from[i], of equal sizes.
void axpy(float factor, std::span<const float> from, std::span<float> into);

// About 0.2 s of arithmetic that fits in the first cache. The result is of no interest.
double arithmetic();

// 0 of nothing.
double median(std::vector<double> values);
// To four decimal places.
double rounded(double value);

}  // namespace tributary::cli
