// SPDX-License-Identifier: Apache-2.0
#include "tributary/nodes/exact_accumulator.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "exact_kernels.hpp"

namespace tributary {
namespace {

using internal::exact_kernels;
using internal::ExactKernels;
using internal::kHighBytes;

// What sums of each width hold: 32, 40, 48 and 64 bits. The last never runs out, as weight and values are bounded.
constexpr std::array<double, 4> kLimits{0x1p31 - 1, 0x1p39 - 1, 0x1p47 - 1, std::numeric_limits<double>::infinity()};
// Up to here the vectorised rounding is exact.
constexpr double kVectorLimit = 0x1p51;
// Sums use so many bits at most: the roundings of their terms, one unit each, come on top.
constexpr int kSumBits = 62;
// Values up to 2^10 are always taken.
constexpr int kLeastValueBits = 10;
constexpr int kMostValueBits = 30;

// Sums are worked on in parts that stay in the nearest cache.
constexpr std::size_t kPart = 512;

// Offsets between -1/2 and 1/2, each of kPart values once, neighbours far apart (van der Corput), repeated once so that
// a part may begin anywhere.
const std::array<double, 2 * kPart>& dither() {
  static const std::array<double, 2 * kPart> kTable = [] {
    std::array<double, 2 * kPart> table{};
    for (std::size_t i = 0; i < table.size(); ++i) {
      std::size_t reversed = 0;
      for (std::size_t bit = 1; bit < kPart; bit *= 2) { reversed = 2 * reversed + ((i & bit) != 0 ? 1 : 0); }
      table[i] = (static_cast<double>(reversed) + 0.5) / static_cast<double>(kPart) - 0.5;
    }
    return table;
  }();
  return kTable;
}

// Where a term's dither begins in a block. It follows from the term alone, so that it is the same in any tree, and
// differs from client to client, so that the roundings of many clients average out.
std::size_t dither_phase(std::uint32_t largest_bits) {
  return static_cast<std::size_t>((largest_bits * 0x9E3779B1U) >> 23U);
}
static_assert(kPart == 512, "dither_phase() draws 9 bits");

// The least n with weight <= 2^n.
int log2_ceiling(Weight weight) noexcept {
  return static_cast<int>(std::bit_width(std::max<std::uint64_t>(weight.units(), 1) - 1)) - Weight::kFractionBits;
}

// The n with weight / terms in [2^(n - 1/2), 2^(n + 1/2)).
int log2_of_mean(Weight weight, std::uint64_t terms) noexcept {
  constexpr double kRootHalf = 0.70710678118654752440;
  int exponent = 0;
  const double mantissa =
      std::frexp(weight.value() / static_cast<double>(std::max<std::uint64_t>(terms, 1)), &exponent);
  return mantissa < kRootHalf ? exponent - 1 : exponent;
}

// Bits of a sum that values of 1 leave free.
int free_bits(Weight weight_bound, int discount_bits) noexcept {
  return kSumBits - log2_ceiling(weight_bound) - discount_bits;
}

ExactScale scale_of(int fraction_bits, Weight weight_bound, std::uint64_t terms, int discount_bits) noexcept {
  const int value_bits = std::min(kMostValueBits, free_bits(weight_bound, discount_bits) - fraction_bits);
  return {.fraction_bits = fraction_bits,
          .weight_bound = weight_bound,
          .terms_bound = terms,
          .value_bound = std::ldexp(1.0, value_bits),
          .discount_bits = discount_bits};
}

// NaN if one of them is.
double largest_magnitude(std::span<const double> values) {
  double largest = 0.0;
  for (const double value : values) {
    if (!(std::fabs(value) <= largest)) { largest = std::fabs(value); }
    if (std::isnan(largest)) { break; }
  }
  return largest;
}

std::size_t padded(std::size_t bytes) noexcept {
  return (bytes + 7) / 8 * 8;
}

// Of one block of a payload.
struct EncodedBlock {
  std::uint8_t width;
  const std::uint32_t* low;
  const std::byte* high;
};

// Walks over the blocks of a payload of sums, whose layout has been checked.
class BlockReader {
 public:
  explicit BlockReader(const Payload& sums)
      : elements_(sums.elements()),
        widths_(sums.bytes().data()),
        data_(widths_ + Payload::data_offset(sums.elements())) {}

  EncodedBlock next() {
    const std::size_t count = std::min(Payload::kBlock, elements_ - block_ * Payload::kBlock);
    const std::size_t bytes = std::to_integer<std::size_t>(widths_[block_++]);
    const auto width = static_cast<std::uint8_t>(std::ranges::find(kHighBytes, bytes - 4) - kHighBytes.begin());
    // Blocks start at multiples of 8 bytes of an allocation, and a high part at a multiple of 4, so both are aligned.
    const EncodedBlock found{width, reinterpret_cast<const std::uint32_t*>(data_), data_ + 4 * count};
    data_ += padded(bytes * count);
    return found;
  }

 private:
  std::size_t elements_;
  const std::byte* widths_;
  const std::byte* data_;
  std::size_t block_ = 0;
};

// Calls use(first, part) for consecutive parts of the `count` sums of a block.
template <typename Use>
void for_each_part(const EncodedBlock& block, std::size_t count, Use&& use) {
  std::array<std::int64_t, kPart> part;
  const ExactKernels& kernels = exact_kernels();
  for (std::size_t first = 0; first < count; first += kPart) {
    const std::size_t size = std::min(kPart, count - first);
    kernels.expand.at(block.width)(block.low + first, block.high + first * kHighBytes.at(block.width), part.data(),
                                   size);
    use(first, std::span<std::int64_t>(part.data(), size));
  }
}

double largest_in(const EncodedBlock& block, std::size_t count) {
  std::uint64_t largest = 0;
  for_each_part(block, count, [&](std::size_t, std::span<const std::int64_t> part) {
    largest = std::max(largest, exact_kernels().largest(part.data(), part.size()));
  });
  return static_cast<double>(largest);
}

// Puts the high parts of sums into fewer or more bytes each. Requires sums that fit.
template <typename To>
void write_high(const EncodedBlock& block, std::size_t count, std::byte* to) {
  for_each_part(block, count, [&](std::size_t first, std::span<const std::int64_t> part) {
    std::array<To, kPart> high;
    for (std::size_t i = 0; i < part.size(); ++i) { high[i] = static_cast<To>(part[i] >> 32); }
    std::memcpy(to + first * sizeof(To), high.data(), part.size() * sizeof(To));
  });
}

void write_high(const EncodedBlock& block, std::size_t count, std::uint8_t width, std::byte* to) {
  switch (kHighBytes.at(width)) {
    case 1:
      return write_high<std::int8_t>(block, count, to);
    case 2:
      return write_high<std::int16_t>(block, count, to);
    case 4:
      return write_high<std::int32_t>(block, count, to);
    default:
      return;
  }
}

}  // namespace

ExactScale ExactScale::fine(Weight weight_bound, std::uint64_t terms, int discount_bits) noexcept {
  constexpr int kTermBits = 34;
  const int wanted = kTermBits - log2_of_mean(weight_bound, terms);
  return scale_of(std::min(wanted, free_bits(weight_bound, discount_bits) - kLeastValueBits), weight_bound, terms,
                  discount_bits);
}

ExactScale ExactScale::compact(Weight weight_bound, std::uint64_t terms, int discount_bits) noexcept {
  return scale_of(32 - log2_ceiling(weight_bound) - discount_bits, weight_bound, terms, discount_bits);
}

ExactScale ExactScale::full(Weight weight_bound, std::uint64_t terms, int discount_bits) noexcept {
  const int wanted = free_bits(weight_bound, discount_bits) - 16;
  return scale_of(std::max(wanted, fine(weight_bound, terms, discount_bits).fraction_bits), weight_bound, terms,
                  discount_bits);
}

ExactScale ExactScale::of_increments(Weight weight_bound, std::uint64_t terms) noexcept {
  constexpr int kTermBits = 36;
  constexpr int kValueBits = 12;
  const int wanted = kTermBits - log2_of_mean(weight_bound, terms);
  return scale_of(std::min(wanted, free_bits(weight_bound, 0) - kValueBits), weight_bound, terms, 0);
}

double ExactScale::resolution(Weight weight) const noexcept {
  return std::ldexp(1.0, -fraction_bits) / weight.value();
}

void ExactAccumulator::begin(std::size_t elements, const ExactScale& scale, std::vector<SecondMoments> moments) {
  elements_ = elements;
  scale_ = scale;
  moments_ = std::move(moments);
  weight_ = {};
  low_.assign(elements, 0);
  blocks_.clear();
  blocks_.resize(Payload::blocks(elements));
}

std::size_t ExactAccumulator::block_size(std::size_t block) const noexcept {
  return std::min(kBlock, elements_ - block * kBlock);
}

Status ExactAccumulator::check_weight(Weight weight) const {
  if (weight.zero()) { return invalid_argument("an update of weight 0"); }
  if (weight.units() > scale_.weight_bound.units() - weight_.units()) {
    return invalid_argument(fmt::format("weight {} on top of {} exceeds the announced bound {}", weight.value(),
                                        weight_.value(), scale_.weight_bound.value()));
  }
  return {};
}

double ExactAccumulator::largest_of(std::size_t block) const {
  const Block& here = blocks_[block];
  return largest_in({here.width, low_.data() + block * kBlock, here.high.get()}, block_size(block));
}

void ExactAccumulator::widen(std::size_t block, std::uint8_t width) {
  Block& here = blocks_[block];
  const std::size_t count = block_size(block);
  auto high = std::make_unique<std::byte[]>(count * kHighBytes.at(width));
  write_high({here.width, low_.data() + block * kBlock, here.high.get()}, count, width, high.get());
  here.high = std::move(high);
  here.width = width;
}

// After this the sums of `block` may grow by `incoming`.
void ExactAccumulator::make_room(std::size_t block, double incoming) {
  Block& here = blocks_[block];
  here.bound += incoming;
  if (here.bound <= kLimits.at(here.width)) { return; }
  // Terms of different signs leave the sums well below their bound: looking costs less than a wider block does, as long
  // as it gains half the range, so that many more terms come before the next look.
  here.bound = largest_of(block) + incoming;
  std::uint8_t width = here.width;
  while (here.bound > kLimits.at(width) / 2) { ++width; }
  if (width != here.width) { widen(block, width); }
}

bool ExactAccumulator::moments_of(std::size_t block, std::span<const float> values, std::vector<double>& terms) const {
  const std::size_t begin = block * kBlock;
  const std::size_t end = begin + block_size(block);
  auto moments = std::ranges::lower_bound(moments_, begin, std::ranges::less_equal(),
                                          [](const SecondMoments& each) { return each.at + each.count; });
  if (moments == moments_.end() || moments->at >= end) { return false; }
  terms.assign(values.begin() + static_cast<std::ptrdiff_t>(begin), values.begin() + static_cast<std::ptrdiff_t>(end));
  for (; moments != moments_.end() && moments->at < end; ++moments) {
    const std::size_t last = std::min(end, moments->at + moments->count);
    for (std::size_t i = std::max(begin, moments->at); i < last; ++i) {
      const auto mean = static_cast<double>(values[moments->mean + (i - moments->at)]);
      terms[i - begin] = (static_cast<double>(values[i]) + mean * mean) * SecondMoments::kUnit;
    }
  }
  return true;
}

// Adds `terms`, each `factor` times, to the sums of `block` from `first` on. Changes `terms`.
void ExactAccumulator::add_integers(std::size_t block, std::size_t first, std::span<std::int64_t> terms,
                                    std::uint32_t factor) {
  const Block& here = blocks_[block];
  if (factor != 1) {
    for (std::int64_t& term : terms) { term *= factor; }
  }
  std::byte* const high = here.high ? here.high.get() + first * kHighBytes.at(here.width) : nullptr;
  exact_kernels().add_integers.at(here.width)(low_.data() + block * kBlock + first, high, terms.data(), terms.size());
}

void ExactAccumulator::add_doubles(std::size_t block, std::span<const double> values, const Term& term) {
  const double* const offsets = dither().data() + term.phase;
  for (std::size_t first = 0; first < values.size(); first += kPart) {
    const std::size_t size = std::min(kPart, values.size() - first);
    std::array<std::int64_t, kPart> terms;
    for (std::size_t i = 0; i < size; ++i) { terms[i] = std::llrint(values[first + i] * term.scale + offsets[i]); }
    add_integers(block, first, std::span(terms).first(size), term.factor);
  }
}

void ExactAccumulator::add_values(std::size_t block, const float* values, const Term& term) {
  Block& here = blocks_[block];
  const std::size_t count = block_size(block);
  const ExactKernels& kernels = exact_kernels();
  const double* const offsets = dither().data() + term.phase;
  if (here.incoming >= kVectorLimit) {
    const std::vector<double> terms(values, values + count);
    return add_doubles(block, terms, term);
  }
  constexpr std::size_t kWidest = kHighBytes.size() - 1;
  for (std::size_t first = 0; first < count; first += kPart) {
    const std::size_t size = std::min(kPart, count - first);
    if (term.factor != 1) {
      // Rounded on their own first, as sums of one term.
      std::array<std::uint32_t, kPart> low{};
      std::array<std::int32_t, kPart> high{};
      std::array<std::int64_t, kPart> terms;
      kernels.add_floats.at(kWidest)(low.data(), high.data(), values + first, term.scale, offsets, size);
      kernels.expand.at(kWidest)(low.data(), high.data(), terms.data(), size);
      add_integers(block, first, std::span(terms).first(size), term.factor);
      continue;
    }
    std::uint32_t* const low = low_.data() + block * kBlock + first;
    std::byte* const high = here.high ? here.high.get() + first * kHighBytes.at(here.width) : nullptr;
    kernels.add_floats.at(here.width)(low, high, values + first, term.scale, offsets, size);
  }
}

std::optional<std::size_t> ExactAccumulator::find_unfit(std::span<const float> values) const {
  std::vector<double> terms;
  const auto unfit = [&](double value) { return !(std::fabs(value) <= scale_.value_bound); };
  for (std::size_t block = 0; block < blocks_.size(); ++block) {
    const std::span<const float> here = values.subspan(block * kBlock, block_size(block));
    if (!moments_of(block, values, terms)) { terms.assign(here.begin(), here.end()); }
    if (const auto bad = std::ranges::find_if(terms, unfit); bad != terms.end()) {
      return block * kBlock + static_cast<std::size_t>(bad - terms.begin());
    }
  }
  return std::nullopt;
}

// Leaves the largest magnitude of each block in `incoming`.
Status ExactAccumulator::look_at(std::span<const float> values, Weight weight) {
  if (values.size() != elements_) {
    return invalid_argument(fmt::format("an update of {} values for a model of {}", values.size(), elements_));
  }
  TRIBUTARY_RETURN_IF_ERROR(check_weight(weight));
  std::vector<double> terms;
  for (std::size_t block = 0; block < blocks_.size(); ++block) {
    const auto largest = moments_of(block, values, terms)
                             ? largest_magnitude(terms)
                             : static_cast<double>(std::bit_cast<float>(
                                   exact_kernels().largest_bits(values.data() + block * kBlock, block_size(block))));
    if (!(largest <= scale_.value_bound)) {
      const std::size_t bad = find_unfit(values).value_or(block * kBlock);
      return invalid_argument(
          fmt::format("value {} is {}, the bound is {}", bad, static_cast<double>(values[bad]), scale_.value_bound));
    }
    blocks_[block].incoming = largest;
  }
  return {};
}

Status ExactAccumulator::add(std::span<const float> values, Weight weight, std::uint32_t factor) {
  TRIBUTARY_RETURN_IF_ERROR(look_at(values, weight));
  weight_ = weight_ + weight;

  std::vector<double> terms;
  Term term{.scale = std::ldexp(weight.value(), scale_.fraction_bits), .factor = factor};
  for (std::size_t block = 0; block < blocks_.size(); ++block) {
    Block& here = blocks_[block];
    if (here.incoming == 0.0) { continue; }
    term.phase = dither_phase(std::bit_cast<std::uint32_t>(static_cast<float>(here.incoming)));
    here.incoming = std::ceil(here.incoming * term.scale) + 1.0;
    make_room(block, here.incoming * factor);
    if (moments_of(block, values, terms)) {
      add_doubles(block, terms, term);
    } else {
      add_values(block, values.data() + block * kBlock, term);
    }
  }
  return {};
}

Status ExactAccumulator::check(const Payload& payload, Weight weight) {
  return payload.is_vector() ? look_at(payload.values(), weight) : look_at(payload, weight);
}

Status ExactAccumulator::look_at(const Payload& sums, Weight weight, double most) {
  if (sums.encoding() != Encoding::kFixed || sums.elements() != elements_) {
    return invalid_argument(fmt::format("sums of {} values for a model of {}", sums.elements(), elements_));
  }
  TRIBUTARY_RETURN_IF_ERROR(check_weight(weight));
  // Each term is rounded once, by less than one unit.
  const double limit = most * (std::ldexp(weight.value() * scale_.value_bound, scale_.fraction_bits) +
                               static_cast<double>(scale_.terms_bound));
  BlockReader looked_at(sums);
  for (std::size_t block = 0; block < blocks_.size(); ++block) {
    const double largest = largest_in(looked_at.next(), block_size(block));
    if (largest > limit) {
      return bad_data(fmt::format("block {} holds a sum of {}, but weight {} allows at most {}", block, largest,
                                  weight.value(), limit));
    }
    blocks_[block].incoming = largest;
  }
  return {};
}

Status ExactAccumulator::add(const Payload& sums, Weight weight, std::uint32_t factor) {
  TRIBUTARY_RETURN_IF_ERROR(look_at(sums, weight));
  add_sums(sums, weight, factor);
  return {};
}

Status ExactAccumulator::restore(const Payload& sums, Weight weight) {
  TRIBUTARY_RETURN_IF_ERROR(look_at(sums, weight, std::ldexp(1.0, scale_.discount_bits)));
  add_sums(sums, weight, 1);
  return {};
}

void ExactAccumulator::add_sums(const Payload& sums, Weight weight, std::uint32_t factor) {
  weight_ = weight_ + weight;

  BlockReader added(sums);
  for (std::size_t block = 0; block < blocks_.size(); ++block) {
    const EncodedBlock encoded = added.next();
    Block& here = blocks_[block];
    if (here.incoming == 0.0) { continue; }
    make_room(block, here.incoming * factor);
    for_each_part(encoded, block_size(block),
                  [&](std::size_t first, std::span<std::int64_t> part) { add_integers(block, first, part, factor); });
  }
}

Payload ExactAccumulator::encode() const {
  std::vector<std::uint8_t> widths(blocks_.size(), 0);
  std::size_t size = Payload::data_offset(elements_);
  for (std::size_t block = 0; block < blocks_.size(); ++block) {
    if (blocks_[block].high) {
      const double largest = largest_of(block);
      while (largest > kLimits.at(widths[block])) { ++widths[block]; }
    }
    size += padded((4 + kHighBytes.at(widths[block])) * block_size(block));
  }
  std::vector<std::byte> bytes(size);
  std::byte* data = bytes.data() + Payload::data_offset(elements_);
  for (std::size_t block = 0; block < blocks_.size(); ++block) {
    const Block& here = blocks_[block];
    const std::size_t count = block_size(block);
    const std::uint32_t* const low = low_.data() + block * kBlock;
    const std::size_t width_bytes = 4 + kHighBytes.at(widths[block]);
    bytes[block] = static_cast<std::byte>(width_bytes);
    std::memcpy(data, low, count * 4);
    write_high({here.width, low, here.high.get()}, count, widths[block], data + count * 4);
    data += padded(width_bytes * count);
  }
  return Payload::from_bytes(Encoding::kFixed, elements_, std::move(bytes)).value();
}

void ExactAccumulator::mean(const std::function<void(std::size_t, std::span<const double>)>& visit) const {
  divide(std::ldexp(weight_.value(), scale_.fraction_bits + scale_.discount_bits), visit);
}

void ExactAccumulator::sums(const std::function<void(std::size_t, std::span<const double>)>& visit) const {
  divide(std::ldexp(1.0, scale_.fraction_bits + scale_.discount_bits), visit);
}

void ExactAccumulator::divide(double divisor,
                              const std::function<void(std::size_t, std::span<const double>)>& visit) const {
  std::array<double, kBlock> quotients;
  for (std::size_t block = 0; block < blocks_.size(); ++block) {
    const Block& here = blocks_[block];
    const std::size_t count = block_size(block);
    for_each_part({here.width, low_.data() + block * kBlock, here.high.get()}, count,
                  [&](std::size_t first, std::span<const std::int64_t> part) {
                    for (std::size_t i = 0; i < part.size(); ++i) {
                      quotients[first + i] = static_cast<double>(part[i]) / divisor;
                    }
                  });
    visit(block * kBlock, std::span<const double>(quotients.data(), count));
  }
}

std::size_t ExactAccumulator::memory() const noexcept {
  std::size_t bytes = low_.size() * sizeof(std::uint32_t);
  for (std::size_t block = 0; block < blocks_.size(); ++block) {
    bytes += block_size(block) * kHighBytes.at(blocks_[block].width);
  }
  return bytes;
}

}  // namespace tributary
