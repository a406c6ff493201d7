// SPDX-License-Identifier: Apache-2.0
// What can be wrong with a topology: one enumerator per kind of mistake, with the place where it was made.
//
// Use:     readers and builders return a Status of code kConfiguration whose message holds every mistake, one per line.
//          Who wants them one by one passes a TopologyIssues.
// Threads: values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tributary {

enum class TopologyError : std::uint8_t {
  kSyntax,              // the text is not YAML, JSON, an edge list or a matrix
  kUnknownKey,          // a key that no node has
  kDuplicateKey,        // one key twice in one node
  kBadValue,            // a value of another type, outside its range, or in conflict with another one
  kEmptyName,           // a name without characters
  kBadName,             // a name with other characters than [A-Za-z0-9._-], or more than 64
  kDuplicateName,       // two nodes with one name, counting the members of groups and default names
  kUnknownParent,       // a parent that is no node
  kSeveralParents,      // a node under two parents
  kDuplicateEdge,       // the same parent and child twice
  kNoRoot,              // no nodes at all, or each has a parent
  kSeveralRoots,        // more than one node without a parent
  kCycle,               // a node that is its own ancestor
  kUnreachable,         // a node that hangs below a cycle
  kLeafNotClient,       // a root or an aggregator without children
  kClientWithChildren,  // a client, or a group of clients, with children
  kTooLarge,            // more nodes, tiers, values or bytes than the limits below
};

// "syntax", "unknown_key", ...: stable words for JSON output.
[[nodiscard]] std::string_view to_string(TopologyError error) noexcept;

struct TopologyLimits {
  static constexpr std::uint64_t kNodes = std::uint64_t{1} << 24U;       // members of groups count one each
  static constexpr std::uint32_t kTiers = 64;                            // below the root
  static constexpr std::uint64_t kFileBytes = std::uint64_t{64} << 20U;  // of any file read
  static constexpr std::uint64_t kValues = std::uint64_t{8} << 20U;  // scalars, lists and maps of one YAML or JSON file
  static constexpr std::uint32_t kNameLength = 64;                   // `-<n>` of a group member included
  static constexpr std::uint32_t kExtras = 64;                       // free-form attributes of one node
  static constexpr std::uint32_t kRank = (std::uint32_t{1} << 20U) - 1;  // highest of an MPI job
  static constexpr std::uint32_t kTextBytes = 1024;                      // of a site, an address, an extra key or value
};

// One mistake. Lines and columns count from 1; 0 means that there is no such place.
struct TopologyIssue {
  TopologyError error = TopologyError::kSyntax;
  std::string file;  // as the reader was told; empty for topologies that are built in code
  std::uint32_t line = 0;
  std::uint32_t column = 0;
  std::string message;

  // "file:line:column: message", leaving out what is not known.
  [[nodiscard]] std::string to_string() const;
  friend bool operator==(const TopologyIssue&, const TopologyIssue&) = default;
};

// In the order of the file; the first 100 mistakes, and how many there were beyond.
struct TopologyIssues {
  std::vector<TopologyIssue> issues;
  std::uint64_t not_shown = 0;
};

}  // namespace tributary
