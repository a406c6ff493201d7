// SPDX-License-Identifier: Apache-2.0
// A node's message as it leaves its process: a small control part, and the payloads it names by reference. The control
// part is the same for every driver that crosses processes; drivers differ in how they move the two.
//
// Threads: values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "tributary/nodes/message.hpp"
#include "tributary/nodes/payload.hpp"

namespace tributary::internal {

// Counts up with every change of what follows the version in a control message.
inline constexpr std::uint16_t kWireVersion = 6;

// Which bytes of the data plane a message means. The receiver knows them by (sending process, id).
struct PayloadReference {
  std::uint64_t id = 0;
  Encoding encoding = Encoding::kFloat32;
  std::uint64_t elements = 0;
  std::uint64_t bytes = 0;
};

struct NodeMessage {
  NodeId from;
  NodeId to;
  Message message;  // without its payloads
  std::vector<PayloadReference> references;
};

// What a message may hold and refer to at most.
struct LetterLimits {
  std::size_t elements = 0;  // of one payload; a task's model has exactly so many
  std::size_t references = 16;
  std::size_t scalars = 1024;    // of one update
  std::size_t name_bytes = 256;  // of a segment or a scalar
};

// The failure that a peer's number means. A number that is not known here is a failure of a later version, or of a
// broken peer: kInternal.
[[nodiscard]] Code failure_from(std::uint8_t number) noexcept;

// The payloads of `message`, in the order of its references.
[[nodiscard]] std::vector<Payload> payloads_of(const Message& message);
// `ids` names them, one for each.
[[nodiscard]] std::vector<std::byte> encode_letter(NodeId from, NodeId to, const Message& message,
                                                   std::span<const Payload> payloads,
                                                   std::span<const std::uint64_t> ids);
// kProtocol: damaged, of another version, or beyond `limits`. Takes no more memory than a few times the bytes given.
[[nodiscard]] Result<NodeMessage> decode_letter(std::span<const std::byte> bytes, const LetterLimits& limits);
// Moves the payloads, one for each reference, where they belong. kProtocol: of another kind than the message needs.
[[nodiscard]] Status attach(NodeMessage& letter, std::span<Payload> payloads);

}  // namespace tributary::internal
