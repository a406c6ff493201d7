// SPDX-License-Identifier: Apache-2.0
// Random numbers for noise, keys and masks, from OpenSSL's generator. There is no seed: nothing that protects anybody
// may be reproducible. For everything else there is core's Rng.
//
// Threads: one SecureRandom belongs to one thread at a time.
// Errors:  a generator that cannot deliver is kInternal; it never falls back to another source.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "tributary/base/status.hpp"

namespace tributary {

class SecureRandom {
 public:
  SecureRandom() = default;
  ~SecureRandom();  // wipes what was drawn ahead
  SecureRandom(const SecureRandom&) = delete;
  SecureRandom& operator=(const SecureRandom&) = delete;

  Status fill(std::span<std::byte> bytes);
  // 64 uniform bits.
  Result<std::uint64_t> next();

 private:
  std::array<std::byte, 4096> buffer_{};
  std::size_t used_ = sizeof(buffer_);
};

}  // namespace tributary
