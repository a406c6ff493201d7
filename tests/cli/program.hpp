// SPDX-License-Identifier: Apache-2.0
// Runs the program within the test's process.
#pragma once

#include <initializer_list>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "commands/application.hpp"

namespace tributary::cli {

struct Outcome {
  int exit_code = 0;
  std::string out;
  std::string err;

  [[nodiscard]] nlohmann::json json() const { return nlohmann::json::parse(out); }
};

inline Outcome run(const std::vector<std::string>& words) {
  std::ostringstream out;
  std::ostringstream err;
  const Streams streams{out, err, [](int, ColorChoice choice) {
                          return terminal_traits(choice, false, 80, [](const char*) -> const char* { return nullptr; });
                        }};
  const int code = run_program(words, streams);
  return {code, out.str(), err.str()};
}

inline Outcome run(std::initializer_list<std::string> arguments) {
  return run(std::vector<std::string>(arguments));
}

inline bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace tributary::cli
