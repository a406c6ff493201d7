// SPDX-License-Identifier: Apache-2.0
// A YAML or JSON text as one flat array of values, each with its place: small, and safe to walk however deep it nests.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "issues.hpp"

namespace tributary::internal {

class Document {
 public:
  enum class Kind : std::uint8_t { kNull, kScalar, kList, kMap };

  // What stands in a list or map follows it, up to `end`; in a map, key and value by turns.
  struct Value {
    Kind kind = Kind::kNull;
    bool quoted = false;
    std::uint32_t text = 0;
    std::uint32_t length = 0;
    std::uint32_t end = 0;
    Place place;
  };

  // Nothing if the text is not well-formed, nests too deep or holds too much; `issues` says what.
  static std::optional<Document> parse_yaml(std::string_view text, IssueList& issues);
  static std::optional<Document> parse_json(std::string_view text, IssueList& issues);

  [[nodiscard]] bool empty() const noexcept { return values_.empty(); }
  static constexpr std::uint32_t kTop = 0;
  [[nodiscard]] const Value& at(std::uint32_t value) const { return values_[value]; }
  [[nodiscard]] std::string_view text(std::uint32_t value) const {
    return std::string_view(pool_).substr(values_[value].text, values_[value].length);
  }
  // For messages: "a" of a bare word, the text "a" of a quoted one, a list, a map, nothing.
  [[nodiscard]] std::string describe(std::uint32_t value) const;

  template <typename F>
  void for_each_item(std::uint32_t list, F&& use) const {
    for (std::uint32_t item = list + 1; item < values_[list].end; item = values_[item].end) { use(item); }
  }
  template <typename F>
  void for_each_pair(std::uint32_t map, F&& use) const {
    for (std::uint32_t key = map + 1; key < values_[map].end;) {
      const std::uint32_t value = values_[key].end;
      use(key, value);
      key = values_[value].end;
    }
  }

  // Used by the parsers. False: too deep or too many values.
  bool add(Kind kind, Place place, std::string_view text = {}, bool quoted = false);
  void close();
  [[nodiscard]] std::string full() const;

 private:
  std::vector<Value> values_;
  std::vector<std::uint32_t> open_;
  std::string pool_;
};

}  // namespace tributary::internal
