// SPDX-License-Identifier: Apache-2.0
#include "tributary/base/printable.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>

#include "base/utf8.hpp"

namespace tributary {
namespace {

using internal::CodePoint;
using internal::first_code_point;

struct Range {
  std::uint32_t first;
  std::uint32_t last;
};

// Characters without a look of their own: Unicode's categories Cc, Cf (but for the joiners U+200C and U+200D, without
// which Persian, Hindi and many others cannot be spelled), Zl, Zp, and the noncharacters of the first plane.
constexpr std::array<Range, 16> kHidden{{{0x00, 0x1F},
                                         {0x7F, 0x9F},
                                         {0xAD, 0xAD},
                                         {0x600, 0x605},
                                         {0x61C, 0x61C},
                                         {0x180E, 0x180E},
                                         {0x200B, 0x200B},
                                         {0x200E, 0x200F},
                                         {0x2028, 0x202E},
                                         {0x2060, 0x206F},
                                         {0xFDD0, 0xFDEF},
                                         {0xFEFF, 0xFEFF},
                                         {0xFFF9, 0xFFFB},
                                         {0x1BCA0, 0x1BCA3},
                                         {0x1D173, 0x1D17A},
                                         {0xE0000, 0xE007F}}};

bool is_hidden(std::uint32_t value) noexcept {
  const bool noncharacter = (value & 0xFFFEU) == 0xFFFEU;
  const auto* const range =
      std::find_if(kHidden.begin(), kHidden.end(), [value](const Range& r) { return value <= r.last; });
  return noncharacter || (range != kHidden.end() && value >= range->first);
}

void append_escape(std::string& out, std::uint32_t value) {
  auto to = std::back_inserter(out);
  if (value == '\n') {
    out += "\\n";
  } else if (value == '\t') {
    out += "\\t";
  } else if (value == '\r') {
    out += "\\r";
  } else if (value < 0x80) {
    fmt::format_to(to, "\\x{:02x}", value);
  } else if (value <= 0xFFFF) {
    fmt::format_to(to, "\\u{:04x}", value);
  } else {
    fmt::format_to(to, "\\U{:08x}", value);
  }
}

std::string shown(std::string_view text, std::size_t longest, std::string_view kept) {
  std::string out;
  while (!text.empty()) {
    if (out.size() >= longest) { return out + "..."; }
    const CodePoint found = first_code_point(text);
    if (found.bytes == 0) {
      fmt::format_to(std::back_inserter(out), "\\x{:02x}", static_cast<unsigned char>(text.front()));
    } else if (is_hidden(found.value) && kept.find(text.front()) == std::string_view::npos) {
      append_escape(out, found.value);
    } else {
      out += text.substr(0, found.bytes);
    }
    text.remove_prefix(std::max<std::size_t>(1, found.bytes));
  }
  return out;
}

}  // namespace

bool is_printable_text(std::string_view text) noexcept {
  while (!text.empty()) {
    const CodePoint found = first_code_point(text);
    if (found.bytes == 0 || is_hidden(found.value)) { return false; }
    text.remove_prefix(found.bytes);
  }
  return true;
}

std::string printable_text(std::string_view text, std::size_t longest) {
  return shown(text, longest, {});
}

std::string printable_lines(std::string_view text) {
  return shown(text, std::string_view::npos, "\n\t");
}

}  // namespace tributary
