// SPDX-License-Identifier: Apache-2.0
// cereal archives between the world of a simulation and the bytes of a checkpoint. Vectors that nodes, messages and
// tasks share are written once, and shared again when they are read.
//
// The bytes come from a file that may be damaged or made by hand: every length is checked against what is left before
// memory is taken, vectors have the length of the model, and node numbers are those of the tree.
//
// Threads: one thread. Errors: a WorldReader throws cereal::Exception.
#pragma once

#include <bit>
#include <cereal/cereal.hpp>
#include <cereal/types/array.hpp>
#include <cereal/types/common.hpp>
#include <cereal/types/map.hpp>
#include <cereal/types/optional.hpp>
#include <cereal/types/set.hpp>
#include <cereal/types/string.hpp>
#include <cereal/types/unordered_map.hpp>
#include <cereal/types/utility.hpp>
#include <cereal/types/variant.hpp>
#include <cereal/types/vector.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <tuple>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

#include "tributary/base/status.hpp"
#include "tributary/nodes/client_state.hpp"
#include "tributary/nodes/snapshot.hpp"
#include "tributary/nodes/tree.hpp"
#include "tributary/nodes/update.hpp"

namespace tributary::internal {

static_assert(std::endian::native == std::endian::little, "a world is written as the processor keeps it");

// What may be shared, by its kind; places count from 1, and 0 is null.
template <typename T>
struct SharedValues {
  std::vector<std::shared_ptr<T>> values;  // kept, so that no other gets the address of one
  std::unordered_map<const T*, std::uint32_t> places;

  // The place of a value; true if it is new.
  std::pair<std::uint32_t, bool> add(std::shared_ptr<T> value) {
    const auto [place, fresh] = places.try_emplace(value.get(), static_cast<std::uint32_t>(values.size() + 1));
    if (fresh) { values.push_back(std::move(value)); }
    return {place->second, fresh};
  }
};
using SharedTables = std::tuple<SharedValues<std::vector<float>>, SharedValues<std::vector<double>>,
                                SharedValues<std::vector<std::byte>>, SharedValues<std::vector<Segment>>,
                                SharedValues<Snapshot>, SharedValues<ClientState>>;

class WorldWriter : public cereal::OutputArchive<WorldWriter, cereal::AllowEmptyClassElision> {
 public:
  // Appends to `out`. `known`: kept elsewhere, and given to the reader again.
  WorldWriter(std::vector<std::byte>& out, const std::shared_ptr<const std::vector<float>>& known)
      : OutputArchive(this), out_(out) {
    share(known);
  }

  void put(const void* data, std::size_t size) {
    const auto* const bytes = static_cast<const std::byte*>(data);
    out_.insert(out_.end(), bytes, bytes + size);
  }
  template <typename T>
  std::pair<std::uint32_t, bool> share(const std::shared_ptr<T>& value) {
    using Plain = std::remove_const_t<T>;
    return std::get<SharedValues<Plain>>(tables_).add(std::const_pointer_cast<Plain>(value));
  }

 private:
  std::vector<std::byte>& out_;
  SharedTables tables_;
};

class WorldReader : public cereal::InputArchive<WorldReader, cereal::AllowEmptyClassElision> {
 public:
  // `tree` must outlive the reader; vectors have as many values as `known`.
  WorldReader(std::span<const std::byte> in, const std::shared_ptr<std::vector<float>>& known, const Tree& tree)
      : InputArchive(this), in_(in), parameters_(known->size()), tree_(tree) {
    share(known);
  }

  void get(void* data, std::size_t size) {
    if (size > in_.size()) { throw cereal::Exception("it ends too early"); }
    if (size == 0) { return; }  // of an empty container, which may have no place
    std::memcpy(data, in_.data(), size);
    in_ = in_.subspan(size);
  }
  [[nodiscard]] std::size_t left() const noexcept { return in_.size(); }
  [[nodiscard]] std::size_t parameters() const noexcept { return parameters_; }

  void require(const Status& status) const {
    if (!status.ok()) { throw cereal::Exception(status.message()); }
  }
  template <typename Id>
  void check(const Id& id) const {
    if constexpr (std::is_same_v<Id, NodeId>) {
      if (id.value >= tree_.size()) { throw cereal::Exception("it names a node that the tree does not have"); }
    } else if constexpr (std::is_same_v<Id, ClientIndex>) {
      if (id.value >= tree_.clients()) { throw cereal::Exception("it names a client that the tree does not have"); }
    }
  }
  template <typename T>
  void share(std::shared_ptr<T> value) {
    std::get<SharedValues<T>>(tables_).add(std::move(value));
  }
  // Null for a place that is yet to come.
  template <typename T>
  [[nodiscard]] std::shared_ptr<T> shared(std::uint32_t place) const {
    const auto& values = std::get<SharedValues<T>>(tables_).values;
    return place <= values.size() ? values[place - 1] : nullptr;
  }
  template <typename T>
  [[nodiscard]] std::uint32_t next_place() const {
    return static_cast<std::uint32_t>(std::get<SharedValues<T>>(tables_).values.size() + 1);
  }

 private:
  std::span<const std::byte> in_;
  std::size_t parameters_;
  const Tree& tree_;
  SharedTables tables_;
};

template <typename T>
  requires std::is_arithmetic_v<T>
void CEREAL_SAVE_FUNCTION_NAME(WorldWriter& archive, const T& value) {
  archive.put(&value, sizeof value);
}
template <typename T>
  requires std::is_arithmetic_v<T>
void CEREAL_LOAD_FUNCTION_NAME(WorldReader& archive, T& value) {
  if constexpr (std::is_same_v<T, bool>) {
    std::uint8_t byte = 0;
    archive.get(&byte, 1);
    if (byte > 1) { throw cereal::Exception("a truth value is neither 0 nor 1"); }
    value = byte == 1;
  } else {
    archive.get(&value, sizeof value);
  }
}

// Times count from the beginning. Sums of two of them fit, but for the end of time, which is never added to.
inline void CEREAL_SAVE_FUNCTION_NAME(WorldWriter& archive, const std::chrono::nanoseconds& time) {
  archive(std::int64_t{time.count()});
}
inline void CEREAL_LOAD_FUNCTION_NAME(WorldReader& archive, std::chrono::nanoseconds& time) {
  constexpr std::int64_t kMost = std::int64_t{1} << 61U;
  std::int64_t count = 0;
  archive(count);
  time = std::chrono::nanoseconds(count);
  const bool possible = count >= 0 && (count <= kMost || time == std::chrono::nanoseconds::max());
  if (!possible) { throw cereal::Exception("it holds a time that cannot be"); }
}

template <typename Archive, typename T>
CEREAL_ARCHIVE_RESTRICT(WorldReader, WorldWriter)
CEREAL_SERIALIZE_FUNCTION_NAME(Archive& archive, cereal::NameValuePair<T>& pair) {
  archive(pair.value);
}

template <typename T>
void CEREAL_SAVE_FUNCTION_NAME(WorldWriter& archive, const cereal::SizeTag<T>& tag) {
  archive(static_cast<std::uint64_t>(tag.size));
}
template <typename T>
void CEREAL_LOAD_FUNCTION_NAME(WorldReader& archive, cereal::SizeTag<T>& tag) {
  std::uint64_t size = 0;
  archive(size);
  // Every element takes a byte at least.
  if (size > archive.left()) { throw cereal::Exception("a length exceeds what is there"); }
  tag.size = static_cast<std::remove_reference_t<T>>(size);
}

template <typename T>
void CEREAL_SAVE_FUNCTION_NAME(WorldWriter& archive, const cereal::BinaryData<T>& binary) {
  archive.put(binary.data, static_cast<std::size_t>(binary.size));
}
template <typename T>
void CEREAL_LOAD_FUNCTION_NAME(WorldReader& archive, cereal::BinaryData<T>& binary) {
  archive.get(binary.data, static_cast<std::size_t>(binary.size));
}

// Vectors of numbers in one piece.
template <typename Number>
void put_numbers(WorldWriter& archive, const std::vector<Number>& numbers) {
  archive(static_cast<std::uint64_t>(numbers.size()));
  archive.put(numbers.data(), numbers.size() * sizeof(Number));
}
template <typename Number>
void get_numbers(WorldReader& archive, std::vector<Number>& numbers) {
  std::uint64_t size = 0;
  archive(size);
  if (size > archive.left() / sizeof(Number)) { throw cereal::Exception("a length exceeds what is there"); }
  numbers.resize(size);
  archive.get(numbers.data(), numbers.size() * sizeof(Number));
}
inline void CEREAL_SAVE_FUNCTION_NAME(WorldWriter& archive, const std::vector<std::byte>& bytes) {
  put_numbers(archive, bytes);
}
inline void CEREAL_LOAD_FUNCTION_NAME(WorldReader& archive, std::vector<std::byte>& bytes) {
  get_numbers(archive, bytes);
}
inline void CEREAL_SAVE_FUNCTION_NAME(WorldWriter& archive, const std::vector<float>& values) {
  put_numbers(archive, values);
}
inline void CEREAL_LOAD_FUNCTION_NAME(WorldReader& archive, std::vector<float>& values) {
  get_numbers(archive, values);
  if (values.size() != archive.parameters()) { throw cereal::Exception("a vector of another length than the model"); }
}

template <typename T>
void CEREAL_SAVE_FUNCTION_NAME(WorldWriter& archive, const std::shared_ptr<T>& value) {
  if (!value) {
    archive(std::uint32_t{0});
    return;
  }
  const auto [place, fresh] = archive.share(value);
  archive(place);
  if (fresh) { archive(*value); }
}
template <typename T>
void CEREAL_LOAD_FUNCTION_NAME(WorldReader& archive, std::shared_ptr<T>& value) {
  using Plain = std::remove_const_t<T>;
  std::uint32_t place = 0;
  archive(place);
  value = nullptr;
  if (place == 0) { return; }
  if (place < archive.next_place<Plain>()) {
    value = archive.shared<Plain>(place);
    return;
  }
  if (place != archive.next_place<Plain>()) { throw cereal::Exception("it shares what is not there"); }
  auto made = std::make_shared<Plain>();
  archive.share(made);
  archive(*made);
  value = std::move(made);
}

}  // namespace tributary::internal

CEREAL_REGISTER_ARCHIVE(tributary::internal::WorldWriter)
CEREAL_REGISTER_ARCHIVE(tributary::internal::WorldReader)
CEREAL_SETUP_ARCHIVE_TRAITS(tributary::internal::WorldReader, tributary::internal::WorldWriter)
