// SPDX-License-Identifier: Apache-2.0
// Text that somebody else wrote, made safe to show: names and values of files, of other programs, of the network.
//
// Letters of every script stay as they are. What a terminal or a browser would obey instead of showing, or show as
// nothing at all, becomes an escape: control characters (\x1b), characters that turn the direction of writing or have
// no width (\u202e), and bytes that are not UTF-8 (\xff). A backslash stays one backslash, so that applying these
// functions twice changes nothing.
//
// Whatever reaches a terminal or a page passes through here, once, on its way out.
// Threads: functions of their arguments only.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace tributary {

// Whether printable_text() leaves the text as it is.
[[nodiscard]] bool is_printable_text(std::string_view text) noexcept;

// One line. Ends of lines become \n. Text that needs more than `longest` bytes is cut between two characters, and "..."
// says so.
[[nodiscard]] std::string printable_text(std::string_view text, std::size_t longest = std::string_view::npos);

// Several lines: ends of lines and tabs stay.
[[nodiscard]] std::string printable_lines(std::string_view text);

}  // namespace tributary
