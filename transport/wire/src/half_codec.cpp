// SPDX-License-Identifier: Apache-2.0
#include "half_codec.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>

namespace tributary::internal {
namespace {

constexpr std::size_t kHeader = 8;
constexpr int kTop = 14;  // the largest value is at most 2^kTop, scaled
constexpr int kLeastScale = -127;
constexpr int kMostScale = 127;

constexpr std::uint32_t kSign = 0x80000000U;
constexpr std::uint32_t kExponent = 0x7F800000U;

constexpr std::size_t blocks(std::size_t elements) {
  return (elements + HalfCodec::kBlock - 1) / HalfCodec::kBlock;
}
constexpr std::size_t first_block(std::size_t elements) {
  return kHeader + (blocks(elements) + 63) / 64 * 8;
}

bool is_finite(float value) {
  return (std::bit_cast<std::uint32_t>(value) & kExponent) != kExponent;
}

// Of a magnitude of at most 2^kTop. Without branches, so that compilers take many values at a time.
std::uint16_t to_half(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = (bits & kSign) >> 16U;
  const std::uint32_t magnitude = bits & ~kSign;
  // Normal: the exponent counts from another zero, and 13 bits are rounded away, to even.
  constexpr std::uint32_t kBias = (127U - 15U) << 23U;
  const std::uint32_t normal = (magnitude - kBias + 0xFFFU + ((magnitude >> 13U) & 1U)) >> 13U;
  // Below 2^-14: steps of 2^-24, which are the last bit of a float near 0.5.
  const float near_half = std::bit_cast<float>(magnitude) + 0.5F;
  const std::uint32_t subnormal = std::bit_cast<std::uint32_t>(near_half) - std::bit_cast<std::uint32_t>(0.5F);
  constexpr std::uint32_t kLeastNormal = (127U - 14U) << 23U;
  return static_cast<std::uint16_t>(sign | (magnitude < kLeastNormal ? subnormal : normal));
}

float from_half(std::uint16_t half) {
  const std::uint32_t sign = (static_cast<std::uint32_t>(half) & 0x8000U) << 16U;
  const std::uint32_t magnitude = half & 0x7FFFU;
  const std::uint32_t normal = (magnitude << 13U) + ((127U - 15U) << 23U);
  const auto subnormal = std::bit_cast<std::uint32_t>(static_cast<float>(magnitude) * 0x1p-24F);
  return std::bit_cast<float>(sign | (magnitude < 0x400U ? subnormal : normal));
}

// 2^exponent, which may be less than the least normal float.
float power_of_two(int exponent) {
  return std::ldexp(1.0F, exponent);
}

// So that magnitude * 2^scale is in (2^(kTop - 1), 2^kTop].
int scale_for(float largest) {
  if (largest == 0.0F) { return 0; }
  int exponent = 0;
  const float fraction = std::frexp(largest, &exponent);  // in [0.5, 1)
  const int ceiling = fraction == 0.5F ? exponent - 1 : exponent;
  return std::clamp(kTop - ceiling, kLeastScale, kMostScale);
}

// Which blocks travel as floats, and the largest of the values that do not have to.
struct Layout {
  std::vector<bool> exact;
  float largest = 0.0F;
};

Layout layout_of(const ParameterSpec& spec, std::span<const float> values) {
  Layout layout{.exact = std::vector<bool>(blocks(values.size()), false)};
  for (std::size_t t = 0; t < spec.tensors().size(); ++t) {
    const std::size_t begin = std::min(spec.offset(t), values.size());
    const std::size_t end = std::min(begin + spec.tensors()[t].elements(), values.size());
    if (spec.tensors()[t].kind != TensorKind::kTrainable) {
      for (std::size_t i = begin; i < end; i += HalfCodec::kBlock) { layout.exact[i / HalfCodec::kBlock] = true; }
      if (end > begin) { layout.exact[(end - 1) / HalfCodec::kBlock] = true; }
      continue;
    }
    std::uint32_t largest = 0;
    for (std::size_t i = begin; i < end; ++i) {
      largest = std::max(largest, std::bit_cast<std::uint32_t>(values[i]) & ~kSign);
    }
    if (largest < kExponent) {
      layout.largest = std::max(layout.largest, std::bit_cast<float>(largest));
      continue;
    }
    for (std::size_t i = begin; i < end; ++i) {
      if (is_finite(values[i])) {
        layout.largest = std::max(layout.largest, std::fabs(values[i]));
      } else {
        layout.exact[i / HalfCodec::kBlock] = true;
      }
    }
  }
  return layout;
}

}  // namespace

std::vector<std::byte> HalfCodec::encode(const ParameterSpec& spec, std::span<const float> values) const {
  const Layout layout = layout_of(spec, values);
  const int scale = scale_for(layout.largest);
  const auto exact = static_cast<std::size_t>(std::ranges::count(layout.exact, true));
  std::vector<std::byte> bytes(first_block(values.size()));
  bytes.reserve(first_block(values.size()) + std::min(values.size() * 4, values.size() * 2 + exact * kBlock * 2));
  bytes[0] = static_cast<std::byte>(static_cast<std::uint8_t>(static_cast<std::int8_t>(scale)));
  // In two factors: one alone may be beyond what a float holds.
  const float first = power_of_two(scale / 2);
  const float second = power_of_two(scale - scale / 2);
  std::array<std::uint16_t, kBlock> halves{};
  for (std::size_t block = 0; block < layout.exact.size(); ++block) {
    const std::span<const float> part =
        values.subspan(block * kBlock, std::min(kBlock, values.size() - block * kBlock));
    if (layout.exact[block]) {
      bytes[kHeader + block / 8] |= std::byte{1} << (block % 8);
      const auto floats = std::as_bytes(part);
      bytes.insert(bytes.end(), floats.begin(), floats.end());
      continue;
    }
    for (std::size_t i = 0; i < part.size(); ++i) { halves[i] = to_half(part[i] * first * second); }
    const auto coded = std::as_bytes(std::span(halves).first(part.size()));
    bytes.insert(bytes.end(), coded.begin(), coded.end());
  }
  return bytes;
}

Status HalfCodec::decode(std::span<const std::byte> bytes, std::span<float> values) const {
  if (bytes.size() < first_block(values.size())) {
    return bad_data(fmt::format("{} bytes are too few for {} values in half precision", bytes.size(), values.size()));
  }
  const auto scale = static_cast<std::int8_t>(std::to_integer<std::uint8_t>(bytes[0]));
  const float first = power_of_two(-(scale / 2));
  const float second = power_of_two(-(scale - scale / 2));
  const std::span<const std::byte> marks = bytes.subspan(kHeader, first_block(values.size()) - kHeader);
  std::span<const std::byte> rest = bytes.subspan(first_block(values.size()));
  std::array<std::uint16_t, kBlock> halves{};
  for (std::size_t block = 0; block < blocks(values.size()); ++block) {
    const std::span<float> part = values.subspan(block * kBlock, std::min(kBlock, values.size() - block * kBlock));
    const bool exact = (marks[block / 8] >> (block % 8) & std::byte{1}) != std::byte{0};
    const std::size_t size = part.size() * (exact ? sizeof(float) : sizeof(std::uint16_t));
    if (rest.size() < size) {
      return bad_data(fmt::format("half precision ends in block {} of {}", block, blocks(values.size())));
    }
    if (exact) {
      std::memcpy(part.data(), rest.data(), size);
    } else {
      std::memcpy(halves.data(), rest.data(), size);
      for (std::size_t i = 0; i < part.size(); ++i) { part[i] = from_half(halves[i]) * first * second; }
    }
    rest = rest.subspan(size);
  }
  if (!rest.empty()) {
    return bad_data(fmt::format("{} bytes too many for {} values in half precision", rest.size(), values.size()));
  }
  return {};
}

std::size_t HalfCodec::usual_bytes(const ParameterSpec& spec) const {
  const Layout layout = layout_of(spec, std::vector<float>(spec.parameters()));
  std::size_t bytes = first_block(spec.parameters());
  for (std::size_t block = 0; block < layout.exact.size(); ++block) {
    bytes += std::min(kBlock, spec.parameters() - block * kBlock) * (layout.exact[block] ? 4 : 2);
  }
  return bytes;
}

}  // namespace tributary::internal
