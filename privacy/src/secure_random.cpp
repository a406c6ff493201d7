// SPDX-License-Identifier: Apache-2.0
#include "tributary/privacy/secure_random.hpp"

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include <algorithm>
#include <cstring>
#include <limits>

namespace tributary {

SecureRandom::~SecureRandom() {
  OPENSSL_cleanse(buffer_.data(), buffer_.size());
}

Status SecureRandom::fill(std::span<std::byte> bytes) {
  while (!bytes.empty()) {
    const std::size_t part = std::min<std::size_t>(bytes.size(), std::numeric_limits<int>::max());
    if (RAND_priv_bytes(reinterpret_cast<unsigned char*>(bytes.data()), static_cast<int>(part)) != 1) {
      return internal_error("the cryptographic random number generator failed");
    }
    bytes = bytes.subspan(part);
  }
  return {};
}

Result<std::uint64_t> SecureRandom::next() {
  std::uint64_t value = 0;
  if (used_ + sizeof(value) > buffer_.size()) {
    TRIBUTARY_RETURN_IF_ERROR(fill(buffer_));
    used_ = 0;
  }
  std::memcpy(&value, buffer_.data() + used_, sizeof(value));
  OPENSSL_cleanse(buffer_.data() + used_, sizeof(value));
  used_ += sizeof(value);
  return value;
}

}  // namespace tributary
