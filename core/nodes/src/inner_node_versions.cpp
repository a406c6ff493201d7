// SPDX-License-Identifier: Apache-2.0
// Of which versions of its parent an aggregator's answer was trained. Its children know the aggregator's own versions
// alone; it remembers which model of the parent was in each of them.
#include <algorithm>
#include <iterator>

#include "tributary/nodes/inner_node.hpp"

namespace tributary {
namespace {

// Changes of the parent's model that are remembered. Staler updates count as based on the oldest of them.
constexpr std::size_t kMostAnchors = 4096;
constexpr std::uint64_t kMostAges = std::uint64_t{1} << 32U;

}  // namespace

// From the next version on, the parent's model in the node's own is this. One that is older than before comes from a
// parent that has lost its newest versions: what was based on them counts as based on the model that it went on from.
void InnerNode::remember_anchor(Version version) {
  // Tasks of rounds do not outlive the parent's task.
  if (!continuous()) { anchors_.clear(); }
  // They ascend, with versions of the parent as with the node's own.
  for (auto newer = anchors_.rbegin(); newer != anchors_.rend() && newer->second > version; ++newer) {
    newer->second = version;
  }
  contents_.least = std::min(contents_.least, version.value);
  contents_.most = std::min(contents_.most, version.value);
  contents_.sum = std::min(contents_.sum, contents_.updates * version.value);
  anchors_[version_.value] = version;
  if (anchors_.size() > kMostAnchors) { anchors_.erase(anchors_.begin()); }
}

Version InnerNode::anchor_of(std::uint64_t version) const {
  const auto after = anchors_.upper_bound(version);
  return after != anchors_.begin() ? std::prev(after)->second : anchors_.begin()->second;
}

// `bases`: of an update that was counted, by this node's versions.
void InnerNode::remember_contents(const VersionSpread& bases) {
  // A parent takes no more. Updates beyond that count, and only their ages are left out.
  if (contents_.updates + bases.updates > kMostAges) { return; }
  VersionSpread anchors = VersionSpread::of(anchor_of(static_cast<std::uint64_t>(bases.mean())).value, bases.updates);
  if (bases.least == bases.most) {
    contents_.add(anchors);
    return;
  }
  anchors.least = std::min(anchors.least, anchor_of(bases.least).value);
  anchors.most = std::max(anchors.most, anchor_of(bases.most).value);
  contents_.add(anchors);
}

}  // namespace tributary
