// SPDX-License-Identifier: Apache-2.0
// Unpacks gzip files, of one member or several (as `cat a.gz b.gz` and bgzip make them).
//
// Memory:  no more than the caller gives, or a multiple of what the file really holds: what a header announces is never
//          enough to take memory for.
// Threads: one object per thread.
// Errors:  kBadData, with the name of the file.
#pragma once

#include <zlib.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "tributary/base/file_system.hpp"
#include "tributary/base/status.hpp"

namespace tributary::internal {

// Deflate cannot pack tighter: 258 bytes in two bits, and a little for the frame.
inline constexpr std::uint64_t kMostGzipRatio = 1032;

[[nodiscard]] constexpr bool starts_as_gzip(std::uint8_t first, std::uint8_t second) noexcept {
  return first == 0x1F && second == 0x8B;
}

// The unpacked bytes one after the other, in steps of any size.
class GzipStream {
 public:
  GzipStream(const ReadableFile& file, std::string name);
  ~GzipStream();
  GzipStream(const GzipStream&) = delete;
  GzipStream& operator=(const GzipStream&) = delete;

  // Fills `into` as far as the content goes; returns how many bytes it fell short.
  Result<std::size_t> unpack(std::span<std::uint8_t> into);
  // Packed bytes behind the last member, once the content has ended.
  [[nodiscard]] std::uint64_t packed_bytes_left() const noexcept;

 private:
  Status refill();
  // At the end of a member: true if another one follows.
  Result<bool> next_member();

  const ReadableFile& file_;
  std::string name_;
  std::vector<std::uint8_t> input_;
  std::uint64_t offset_ = 0;  // of the next packed byte to read
  z_stream state_{};
  bool ended_ = false;
};

// The whole content, if it has exactly `into.size()` bytes; several times as fast as a GzipStream. False: it has not,
// or the file is damaged, and a GzipStream tells how.
Result<bool> unpack_whole(const ReadableFile& file, std::span<std::uint8_t> into);

// The whole content, of unknown size. kResourceExhausted: it is more than `most_bytes`.
Result<std::string> unpack_text(const ReadableFile& file, const std::string& name, std::uint64_t most_bytes);

}  // namespace tributary::internal
