// SPDX-License-Identifier: Apache-2.0
// What may be printed on an output: colours, a line that is drawn anew, characters beyond ASCII.
//
// Colour:      `--color=always|never` wins; otherwise only on a terminal, never when NO_COLOR is set and not empty or
//              TERM is "dumb".
// Interactive: a terminal that is not dumb, whatever the colour choice.
// UTF-8:       unless LC_ALL, LC_CTYPE or LANG (the first that is set) names another character set.
// Threads:     values; terminal_traits() reads the environment, which nothing may change meanwhile.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace tributary {

enum class ColorChoice : std::uint8_t { kAuto, kAlways, kNever };

// "auto", "always", "never"; empty for anything else.
[[nodiscard]] std::optional<ColorChoice> parse_color_choice(std::string_view text) noexcept;

struct TerminalTraits {
  bool color = false;
  bool interactive = false;
  bool utf8 = true;
  unsigned columns = 80;
};

// Of a file descriptor of this process, usually 1 or 2.
[[nodiscard]] TerminalTraits terminal_traits(int descriptor, ColorChoice choice);

// The decision alone. `environment` returns null for a variable that is not set.
[[nodiscard]] TerminalTraits terminal_traits(ColorChoice choice, bool is_terminal, unsigned columns,
                                             const std::function<const char*(const char*)>& environment);

// Text with or without escape sequences.
class Paint {
 public:
  explicit Paint(bool on) noexcept : on_(on) {}
  [[nodiscard]] std::string bold(std::string_view text) const { return wrap("1", text); }
  [[nodiscard]] std::string dim(std::string_view text) const { return wrap("2", text); }
  [[nodiscard]] std::string red(std::string_view text) const { return wrap("31", text); }
  [[nodiscard]] std::string green(std::string_view text) const { return wrap("32", text); }
  [[nodiscard]] std::string yellow(std::string_view text) const { return wrap("33", text); }
  [[nodiscard]] std::string blue(std::string_view text) const { return wrap("34", text); }
  [[nodiscard]] std::string cyan(std::string_view text) const { return wrap("36", text); }
  [[nodiscard]] std::string bold_green(std::string_view text) const { return wrap("1;32", text); }

 private:
  [[nodiscard]] std::string wrap(std::string_view code, std::string_view text) const;

  bool on_;
};

}  // namespace tributary
