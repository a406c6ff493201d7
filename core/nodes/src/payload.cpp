// SPDX-License-Identifier: Apache-2.0
#include "tributary/nodes/payload.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace tributary {

Payload Payload::floats(std::shared_ptr<const std::vector<float>> values) {
  Payload payload;
  payload.elements_ = values->size();
  payload.floats_ = std::move(values);
  return payload;
}

Result<Payload> Payload::fixed(std::size_t elements, std::shared_ptr<const std::vector<std::byte>> sums) {
  // Each value takes four bytes at least; with that known, nothing below can overflow.
  if (elements > sums->size() / 4 || sums->size() < data_offset(elements)) {
    return bad_data(fmt::format("{} bytes are too few for the sums of {} values", sums->size(), elements));
  }
  std::size_t expected = data_offset(elements);
  for (std::size_t block = 0; block < blocks(elements); ++block) {
    const auto width = std::to_integer<std::size_t>((*sums)[block]);
    if (width != 4 && width != 5 && width != 6 && width != 8) {
      return bad_data(fmt::format("block {} of sums has width {}, not 4, 5, 6 or 8", block, width));
    }
    expected += width * std::min(kBlock, elements - block * kBlock);
    expected = (expected + 7) / 8 * 8;
  }
  if (sums->size() != expected) {
    return bad_data(fmt::format("a payload of {} values must have {} bytes, got {}", elements, expected, sums->size()));
  }
  Payload payload;
  payload.encoding_ = Encoding::kFixed;
  payload.elements_ = elements;
  payload.bytes_ = std::move(sums);
  return payload;
}

Payload Payload::coded(std::size_t elements, std::shared_ptr<const std::vector<std::byte>> bytes,
                       std::shared_ptr<const std::vector<float>> values) {
  Payload payload;
  payload.encoding_ = Encoding::kCoded;
  payload.elements_ = elements;
  payload.floats_ = std::move(values);
  payload.bytes_ = std::move(bytes);
  return payload;
}

Result<Payload> Payload::from_bytes(Encoding encoding, std::size_t elements, std::vector<std::byte> bytes) {
  if (encoding == Encoding::kFixed) {
    return fixed(elements, std::make_shared<const std::vector<std::byte>>(std::move(bytes)));
  }
  if (encoding == Encoding::kCoded) {
    return coded(elements, std::make_shared<const std::vector<std::byte>>(std::move(bytes)), nullptr);
  }
  if (encoding != Encoding::kFloat32) {
    return bad_data(fmt::format("unknown encoding {}", static_cast<int>(encoding)));
  }
  if (bytes.size() % sizeof(float) != 0 || elements != bytes.size() / sizeof(float)) {
    return bad_data(fmt::format("{} bytes are no {} values of {} bytes each", bytes.size(), elements, sizeof(float)));
  }
  auto values = std::make_shared<std::vector<float>>(elements);
  if (elements > 0) { std::memcpy(values->data(), bytes.data(), bytes.size()); }
  return floats(std::move(values));
}

std::span<const float> Payload::values() const noexcept {
  return floats_ ? std::span<const float>(*floats_) : std::span<const float>();
}

}  // namespace tributary
