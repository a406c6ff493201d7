// SPDX-License-Identifier: Apache-2.0
// The bytes of one vector on the data plane, immutable and shared: a broadcast model is sent to many children, an
// update is kept until it is acknowledged, and neither is copied.
//
// Encodings: kFloat32  4 bytes per value, little-endian.
//            kFixed    exact sums (exact_accumulator.hpp): one width byte per block of kBlock sums, padded to 8 bytes,
//                      then each block, padded to 8 bytes. A sum of a block takes 4, 5, 6 or 8 bytes, two's complement,
//                      little-endian; first come the low 4 bytes of all sums of the block, then the high bytes of all.
//                      docs/decisions/0002-exact-sums.md
//            kCoded    as the codec of the edge makes them (codec.hpp); the floats that they decode to go along once
//                      they are known.
// Threads:   immutable; const calls may run together.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "tributary/base/status.hpp"

namespace tributary {

// Never renumber: on the wire.
enum class Encoding : std::uint8_t { kFloat32 = 1, kFixed = 2, kCoded = 3 };

class Payload {
 public:
  // Sums per block of kFixed.
  static constexpr std::size_t kBlock = 4096;

  Payload() = default;

  // Shares `values`; copies nothing.
  static Payload floats(std::shared_ptr<const std::vector<float>> values);
  // Takes `bytes` as they came. kBadData: a size that does not fit `elements`, or a block width other than 4, 5, 6
  // or 8.
  static Result<Payload> from_bytes(Encoding encoding, std::size_t elements, std::vector<std::byte> bytes);
  // Shares `sums`, encoded as kFixed; the same checks.
  static Result<Payload> fixed(std::size_t elements, std::shared_ptr<const std::vector<std::byte>> sums);
  // Shares both. `values`: of which there are `elements`; null: not decoded yet.
  static Payload coded(std::size_t elements, std::shared_ptr<const std::vector<std::byte>> bytes,
                       std::shared_ptr<const std::vector<float>> values);

  [[nodiscard]] Encoding encoding() const noexcept { return encoding_; }
  [[nodiscard]] std::size_t elements() const noexcept { return elements_; }
  [[nodiscard]] std::span<const std::byte> bytes() const noexcept {
    if (bytes_) { return *bytes_; }
    return floats_ ? std::as_bytes(std::span(*floats_)) : std::span<const std::byte>();
  }
  [[nodiscard]] std::size_t size() const noexcept { return bytes().size(); }
  // The vector itself, and not a sum of weighted ones.
  [[nodiscard]] bool is_vector() const noexcept { return encoding_ != Encoding::kFixed; }
  // Requires is_vector(). Empty for a kCoded one that is yet to be decoded.
  [[nodiscard]] std::span<const float> values() const noexcept;
  // The vector behind values(); null where there is none.
  [[nodiscard]] const std::shared_ptr<const std::vector<float>>& shared_floats() const noexcept { return floats_; }
  // What bytes() shows; null for kFloat32.
  [[nodiscard]] const std::shared_ptr<const std::vector<std::byte>>& shared_bytes() const noexcept { return bytes_; }

  // What is taken from a peer at most; codecs make fewer bytes.
  static constexpr std::size_t largest_coded(std::size_t elements) noexcept { return elements * 8 + 4096; }
  // Layout of kFixed.
  static constexpr std::size_t blocks(std::size_t elements) noexcept { return (elements + kBlock - 1) / kBlock; }
  static constexpr std::size_t data_offset(std::size_t elements) noexcept { return (blocks(elements) + 7) / 8 * 8; }

 private:
  Encoding encoding_ = Encoding::kFloat32;
  std::size_t elements_ = 0;
  std::shared_ptr<const std::vector<float>> floats_;
  std::shared_ptr<const std::vector<std::byte>> bytes_;
};

}  // namespace tributary
