// SPDX-License-Identifier: Apache-2.0
#include "tributary/core/update.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace tributary {
namespace {

constexpr double kScalarBound = 0x1p20;
constexpr int kScalarBits = 16;
// Weights of one sum stay below this, so that sums of the largest values cannot overflow.
constexpr std::uint64_t kScalarWeightUnits = std::uint64_t{1} << (62 - 20 - kScalarBits + Weight::kFractionBits);

}  // namespace

void ScalarSum::add(double value, Weight weight) noexcept {
  if (!(std::fabs(value) <= kScalarBound) || weight.units() > kScalarWeightUnits - weight_.units()) { return; }
  sum_ += std::llrint(std::ldexp(value * weight.value(), kScalarBits));
  weight_ = weight_ + weight;
}

void ScalarSum::add(const ScalarSum& other) noexcept {
  const double limit = std::ldexp(other.weight_.value() * kScalarBound, kScalarBits) + 1.0;
  if (other.weight_.units() > kScalarWeightUnits - weight_.units() ||
      std::fabs(static_cast<double>(other.sum_)) > limit) {
    return;
  }
  sum_ += other.sum_;
  weight_ = weight_ + other.weight_;
}

double ScalarSum::mean() const noexcept {
  if (weight_.zero()) { return std::numeric_limits<double>::quiet_NaN(); }
  return std::ldexp(static_cast<double>(sum_), -kScalarBits) / weight_.value();
}

ScalarSum ScalarSum::from_raw(std::int64_t sum, Weight weight) noexcept {
  ScalarSum scalar;
  scalar.sum_ = sum;
  scalar.weight_ = weight;
  return scalar;
}

const Segment* Update::find(std::string_view name) const noexcept {
  const auto found = std::find_if(segments.begin(), segments.end(), [&](const Segment& s) { return s.name == name; });
  return found == segments.end() ? nullptr : &*found;
}

std::size_t Update::payload_bytes() const noexcept {
  std::size_t bytes = 0;
  for (const Segment& segment : segments) { bytes += segment.payload.size(); }
  return bytes;
}

}  // namespace tributary
