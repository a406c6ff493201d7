// SPDX-License-Identifier: Apache-2.0
#include "tributary/base/terminal.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>

namespace tributary {
namespace {

constexpr unsigned kDefaultColumns = 80;

bool names_utf8(std::string_view locale) {
  std::string lower(locale);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lower.find("utf-8") != std::string::npos || lower.find("utf8") != std::string::npos;
}

}  // namespace

std::optional<ColorChoice> parse_color_choice(std::string_view text) noexcept {
  if (text == "auto") { return ColorChoice::kAuto; }
  if (text == "always") { return ColorChoice::kAlways; }
  if (text == "never") { return ColorChoice::kNever; }
  return std::nullopt;
}

TerminalTraits terminal_traits(ColorChoice choice, bool is_terminal, unsigned columns,
                               const std::function<const char*(const char*)>& environment) {
  const auto variable = [&environment](const char* name) {
    const char* value = environment(name);
    return value == nullptr ? std::string_view{} : std::string_view{value};
  };
  TerminalTraits traits;
  traits.interactive = is_terminal && variable("TERM") != "dumb";
  traits.color = choice == ColorChoice::kAlways ||
                 (choice == ColorChoice::kAuto && traits.interactive && variable("NO_COLOR").empty());
  traits.columns = columns == 0 ? kDefaultColumns : columns;
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    if (const std::string_view locale = variable(name); !locale.empty()) {
      traits.utf8 = names_utf8(locale);
      break;
    }
  }
  return traits;
}

TerminalTraits terminal_traits(int descriptor, ColorChoice choice) {
  winsize size{};
  const bool is_terminal = ::isatty(descriptor) == 1;
  const bool known = is_terminal && ::ioctl(descriptor, TIOCGWINSZ, &size) == 0;
  return terminal_traits(choice, is_terminal, known ? size.ws_col : kDefaultColumns,
                         [](const char* name) -> const char* { return std::getenv(name); });
}

std::string Paint::wrap(std::string_view code, std::string_view text) const {
  if (!on_) { return std::string(text); }
  std::string out = "\x1b[";
  out += code;
  out += 'm';
  out += text;
  out += "\x1b[0m";
  return out;
}

}  // namespace tributary
