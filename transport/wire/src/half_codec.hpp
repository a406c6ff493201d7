// SPDX-License-Identifier: Apache-2.0
// Half precision (IEEE 754 binary16), scaled.
//
// Layout: one byte, the exponent s, two's complement, and 7 of zero; one bit for each block of kBlock values, lowest
//         bit first, padded to 8 bytes; then the blocks. A block whose bit is 0 has 2 bytes a value, each the half of
//         value * 2^s; one whose bit is 1 has floats. All little-endian. docs/wire-format.md
// Floats: blocks that hold anything but finite values of trainable tensors.
// Scale:  s puts the largest trainable value into (2^13, 2^14]. So no half overflows, and since rounding keeps the
//         largest value in there, or takes it down to 2^13, coding once more loses nothing.
#pragma once

#include "tributary/nodes/codec.hpp"

namespace tributary::internal {

class HalfCodec final : public Codec {
 public:
  static constexpr std::size_t kBlock = 256;

  [[nodiscard]] std::vector<std::byte> encode(const ParameterSpec& spec, std::span<const float> values) const override;
  Status decode(std::span<const std::byte> bytes, std::span<float> values) const override;
  [[nodiscard]] std::size_t usual_bytes(const ParameterSpec& spec) const override;
};

}  // namespace tributary::internal
