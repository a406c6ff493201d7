// SPDX-License-Identifier: Apache-2.0
#include "tributary/core/exact_accumulator.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>

#include "exact_kernels.hpp"

namespace tributary {
namespace {

// A block holds int32 sums while their bound stays below this.
constexpr double kNarrowLimit = 2147483647.0;
// Up to here the vectorised rounding is exact.
constexpr double kVectorLimit = 0x1p51;
constexpr int kSumBits = 62;

int log2_ceiling(Weight weight) noexcept {
  return static_cast<int>(std::bit_width(std::max<std::uint64_t>(weight.units(), 1) - 1)) - Weight::kFractionBits;
}

}  // namespace

ExactScale ExactScale::compact(Weight weight_bound) noexcept {
  return {.fraction_bits = 32 - log2_ceiling(weight_bound), .weight_bound = weight_bound, .value_bound = 0x1p30};
}

ExactScale ExactScale::full(Weight weight_bound) noexcept {
  return {
      .fraction_bits = kSumBits - 16 - log2_ceiling(weight_bound), .weight_bound = weight_bound, .value_bound = 0x1p16};
}

void ExactAccumulator::begin(std::size_t elements, const ExactScale& scale) {
  elements_ = elements;
  scale_ = scale;
  weight_ = {};
  const std::size_t blocks = Payload::blocks(elements);
  narrow_.assign(elements, 0);
  wide_.clear();
  wide_.resize(blocks);
  bound_.assign(blocks, 0.0);
  incoming_.assign(blocks, 0.0);
}

Status ExactAccumulator::check_weight(Weight weight) const {
  if (weight.zero()) { return invalid_argument("an update of weight 0"); }
  if (weight.units() > scale_.weight_bound.units() - weight_.units()) {
    return invalid_argument(fmt::format("weight {} on top of {} exceeds the announced bound {}", weight.value(),
                                        weight_.value(), scale_.weight_bound.value()));
  }
  return {};
}

void ExactAccumulator::widen(std::size_t block) {
  const std::size_t first = block * kBlock;
  const std::size_t count = std::min(kBlock, elements_ - first);
  auto sums = std::make_unique<std::int64_t[]>(count);
  std::copy_n(narrow_.begin() + static_cast<std::ptrdiff_t>(first), count, sums.get());
  wide_[block] = std::move(sums);
}

Status ExactAccumulator::add(std::span<const float> values, Weight weight) {
  if (values.size() != elements_) {
    return invalid_argument(fmt::format("an update of {} values for a model of {}", values.size(), elements_));
  }
  TRIBUTARY_RETURN_IF_ERROR(check_weight(weight));
  const internal::ExactKernels& kernels = internal::exact_kernels();
  for (std::size_t block = 0; block < incoming_.size(); ++block) {
    const std::size_t first = block * kBlock;
    const std::size_t count = std::min(kBlock, elements_ - first);
    const auto largest = static_cast<double>(std::bit_cast<float>(kernels.largest_bits(values.data() + first, count)));
    if (!(largest <= scale_.value_bound)) {
      const auto bad =
          std::find_if(values.begin() + static_cast<std::ptrdiff_t>(first), values.end(),
                       [&](float value) { return !(std::fabs(static_cast<double>(value)) <= scale_.value_bound); });
      return invalid_argument(fmt::format("value {} is {}, the bound is {}", bad - values.begin(),
                                          static_cast<double>(*bad), scale_.value_bound));
    }
    incoming_[block] = largest;
  }
  weight_ = weight_ + weight;

  const double factor = std::ldexp(weight.value(), scale_.fraction_bits);
  for (std::size_t block = 0; block < incoming_.size(); ++block) {
    if (incoming_[block] == 0.0) { continue; }
    const std::size_t first = block * kBlock;
    const std::size_t count = std::min(kBlock, elements_ - first);
    const double largest = std::ceil(incoming_[block] * factor) + 1.0;
    bound_[block] += largest;
    if (!wide_[block] && bound_[block] > kNarrowLimit) { widen(block); }
    if (!wide_[block]) {
      kernels.add_narrow(narrow_.data() + first, values.data() + first, factor, count);
    } else if (largest < kVectorLimit) {
      kernels.add_wide(wide_[block].get(), values.data() + first, factor, count);
    } else {
      for (std::size_t i = 0; i < count; ++i) {
        wide_[block][i] += std::llrint(static_cast<double>(values[first + i]) * factor);
      }
    }
  }
  return {};
}

Status ExactAccumulator::add(const Payload& sums, Weight weight) {
  if (sums.encoding() != Encoding::kFixed || sums.elements() != elements_) {
    return invalid_argument(fmt::format("sums of {} values for a model of {}", sums.elements(), elements_));
  }
  TRIBUTARY_RETURN_IF_ERROR(check_weight(weight));
  const internal::ExactKernels& kernels = internal::exact_kernels();
  const std::byte* const widths = sums.bytes().data();
  // Each term is rounded once, and a term weighs at least one step: so many terms can a weight stand for.
  const double limit =
      std::ldexp(weight.value() * scale_.value_bound, scale_.fraction_bits) + static_cast<double>(weight.units());
  // Blocks start at multiples of 8 bytes of an allocation, so both widths are aligned.
  const std::byte* data = widths + Payload::data_offset(elements_);
  for (std::size_t block = 0; block < incoming_.size(); ++block) {
    const std::size_t count = std::min(kBlock, elements_ - block * kBlock);
    const bool narrow = widths[block] == std::byte{4};
    incoming_[block] =
        narrow ? static_cast<double>(kernels.largest_narrow(reinterpret_cast<const std::int32_t*>(data), count))
               : static_cast<double>(kernels.largest_wide(reinterpret_cast<const std::int64_t*>(data), count));
    if (incoming_[block] > limit) {
      return bad_data(fmt::format("block {} holds a sum of {}, but weight {} allows at most {}", block,
                                  incoming_[block], weight.value(), limit));
    }
    data += (count * (narrow ? 4 : 8) + 7) / 8 * 8;
  }
  weight_ = weight_ + weight;

  data = widths + Payload::data_offset(elements_);
  for (std::size_t block = 0; block < incoming_.size(); ++block) {
    const std::size_t first = block * kBlock;
    const std::size_t count = std::min(kBlock, elements_ - first);
    const bool narrow = widths[block] == std::byte{4};
    bound_[block] += incoming_[block] + 1.0;
    if (!wide_[block] && bound_[block] > kNarrowLimit) { widen(block); }
    const auto add_to = [count](auto* to, const auto* from) {
      for (std::size_t i = 0; i < count; ++i) { to[i] += static_cast<std::remove_pointer_t<decltype(to)>>(from[i]); }
    };
    if (!wide_[block]) {
      // The bound says that the values fit, whatever width they came in.
      narrow ? add_to(narrow_.data() + first, reinterpret_cast<const std::int32_t*>(data))
             : add_to(narrow_.data() + first, reinterpret_cast<const std::int64_t*>(data));
    } else {
      narrow ? add_to(wide_[block].get(), reinterpret_cast<const std::int32_t*>(data))
             : add_to(wide_[block].get(), reinterpret_cast<const std::int64_t*>(data));
    }
    data += (count * (narrow ? 4 : 8) + 7) / 8 * 8;
  }
  return {};
}

Payload ExactAccumulator::encode() const {
  const std::size_t blocks = bound_.size();
  std::vector<bool> fits(blocks, true);
  std::size_t size = Payload::data_offset(elements_);
  for (std::size_t block = 0; block < blocks; ++block) {
    const std::size_t count = std::min(kBlock, elements_ - block * kBlock);
    if (wide_[block]) {
      fits[block] =
          static_cast<double>(internal::exact_kernels().largest_wide(wide_[block].get(), count)) <= kNarrowLimit;
    }
    size += (count * (fits[block] ? 4U : 8U) + 7) / 8 * 8;
  }
  std::vector<std::byte> bytes(size);
  std::byte* data = bytes.data() + Payload::data_offset(elements_);
  for (std::size_t block = 0; block < blocks; ++block) {
    const std::size_t first = block * kBlock;
    const std::size_t count = std::min(kBlock, elements_ - first);
    bytes[block] = std::byte{fits[block] ? std::uint8_t{4} : std::uint8_t{8}};
    if (!wide_[block]) {
      std::memcpy(data, narrow_.data() + first, count * 4);
    } else if (fits[block]) {
      auto* const out = reinterpret_cast<std::int32_t*>(data);
      for (std::size_t i = 0; i < count; ++i) { out[i] = static_cast<std::int32_t>(wide_[block][i]); }
    } else {
      std::memcpy(data, wide_[block].get(), count * 8);
    }
    data += (count * (fits[block] ? 4U : 8U) + 7) / 8 * 8;
  }
  return Payload::from_bytes(Encoding::kFixed, elements_, std::move(bytes)).value();
}

void ExactAccumulator::mean(const std::function<void(std::size_t, std::span<const double>)>& visit) const {
  std::array<double, kBlock> means;
  // 2^fraction_bits * weight is exact: dividing by it rounds once.
  const double divisor = std::ldexp(weight_.value(), scale_.fraction_bits);
  for (std::size_t block = 0; block < bound_.size(); ++block) {
    const std::size_t first = block * kBlock;
    const std::size_t count = std::min(kBlock, elements_ - first);
    for (std::size_t i = 0; i < count; ++i) {
      const auto sum = static_cast<double>(wide_[block] ? wide_[block][i] : std::int64_t{narrow_[first + i]});
      means[i] = sum / divisor;
    }
    visit(first, std::span<const double>(means.data(), count));
  }
}

std::size_t ExactAccumulator::memory() const noexcept {
  std::size_t bytes = narrow_.size() * sizeof(std::int32_t);
  for (std::size_t block = 0; block < wide_.size(); ++block) {
    if (wide_[block]) { bytes += std::min(kBlock, elements_ - block * kBlock) * sizeof(std::int64_t); }
  }
  return bytes;
}

}  // namespace tributary
