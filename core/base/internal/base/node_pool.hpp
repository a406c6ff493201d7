// SPDX-License-Identifier: Apache-2.0
// Keeps the nodes that leave a map for those that enter it: a map whose elements come and go with every message then
// asks for no memory. It holds as many as there ever were at a time.
//
// Threads: not thread-safe.
#pragma once

#include <utility>
#include <vector>

namespace tributary::internal {

template <typename Map>
class NodePool {
 public:
  using Iterator = typename Map::iterator;

  // `key` must not be in `map`.
  Iterator insert(Map& map, const typename Map::key_type& key, typename Map::mapped_type value) {
    if (spare_.empty()) { return map.emplace_hint(map.end(), key, std::move(value)); }
    typename Map::node_type node = std::move(spare_.back());
    spare_.pop_back();
    node.key() = key;
    node.mapped() = std::move(value);
    return map.insert(map.end(), std::move(node));
  }
  // Takes the element out of `map` and returns it.
  typename Map::mapped_type take(Map& map, Iterator element) {
    spare_.push_back(map.extract(element));
    return std::exchange(spare_.back().mapped(), typename Map::mapped_type());
  }
  void clear(Map& map) {
    while (!map.empty()) { static_cast<void>(take(map, map.begin())); }
  }

 private:
  std::vector<typename Map::node_type> spare_;
};

}  // namespace tributary::internal
