// SPDX-License-Identifier: Apache-2.0
// Small files of the formats that are read, put together byte by byte.
#pragma once

#include <zlib.h>

#include <cstdint>
#include <cstring>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace tributary::testing {

inline std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

// A safetensors file with this header, as it stands, and these bytes after it.
inline std::string safetensors_bytes(std::string_view header, std::string_view data = {}) {
  std::uint64_t length = header.size();
  std::string file(sizeof(length), '\0');
  std::memcpy(file.data(), &length, sizeof(length));
  return file.append(header).append(data);
}

inline std::string float_bytes(const std::vector<float>& values) {
  std::string bytes(values.size() * sizeof(float), '\0');
  if (!values.empty()) { std::memcpy(bytes.data(), values.data(), bytes.size()); }
  return bytes;
}

inline std::string idx_bytes(const std::vector<std::uint32_t>& shape, std::string_view values, char type = '\x08') {
  std::string file{'\0', '\0', type, static_cast<char>(shape.size())};
  for (const std::uint32_t dimension : shape) {
    for (const unsigned shift : {24U, 16U, 8U, 0U}) { file += static_cast<char>((dimension >> shift) & 0xFFU); }
  }
  return file.append(values);
}

inline std::string gzip_bytes(std::string_view content) {
  z_stream state{};
  if (deflateInit2(&state, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
    throw std::runtime_error("deflateInit2");
  }
  std::vector<std::uint8_t> input(content.begin(), content.end());
  std::string packed(deflateBound(&state, static_cast<uLong>(input.size())) + 64, '\0');
  std::vector<std::uint8_t> output(packed.size());
  state.next_in = input.data();
  state.avail_in = static_cast<uInt>(input.size());
  state.next_out = output.data();
  state.avail_out = static_cast<uInt>(output.size());
  if (deflate(&state, Z_FINISH) != Z_STREAM_END) { throw std::runtime_error("deflate"); }
  packed.assign(output.begin(), output.begin() + static_cast<std::ptrdiff_t>(state.total_out));
  deflateEnd(&state);
  return packed;
}

}  // namespace tributary::testing
