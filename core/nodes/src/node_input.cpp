// SPDX-License-Identifier: Apache-2.0
#include "tributary/nodes/node_input.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

namespace tributary {
namespace {

constexpr std::array<std::string_view, static_cast<std::size_t>(NodeInput::kLastKind) + 1> kNames{
    "task", "stop", "update", "failed", "lost", "returned", "forgotten", "deadline", "hard-deadline", "published"};

// Takes the next word off `text`; empty at its end.
std::string_view next_word(std::string_view& text) {
  const std::size_t end = std::min(text.find(' '), text.size());
  const std::string_view word = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return word;
}

template <typename Number>
bool read(std::string_view& text, Number& number) {
  const std::string_view word = next_word(text);
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
  return !word.empty() && error == std::errc() && end == word.data() + word.size();
}

}  // namespace

std::string_view to_string(NodeInput::Kind kind) noexcept {
  return kNames.at(static_cast<std::size_t>(kind));
}

std::string to_text(const NodeInput& input) {
  std::string text = fmt::format("{} {} {} {} {} {}", to_string(input.kind), input.peer.value, input.key.incarnation,
                                 input.key.number, input.value, input.stop ? 1 : 0);
  if (input.key.kind == TaskKind::kEvaluate) { text += fmt::format(" {}", kEvaluateInput); }
  return text;
}

Result<NodeInput> input_from_text(std::string_view text) {
  std::string_view rest = text;
  NodeInput input;
  const auto name = std::ranges::find(kNames, next_word(rest));
  std::uint32_t stop = 0;
  const bool whole = name != kNames.end() && read(rest, input.peer.value) && read(rest, input.key.incarnation) &&
                     read(rest, input.key.number) && read(rest, input.value) && read(rest, stop) && stop <= 1 &&
                     (rest.empty() || rest == kEvaluateInput);
  if (!whole) { return bad_data(fmt::format("\"{}\" is nothing that a node can be told", text)); }
  input.kind = static_cast<NodeInput::Kind>(name - kNames.begin());
  input.stop = stop == 1;
  input.key.kind = rest.empty() ? TaskKind::kTrain : TaskKind::kEvaluate;
  return input;
}

}  // namespace tributary
