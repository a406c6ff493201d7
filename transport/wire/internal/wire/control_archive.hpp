// SPDX-License-Identifier: Apache-2.0
// cereal archives between control messages and bytes, for peers that may be broken or hostile: little-endian, no type
// names, and every length is checked against the bytes that are left before memory is taken.
//
// Threads: not thread-safe; made for one message.
// Errors:  a ControlReader throws cereal::Exception; decode() turns it into a Status and is the only way in.
#pragma once

#include <bit>
#include <cereal/cereal.hpp>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <map>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "tributary/base/status.hpp"

namespace tributary::internal {

static_assert(std::endian::native == std::endian::little, "control messages are written as the processor keeps them");

class ControlWriter : public cereal::OutputArchive<ControlWriter, cereal::AllowEmptyClassElision> {
 public:
  // Appends to `out`.
  explicit ControlWriter(std::vector<std::byte>& out) : OutputArchive(this), out_(out) {}

  void put(const void* data, std::size_t size) {
    const auto* const bytes = static_cast<const std::byte*>(data);
    out_.insert(out_.end(), bytes, bytes + size);
  }

 private:
  std::vector<std::byte>& out_;
};

class ControlReader : public cereal::InputArchive<ControlReader, cereal::AllowEmptyClassElision> {
 public:
  // Lists of more than `most_elements` elements that own memory are refused. Others take no more than their bytes
  // allow.
  explicit ControlReader(std::span<const std::byte> in,
                         std::size_t most_elements = std::numeric_limits<std::size_t>::max())
      : InputArchive(this), in_(in), most_elements_(most_elements) {}

  void get(void* data, std::size_t size) {
    if (size > in_.size()) { throw cereal::Exception("the message ends too early"); }
    std::memcpy(data, in_.data(), size);
    in_ = in_.subspan(size);
  }
  // A number of elements that take at least `each` bytes.
  std::size_t length(std::size_t each) {
    std::uint32_t count = 0;
    get(&count, sizeof count);
    if (count > in_.size() / each) { throw cereal::Exception("a length exceeds the message"); }
    return count;
  }
  [[nodiscard]] std::size_t left() const noexcept { return in_.size(); }
  [[nodiscard]] std::size_t most_elements() const noexcept { return most_elements_; }

 private:
  std::span<const std::byte> in_;
  std::size_t most_elements_;
};

template <typename T>
  requires std::is_arithmetic_v<T>
void CEREAL_SAVE_FUNCTION_NAME(ControlWriter& archive, const T& value) {
  archive.put(&value, sizeof value);
}
template <typename T>
  requires std::is_arithmetic_v<T>
void CEREAL_LOAD_FUNCTION_NAME(ControlReader& archive, T& value) {
  if constexpr (std::is_same_v<T, bool>) {
    std::uint8_t byte = 0;
    archive.get(&byte, 1);
    if (byte > 1) { throw cereal::Exception("a truth value is neither 0 nor 1"); }
    value = byte == 1;
  } else {
    archive.get(&value, sizeof value);
  }
}

template <typename T>
void CEREAL_SAVE_FUNCTION_NAME(ControlWriter& archive, const cereal::BinaryData<T>& binary) {
  archive.put(binary.data, static_cast<std::size_t>(binary.size));
}
template <typename T>
void CEREAL_LOAD_FUNCTION_NAME(ControlReader& archive, cereal::BinaryData<T>& binary) {
  archive.get(binary.data, static_cast<std::size_t>(binary.size));
}

inline void CEREAL_SAVE_FUNCTION_NAME(ControlWriter& archive, const std::string& text) {
  const auto size = static_cast<std::uint32_t>(text.size());
  archive.put(&size, sizeof size);
  archive.put(text.data(), text.size());
}
inline void CEREAL_LOAD_FUNCTION_NAME(ControlReader& archive, std::string& text) {
  text.resize(archive.length(1));
  archive.get(text.data(), text.size());
}

template <typename T>
void CEREAL_SAVE_FUNCTION_NAME(ControlWriter& archive, const std::vector<T>& values) {
  const auto size = static_cast<std::uint32_t>(values.size());
  archive.put(&size, sizeof size);
  for (const T& value : values) { archive(value); }
}
template <typename T>
void CEREAL_LOAD_FUNCTION_NAME(ControlReader& archive, std::vector<T>& values) {
  const std::size_t size = archive.length(1);
  if (!std::is_trivially_copyable_v<T> && size > archive.most_elements()) {
    throw cereal::Exception("a list is longer than it may be");
  }
  values.clear();
  // One by one: an element may be larger in memory than on the wire.
  for (std::size_t i = 0; i < size; ++i) { archive(values.emplace_back()); }
}

template <typename Key, typename T>
void CEREAL_SAVE_FUNCTION_NAME(ControlWriter& archive, const std::map<Key, T>& values) {
  const auto size = static_cast<std::uint32_t>(values.size());
  archive.put(&size, sizeof size);
  for (const auto& [key, value] : values) { archive(key, value); }
}
template <typename Key, typename T>
void CEREAL_LOAD_FUNCTION_NAME(ControlReader& archive, std::map<Key, T>& values) {
  const std::size_t size = archive.length(1);
  values.clear();
  for (std::size_t i = 0; i < size; ++i) {
    Key key{};
    archive(key);
    // As they are written: the same content has the same bytes.
    if (!values.empty() && !(values.rbegin()->first < key)) { throw cereal::Exception("keys are out of order"); }
    archive(values.emplace_hint(values.end(), std::move(key), T{})->second);
  }
}

// The bytes of `value`.
template <typename T>
std::vector<std::byte> encode(const T& value) {
  std::vector<std::byte> bytes;
  bytes.reserve(192);
  ControlWriter writer(bytes);
  writer(value);
  return bytes;
}

// kProtocol: bytes that are no T, or too many of them, or a list in it of more than `most_elements`.
template <typename T>
Result<T> decode(std::span<const std::byte> bytes,
                 std::size_t most_elements = std::numeric_limits<std::size_t>::max()) {
  try {
    ControlReader reader(bytes, most_elements);
    T value{};
    reader(value);
    if (reader.left() != 0) { return protocol_error("a control message is longer than it should be"); }
    return value;
  } catch (const cereal::Exception& error) {
    return protocol_error(std::string("a damaged control message: ") + error.what());
  }
}

}  // namespace tributary::internal

CEREAL_REGISTER_ARCHIVE(tributary::internal::ControlWriter)
CEREAL_REGISTER_ARCHIVE(tributary::internal::ControlReader)
CEREAL_SETUP_ARCHIVE_TRAITS(tributary::internal::ControlReader, tributary::internal::ControlWriter)
