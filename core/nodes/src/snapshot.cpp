// SPDX-License-Identifier: Apache-2.0
#include "tributary/nodes/snapshot.hpp"

#include <algorithm>

namespace tributary {
namespace {

template <typename Entries>
void add_all(Entries& to, std::string_view owner, const Entries& from) {
  for (const auto& [name, value] : from) { to.insert_or_assign(std::string(owner) + "/" + name, value); }
}

template <typename Entries>
void take_part(Entries& to, std::string_view owner, const Entries& from) {
  const std::string prefix = std::string(owner) + "/";
  for (auto entry = from.lower_bound(prefix); entry != from.end() && entry->first.starts_with(prefix); ++entry) {
    to.emplace(entry->first.substr(prefix.size()), entry->second);
  }
}

}  // namespace

void Snapshot::add(std::string_view owner, const Snapshot& part) {
  add_all(vectors, owner, part.vectors);
  add_all(texts, owner, part.texts);
}

Snapshot Snapshot::part(std::string_view owner) const {
  Snapshot part;
  take_part(part.vectors, owner, vectors);
  take_part(part.texts, owner, texts);
  return part;
}

Snapshot::Vector Snapshot::find(const std::string& name) const {
  const auto found = vectors.find(name);
  return found == vectors.end() ? nullptr : found->second;
}

bool operator==(const Snapshot& a, const Snapshot& b) {
  return a.texts == b.texts && std::ranges::equal(a.vectors, b.vectors, [](const auto& x, const auto& y) {
           return x.first == y.first && (x.second == y.second || *x.second == *y.second);
         });
}

}  // namespace tributary
