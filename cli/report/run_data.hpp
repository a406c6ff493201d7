// SPDX-License-Identifier: Apache-2.0
// A run directory as reports read it: tolerant of everything that a run may have left out or not yet written.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tributary/base/file_system.hpp"
#include "tributary/base/status.hpp"
#include "tributary/run/record.hpp"

namespace tributary::cli {

struct RunData {
  static constexpr std::size_t kMaxFaults = 1000;

  std::filesystem::path directory;
  std::string name;  // of the federation, or of the directory
  Record run{"run"};
  Record end{"end"};           // empty if the run has not ended
  std::uint64_t starts = 0;    // 1, and one more for each time it was resumed
  std::vector<Record> rounds;  // ascending; each round once
  std::vector<Record> tiers;
  std::vector<Record> staleness;
  std::vector<Record> labels;  // by client
  std::optional<Record> labels_summary;
  std::vector<Record> edges;
  std::vector<Record> where;
  std::vector<std::string> warnings;
  std::vector<Record> faults;                        // the first kMaxFaults
  std::map<std::string, std::uint64_t> fault_kinds;  // all
  std::map<std::uint64_t, std::uint64_t> faults_by_round;
  bool accuracy_is_share = true;                // every accuracy lies in [0, 1]; some programs report 85 instead
  std::string configuration;                    // text of configuration.yaml; empty if there is none
  std::map<std::string, std::string> settings;  // the same, as dotted keys
  std::string topology;                         // text of topology.yaml; empty if there is none
  std::string owner;                            // of a run that has not ended: the process that is at it; empty: none

  [[nodiscard]] bool ended() const noexcept { return !end.fields().empty(); }
  // "finished", ..., "running" or "unfinished".
  [[nodiscard]] std::string outcome() const;
  // Summed over the rounds.
  [[nodiscard]] double total(std::string_view field) const;
  [[nodiscard]] double bytes_moved() const { return total("bytes_down") + total("bytes_up"); }
  // Of the whole run; without an end record, of its rounds.
  [[nodiscard]] double seconds() const;
  // A share in per cent, any other accuracy as it is. All of one run alike.
  [[nodiscard]] std::string accuracy_text(double accuracy) const;
  // The last measured value; NaN if there is none.
  [[nodiscard]] double last(std::string_view field) const;
  // The round of the highest accuracy; null if none was measured.
  [[nodiscard]] const Record* best_round() const;
};

// `path` is a run directory, or its records.jsonl. kNotFound: neither.
Result<RunData> read_run(FileSystem& files, const std::filesystem::path& path);

// A count or a seed, exact to all 64 bits; 0 if absent, negative or of another kind.
[[nodiscard]] std::uint64_t whole_field(const Record& record, std::string_view field);

// Dotted keys of a YAML text; lists of scalars become one value, "[4, 32]". Empty if it is not YAML.
[[nodiscard]] std::map<std::string, std::string> flatten_yaml(const std::string& text);

}  // namespace tributary::cli
