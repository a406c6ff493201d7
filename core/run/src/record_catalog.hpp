// SPDX-License-Identifier: Apache-2.0
// Every event of records.jsonl and its fields: what docs/run-directory.md prints and what readers may expect.
//
// Fields may be absent where a run has nothing to say; new ones may be added, none changes its meaning.
// Threads: constants.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace tributary {

struct FieldInfo {
  std::string_view name;
  std::string_view type;  // integer | number | text | list
  std::string_view unit;  // empty: none
  std::string_view meaning;
};

struct EventInfo {
  std::string_view name;
  std::string_view when;
  std::span<const FieldInfo> fields;
};

// In the order in which a run writes them.
[[nodiscard]] std::span<const EventInfo> record_events() noexcept;
// Null if there is none of that name.
[[nodiscard]] const EventInfo* find_event(std::string_view name) noexcept;

// The section "Events" of docs/run-directory.md.
[[nodiscard]] std::string record_reference();

}  // namespace tributary
