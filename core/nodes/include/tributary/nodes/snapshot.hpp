// SPDX-License-Identifier: Apache-2.0
// What a part of a node must have to go on where it was: named vectors and short texts. One shape for all that has a
// state, so that a checkpoint holds it without knowing what it is.
//
// Names:     "optimizer/m": whose it is, then which. Printable ASCII without spaces.
// Ownership: vectors are shared and never changed; whoever goes on working makes new ones.
// Threads:   a value.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace tributary {

struct Snapshot {
  using Vector = std::shared_ptr<const std::vector<double>>;

  std::map<std::string, Vector> vectors;
  std::map<std::string, std::string> texts;

  [[nodiscard]] bool empty() const noexcept { return vectors.empty() && texts.empty(); }
  // Takes over all of `part`, each name behind `owner` and a slash.
  void add(std::string_view owner, const Snapshot& part);
  // What add() put there for `owner`, under its own names.
  [[nodiscard]] Snapshot part(std::string_view owner) const;
  // Null if there is none.
  [[nodiscard]] Vector find(const std::string& name) const;
  // By content.
  friend bool operator==(const Snapshot& a, const Snapshot& b);
};

}  // namespace tributary
