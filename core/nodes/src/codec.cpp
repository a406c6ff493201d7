// SPDX-License-Identifier: Apache-2.0
#include "tributary/nodes/codec.hpp"

#include <utility>

namespace tributary {

Payload encoded(const Codec& codec, const ParameterSpec& spec, std::span<const float> values) {
  auto bytes = std::make_shared<const std::vector<std::byte>>(codec.encode(spec, values));
  auto floats = std::make_shared<std::vector<float>>(values.size());
  // A codec that cannot read its own bytes is broken; then the values go as they are.
  if (!codec.decode(*bytes, *floats).ok()) {
    return Payload::floats(std::make_shared<const std::vector<float>>(values.begin(), values.end()));
  }
  return Payload::coded(values.size(), std::move(bytes), std::move(floats));
}

Result<Payload> decoded(const Codec& codec, const Payload& payload) {
  auto floats = std::make_shared<std::vector<float>>(payload.elements());
  TRIBUTARY_RETURN_IF_ERROR(codec.decode(payload.bytes(), *floats));
  return Payload::coded(payload.elements(), payload.shared_bytes(), std::move(floats));
}

}  // namespace tributary
