// SPDX-License-Identifier: Apache-2.0
// A node's surroundings that do nothing but remember.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "tributary/nodes/node.hpp"

namespace tributary::testing {

// Keeps what a node asks for.
class Recorder final : public NodeContext {
 public:
  void send(NodeId to, Message message) override { sent.emplace_back(to, std::move(message)); }
  void set_timer(TimerId timer, std::chrono::nanoseconds after) override { timers[timer] = after; }
  void cancel_timer(TimerId timer) override { timers.erase(timer); }
  [[nodiscard]] std::chrono::nanoseconds time_left(TimerId timer) const override {
    const auto found = timers.find(timer);
    return found == timers.end() ? std::chrono::nanoseconds{0} : found->second;
  }
  void train(TrainRequest request) override { training = std::move(request); }
  void cancel_training() override { training.reset(); }
  void publish(const RoundReport& report, ModelValues model) override {
    published = report;
    published_model = *model;
  }
  void finished(Status status) override { outcome = std::move(status); }
  void note(NodeEvent note) override { notes.push_back(std::move(note)); }

  template <typename Kind>
  std::vector<std::pair<NodeId, Kind>> take() {
    std::vector<std::pair<NodeId, Kind>> found;
    for (const auto& [to, message] : sent) {
      if (const auto* kind = std::get_if<Kind>(&message)) { found.emplace_back(to, *kind); }
    }
    sent.clear();
    return found;
  }

  std::vector<std::pair<NodeId, Message>> sent;
  std::map<TimerId, std::chrono::nanoseconds> timers;
  std::optional<TrainRequest> training;
  std::optional<RoundReport> published;
  std::vector<float> published_model;
  std::optional<Status> outcome;
  std::vector<NodeEvent> notes;
};

}  // namespace tributary::testing
