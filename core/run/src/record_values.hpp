// SPDX-License-Identifier: Apache-2.0
// What the records of a federation are made of: used where they are made, and where what was measured joins them later.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "tributary/nodes/trainer.hpp"
#include "tributary/run/record.hpp"

namespace tributary::internal {

[[nodiscard]] inline double seconds(std::chrono::nanoseconds time) {
  return std::chrono::duration<double>(time).count();
}

inline void set_metric(Record& record, std::string_view key, const Metrics& metrics, const std::string& name) {
  if (const auto found = metrics.find(name); found != metrics.end()) { record.set(key, found->second); }
}

// What was measured on held-out data: accuracy, loss, and whatever else the trainer reports, by its own name.
inline void set_metrics(Record& record, const Metrics& metrics) {
  set_metric(record, "accuracy", metrics, "accuracy");
  set_metric(record, "loss", metrics, "loss");
  for (const auto& [name, value] : metrics) {
    if (name == "accuracy" || name == "loss") { continue; }
    // A field of the round itself, such as weight.
    record.set(record.find(name) == nullptr ? name : name + "_metric", value);
  }
}

}  // namespace tributary::internal
