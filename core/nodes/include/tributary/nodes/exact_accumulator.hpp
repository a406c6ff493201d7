// SPDX-License-Identifier: Apache-2.0
// Weighted sums of float32 vectors without rounding that depends on the order: fixed-point integers.
//
// Integer addition is associative, so a sum is the same, bit for bit, whatever tree, order, thread or transport brought
// its terms together. All nodes whose sums are divided together use one ExactScale; a term enters as
// rint(value * weight * 2^fraction_bits + dither), and only there is anything rounded. The dither lies between -1/2 and
// 1/2, follows from the term's content alone and averages to zero: values below the grid's step count on average
// instead of vanishing, and a number that lies on the grid stays as it is.
//
// Representation: 4 bytes a sum where it provably fits; 5, 6 or 8, block by block, where it might not. Overflow is
//                 impossible: a value above the scale's bound or a weight above its total is refused before anything
//                 is added.
// Life cycle:     begin(), add() any number of times, then mean() or encode(); begin() again forgets everything.
// Threads:        not thread-safe.
// Errors:         a refused term leaves the sums unchanged.
// Rationale:      docs/decisions/0002-exact-sums.md
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "tributary/base/status.hpp"
#include "tributary/base/weight.hpp"
#include "tributary/nodes/payload.hpp"

namespace tributary {

// The grid that terms are rounded to, agreed by all nodes whose sums are divided together.
struct ExactScale {
  int fraction_bits = 0;          // one unit of (value * weight) is 2^fraction_bits
  Weight weight_bound;            // no sum ever holds more weight than this
  std::uint64_t terms_bound = 0;  // no sum ever holds more terms than this
  double value_bound = 0.0;       // largest magnitude of a value
  // Where updates are discounted: a term is rounded to the grid, and then counts a whole number of times, at most
  // 2^discount_bits, which stands for 1. So discounts round nothing, and no order or tree changes a bit.
  int discount_bits = 0;

  // All for at most `terms` terms that weigh `weight_bound` together, both > 0. Bits for discounts are taken from those
  // for values.
  //
  // Resolves the change of a client of average weight to 2^-34 (within a factor of the square root of 2), however many
  // terms there are, as long as values up to 2^10 fit 62 bits: that holds for 2^17 terms, and beyond them the step
  // doubles with their number.
  static ExactScale fine(Weight weight_bound, std::uint64_t terms, int discount_bits = 0) noexcept;
  // Resolves means to 2^-32, whatever that leaves of one term: sums of means below 1/2 travel as 4 bytes. Values up to
  // 2^30.
  static ExactScale compact(Weight weight_bound, std::uint64_t terms, int discount_bits = 0) noexcept;
  // As fine as values up to 2^16 leave room for in 62 bits, and never coarser than fine().
  static ExactScale full(Weight weight_bound, std::uint64_t terms, int discount_bits = 0) noexcept;

  // For increments of states, which are summed over many rounds: `weight_bound` and `terms` of one sum, values up to
  // 2^12. As fine as 61 bits allow, and no finer than 2^-36.
  static ExactScale of_increments(Weight weight_bound, std::uint64_t terms) noexcept;

  // The step to which a change that weighs `weight` is resolved.
  [[nodiscard]] double resolution(Weight weight) const noexcept;

  friend bool operator==(const ExactScale&, const ExactScale&) = default;
};

// `count` elements from `at` on are sums of second moments: a term's element i there stands for
// (values[at + i] + values[mean + i]^2) * kUnit, computed and rounded once in double precision. Its sender has only
// floats, in which the square of a large mean would take all the digits.
struct SecondMoments {
  // They may be large, and their step of 2^-24 is little beside what batch normalisation adds to a variance before it
  // divides.
  static constexpr double kUnit = 0x1p-10;

  std::size_t at = 0;
  std::size_t mean = 0;
  std::size_t count = 0;
};

class ExactAccumulator {
 public:
  // Sums of `elements` values each, all zero. `moments` do not overlap, and are in ascending order.
  void begin(std::size_t elements, const ExactScale& scale, std::vector<SecondMoments> moments = {});

  // Adds weight * values * factor / 2^discount_bits; `factor` is at least 1 and at most 2^discount_bits.
  // kInvalidArgument: another size, a value that is not finite or too large, too much weight.
  Status add(std::span<const float> values, Weight weight, std::uint32_t factor = 1);
  // Adds the sums of another accumulator of the same scale, made from terms of `weight` in all.
  // kInvalidArgument: as above; kBadData: sums that no terms of that weight can have.
  Status add(const Payload& sums, Weight weight, std::uint32_t factor = 1);

  // After begin(): goes on from what encode() and weight() gave, discounts and all. kInvalidArgument, kBadData: as
  // above.
  Status restore(const Payload& sums, Weight weight);

  // Whether add() would take it, floats or sums.
  [[nodiscard]] Status check(const Payload& payload, Weight weight);

  // Where the first value stands that is not finite, or larger than the scale allows; nothing if add() would take all.
  [[nodiscard]] std::optional<std::size_t> find_unfit(std::span<const float> values) const;

  [[nodiscard]] std::size_t elements() const noexcept { return elements_; }
  [[nodiscard]] Weight weight() const noexcept { return weight_; }
  [[nodiscard]] const ExactScale& scale() const noexcept { return scale_; }

  // The sums as a kFixed payload. Equal sums give equal bytes.
  [[nodiscard]] Payload encode() const;

  // Calls visit(offset, means) for consecutive parts of the vector, each mean being sum / weight.
  // Requires weight() > 0.
  void mean(const std::function<void(std::size_t offset, std::span<const double> means)>& visit) const;

  // The same for the sums themselves, in units of value * weight; exact as far as a double is.
  void sums(const std::function<void(std::size_t offset, std::span<const double> sums)>& visit) const;

  // Bytes held for sums.
  [[nodiscard]] std::size_t memory() const noexcept;

 private:
  static constexpr std::size_t kBlock = Payload::kBlock;

  // The sums of one block beside their low 32 bits.
  struct Block {
    std::uint8_t width = 0;             // place in kHighBytes
    std::unique_ptr<std::byte[]> high;  // null while 4 bytes a sum are enough
    double bound = 0.0;                 // no sum has a larger magnitude
    double incoming = 0.0;              // largest magnitude of the term being added
  };

  Status look_at(std::span<const float> values, Weight weight);
  // `most`: how often a term counts at most.
  Status look_at(const Payload& sums, Weight weight, double most = 1.0);
  void add_sums(const Payload& sums, Weight weight, std::uint32_t factor);
  void divide(double divisor, const std::function<void(std::size_t, std::span<const double>)>& visit) const;
  [[nodiscard]] Status check_weight(Weight weight) const;
  [[nodiscard]] std::size_t block_size(std::size_t block) const noexcept;
  [[nodiscard]] double largest_of(std::size_t block) const;
  void make_room(std::size_t block, double incoming);
  void widen(std::size_t block, std::uint8_t width);
  // What one term of a block is made of.
  struct Term {
    double scale = 0.0;  // from a value to the grid
    std::size_t phase = 0;
    std::uint32_t factor = 1;
  };
  void add_values(std::size_t block, const float* values, const Term& term);
  void add_doubles(std::size_t block, std::span<const double> values, const Term& term);
  void add_integers(std::size_t block, std::size_t first, std::span<std::int64_t> terms, std::uint32_t factor);
  // Whether a block holds sums of second moments; if so, `terms` are a term's values there.
  bool moments_of(std::size_t block, std::span<const float> values, std::vector<double>& terms) const;

  std::size_t elements_ = 0;
  ExactScale scale_;
  std::vector<SecondMoments> moments_;
  Weight weight_;
  std::vector<std::uint32_t> low_;
  std::vector<Block> blocks_;
};

}  // namespace tributary
