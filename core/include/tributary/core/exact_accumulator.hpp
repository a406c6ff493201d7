// SPDX-License-Identifier: Apache-2.0
// Weighted sums of float32 vectors without rounding that depends on the order: fixed-point integers.
//
// Integer addition is associative, so a sum is the same, bit for bit, whatever tree, order, thread or transport brought
// its terms together. Every node of a federation uses one ExactScale; a term enters as
// rint(value * weight * 2^fraction_bits) and only there is anything rounded.
//
// Representation: int32 where the sum provably fits and int64, block by block, where it might not: one model of memory
//                 in practice. Overflow is impossible: a value above the scale's bound
//                 or a weight above its total is refused before anything is added.
// Life cycle:     begin(), add() any number of times, then mean() or encode(); begin() again forgets everything.
// Threads:        not thread-safe.
// Errors:         a refused term leaves the sums unchanged.
// Rationale:      docs/decisions/0002-exact-sums.md
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "tributary/core/payload.hpp"
#include "tributary/core/status.hpp"
#include "tributary/core/weight.hpp"

namespace tributary {

// The grid that values are rounded to, agreed by all nodes of a federation.
struct ExactScale {
  int fraction_bits = 0;     // one unit of (value * weight) is 2^fraction_bits
  Weight weight_bound;       // no sum ever holds more weight than this
  double value_bound = 0.0;  // largest magnitude of a value

  // Means are resolved to 2^-32 and sums of means below 1/2 travel as 4 bytes; values up to 2^30.
  static ExactScale compact(Weight weight_bound) noexcept;
  // Means are resolved to 2^-46, values up to 2^16; sums travel as up to 8 bytes.
  static ExactScale full(Weight weight_bound) noexcept;

  friend bool operator==(const ExactScale&, const ExactScale&) = default;
};

class ExactAccumulator {
 public:
  // Sums of `elements` values each, all zero.
  void begin(std::size_t elements, const ExactScale& scale);

  // Adds weight * values. kInvalidArgument: another size, a value that is not finite or too large, too much weight.
  Status add(std::span<const float> values, Weight weight);
  // Adds the sums of another accumulator of the same scale, made from terms of `weight` in all.
  // kInvalidArgument: as above; kBadData: sums that no terms of that weight can have.
  Status add(const Payload& sums, Weight weight);

  [[nodiscard]] std::size_t elements() const noexcept { return elements_; }
  [[nodiscard]] Weight weight() const noexcept { return weight_; }

  // The sums as a kFixed payload. Equal sums give equal bytes.
  [[nodiscard]] Payload encode() const;

  // Calls visit(offset, means) for consecutive parts of the vector, each mean being sum / weight.
  // Requires weight() > 0.
  void mean(const std::function<void(std::size_t offset, std::span<const double> means)>& visit) const;

  // Bytes held for sums.
  [[nodiscard]] std::size_t memory() const noexcept;

 private:
  static constexpr std::size_t kBlock = Payload::kBlock;

  [[nodiscard]] Status check_weight(Weight weight) const;
  void widen(std::size_t block);

  std::size_t elements_ = 0;
  ExactScale scale_;
  Weight weight_;
  std::vector<std::int32_t> narrow_;
  std::vector<std::unique_ptr<std::int64_t[]>> wide_;  // by block; null while int32 is wide enough
  std::vector<double> bound_;                          // by block: no sum has a larger magnitude
  std::vector<double> incoming_;                       // by block: largest magnitude of the term being added
};

}  // namespace tributary
