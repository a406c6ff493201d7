// SPDX-License-Identifier: Apache-2.0
// How the floats of a model, or of a change of one, travel over an edge in other bytes than four a value.
//
// A codec may lose precision. What was lost is lost for both ends alike: the node that encodes goes on with what the
// other end will decode, so that the base of every change is the model that its client really had. Exact sums are never
// coded, nor are the states of methods.
//
// Contract:    decode(encode(x)) is x within the codec's error bound, and encoding that once more changes nothing. What
//              is no trainable tensor (running statistics, counters) comes back bit for bit.
// Threads:     const calls may run together: training threads use one codec for all clients.
// Determinism: functions of their arguments alone.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "tributary/base/status.hpp"
#include "tributary/nodes/parameter_spec.hpp"
#include "tributary/nodes/payload.hpp"

namespace tributary {

class Codec {
 public:
  virtual ~Codec() = default;

  // `values`: as many as `spec` has, of whatever size; they need not be finite.
  [[nodiscard]] virtual std::vector<std::byte> encode(const ParameterSpec& spec,
                                                      std::span<const float> values) const = 0;
  // Writes all of `values`. kBadData: bytes that encode() cannot have given for so many. They come from a peer.
  virtual Status decode(std::span<const std::byte> bytes, std::span<float> values) const = 0;
  // Bytes of a model of `spec` whose values are finite.
  [[nodiscard]] virtual std::size_t usual_bytes(const ParameterSpec& spec) const = 0;
};

// `values` as `codec` makes them travel: the payload holds the bytes, and what they decode to.
[[nodiscard]] Payload encoded(const Codec& codec, const ParameterSpec& spec, std::span<const float> values);
// What has come in bytes, with its floats. kBadData as Codec::decode().
Result<Payload> decoded(const Codec& codec, const Payload& payload);

}  // namespace tributary
