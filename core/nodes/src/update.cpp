// SPDX-License-Identifier: Apache-2.0
#include "tributary/nodes/update.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace tributary {
namespace {

__extension__ using Unsigned = unsigned __int128;

constexpr int kScalarBits = 28;

}  // namespace

void ScalarSum::add(double value, Weight weight) noexcept {
  if (!(std::fabs(value) <= kLargest)) {
    ++left_out_;
    return;
  }
  ScalarSum term;
  // A double holds what int64 might not: the conversion goes to the wide type directly.
  term.sum_ = static_cast<Wide>(std::rint(std::ldexp(value, kScalarBits))) * static_cast<Wide>(weight.units());
  term.weight_ = weight;
  add(term);
}

void ScalarSum::add(const ScalarSum& other) noexcept {
  // Sums of a broken peer may be anything: they wrap, as unsigned numbers do.
  sum_ = static_cast<Wide>(static_cast<Unsigned>(sum_) + static_cast<Unsigned>(other.sum_));
  weight_ = weight_ + other.weight_;
  left_out_ += other.left_out_;
}

double ScalarSum::mean() const noexcept {
  if (weight_.zero()) { return std::numeric_limits<double>::quiet_NaN(); }
  return std::ldexp(static_cast<double>(sum_) / static_cast<double>(weight_.units()), -kScalarBits);
}

std::array<std::uint64_t, 2> ScalarSum::words() const noexcept {
  return {static_cast<std::uint64_t>(sum_), static_cast<std::uint64_t>(sum_ >> 64)};
}

ScalarSum ScalarSum::from_words(std::array<std::uint64_t, 2> words, Weight weight, std::uint32_t left_out) noexcept {
  ScalarSum sum;
  sum.sum_ = static_cast<Wide>((static_cast<Unsigned>(words[1]) << 64U) | words[0]);
  sum.weight_ = weight;
  sum.left_out_ = left_out;
  return sum;
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
