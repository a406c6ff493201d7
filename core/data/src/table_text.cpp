// SPDX-License-Identifier: Apache-2.0
#include "data/table_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <utility>

#include "gzip.hpp"

namespace tributary::internal {
namespace {

using std::string_view_literals::operator""sv;

constexpr std::uint64_t kMostRatio = 200;
constexpr std::uint64_t kAlwaysAllowed = std::uint64_t{64} << 20U;

// What is given as a CSV file by mistake, by its first bytes.
constexpr std::array<std::pair<std::string_view, std::string_view>, 9> kOtherFormats{{
    {"PK\x03\x04"sv, "a ZIP archive or an Excel workbook"},
    {"\xD0\xCF\x11\xE0"sv, "an old Excel workbook"},
    {"\x28\xB5\x2F\xFD"sv, "packed by zstd"},
    {"\xFD"
     "7zXZ"sv,
     "packed by xz"},
    {"BZh"sv, "packed by bzip2"},
    {"PAR1"sv, "a Parquet file"},
    {"\x89HDF"sv, "an HDF5 file"},
    {"\x93NUMPY"sv, "a NumPy file"},
    {"SQLite format 3"sv, "an SQLite database"},
}};

enum class Utf16 : std::uint8_t { kLittleEndian, kBigEndian };

// By its byte order mark or, without one, by the zero bytes beside the first two characters.
std::optional<Utf16> utf16_of(std::string_view bytes) noexcept {
  if (bytes.starts_with("\xFF\xFE")) { return Utf16::kLittleEndian; }
  if (bytes.starts_with("\xFE\xFF")) { return Utf16::kBigEndian; }
  if (bytes.size() < 4) { return std::nullopt; }
  if (bytes[0] != '\0' && bytes[1] == '\0' && bytes[2] != '\0' && bytes[3] == '\0') { return Utf16::kLittleEndian; }
  if (bytes[0] == '\0' && bytes[1] != '\0' && bytes[2] == '\0' && bytes[3] != '\0') { return Utf16::kBigEndian; }
  return std::nullopt;
}

void append_utf8(std::string& text, std::uint32_t code) {
  const auto put = [&text](std::uint32_t byte) { text += static_cast<char>(byte); };
  if (code < 0x80U) {
    put(code);
  } else if (code < 0x800U) {
    put(0xC0U | (code >> 6U));
    put(0x80U | (code & 0x3FU));
  } else if (code < 0x10000U) {
    put(0xE0U | (code >> 12U));
    put(0x80U | ((code >> 6U) & 0x3FU));
    put(0x80U | (code & 0x3FU));
  } else {
    put(0xF0U | (code >> 18U));
    put(0x80U | ((code >> 12U) & 0x3FU));
    put(0x80U | ((code >> 6U) & 0x3FU));
    put(0x80U | (code & 0x3FU));
  }
}

Result<std::string> from_utf16(std::string_view bytes, Utf16 order, const std::string& name) {
  if (bytes.size() % 2 != 0) {
    return bad_data(fmt::format("{}: is UTF-16 text of {} bytes, an odd number: it is cut off", name, bytes.size()));
  }
  const auto unit = [&](std::size_t at) {
    const auto first = static_cast<unsigned char>(bytes[at]);
    const auto second = static_cast<unsigned char>(bytes[at + 1]);
    return order == Utf16::kLittleEndian ? static_cast<std::uint32_t>(first | (second << 8U))
                                         : static_cast<std::uint32_t>((first << 8U) | second);
  };
  std::string text;
  text.reserve(bytes.size() / 2);
  for (std::size_t at = 0; at < bytes.size(); at += 2) {
    std::uint32_t code = unit(at);
    if (code >= 0xD800U && code < 0xE000U) {
      const std::uint32_t second = code < 0xDC00U && at + 2 < bytes.size() ? unit(at + 2) : 0;
      if (second < 0xDC00U || second >= 0xE000U) {
        return bad_data(fmt::format("{}: is damaged UTF-16 text: half a character at byte {}", name, at));
      }
      code = 0x10000U + ((code - 0xD800U) << 10U) + (second - 0xDC00U);
      at += 2;
    }
    append_utf8(text, code);
  }
  return text;
}

// What is not gzip.
Result<std::string> to_table_text(std::string bytes, const std::string& name) {
  for (const auto& [start, what] : kOtherFormats) {
    if (bytes.starts_with(start)) {
      return bad_data(fmt::format("{}: is {}, not a CSV file; save it as CSV text", name, what));
    }
  }
  if (const std::optional<Utf16> order = utf16_of(bytes)) {
    TRIBUTARY_ASSIGN_OR_RETURN(bytes, from_utf16(bytes, *order, name));
  }
  if (bytes.find('\n') == std::string::npos) { std::replace(bytes.begin(), bytes.end(), '\r', '\n'); }
  return bytes;
}

}  // namespace

Result<std::string> read_table_text(const ReadableFile& file, const std::string& name) {
  std::array<std::uint8_t, 2> start{};
  if (file.size() >= start.size()) {
    TRIBUTARY_RETURN_IF_ERROR(file.read(0, std::as_writable_bytes(std::span(start))));
  }
  std::string bytes;
  if (starts_as_gzip(start[0], start[1])) {
    const std::uint64_t most = std::max(kAlwaysAllowed, std::min(file.size(), UINT64_MAX / kMostRatio) * kMostRatio);
    TRIBUTARY_ASSIGN_OR_RETURN(bytes, unpack_text(file, name, most));
  } else {
    bytes.resize(file.size());
    TRIBUTARY_RETURN_IF_ERROR(file.read(0, std::as_writable_bytes(std::span(bytes))));
  }
  return to_table_text(std::move(bytes), name);
}

}  // namespace tributary::internal
