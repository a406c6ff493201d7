// SPDX-License-Identifier: Apache-2.0
#include "gzip.hpp"

#include <fmt/format.h>
#include <libdeflate.h>

#include <algorithm>
#include <memory>
#include <new>

namespace tributary::internal {
namespace {

constexpr std::size_t kPiece = std::size_t{1} << 18U;

struct FreeDecompressor {
  void operator()(libdeflate_decompressor* decompressor) const { libdeflate_free_decompressor(decompressor); }
};

}  // namespace

GzipStream::GzipStream(const ReadableFile& file, std::string name)
    : file_(file),
      name_(std::move(name)),
      input_(static_cast<std::size_t>(std::min<std::uint64_t>(kPiece, file.size()))) {
  // 15 bits of window, as gzip always has; 16: expect gzip's frame and check its sums.
  if (inflateInit2(&state_, 15 + 16) != Z_OK) { throw std::bad_alloc(); }
}

GzipStream::~GzipStream() {
  inflateEnd(&state_);
}

std::uint64_t GzipStream::packed_bytes_left() const noexcept {
  return state_.avail_in + (file_.size() - offset_);
}

// Puts what is left of the input to its front, and more behind it.
Status GzipStream::refill() {
  const std::size_t kept = state_.avail_in;
  std::copy_n(state_.next_in, kept, input_.data());
  const std::size_t count = std::min<std::uint64_t>(input_.size() - kept, file_.size() - offset_);
  TRIBUTARY_RETURN_IF_ERROR(file_.read(offset_, std::as_writable_bytes(std::span(input_).subspan(kept, count))));
  offset_ += count;
  state_.next_in = input_.data();
  state_.avail_in = static_cast<uInt>(kept + count);
  return ok_status();
}

Result<bool> GzipStream::next_member() {
  if (state_.avail_in < 2 && offset_ < file_.size()) { TRIBUTARY_RETURN_IF_ERROR(refill()); }
  if (state_.avail_in < 2 || !starts_as_gzip(state_.next_in[0], state_.next_in[1])) { return false; }
  if (inflateReset(&state_) != Z_OK) { throw std::bad_alloc(); }
  return true;
}

Result<std::size_t> GzipStream::unpack(std::span<std::uint8_t> into) {
  while (!into.empty() && !ended_) {
    if (state_.avail_in == 0) {
      TRIBUTARY_RETURN_IF_ERROR(refill());
      if (state_.avail_in == 0) { return bad_data(fmt::format("{}: its gzip content is cut off", name_)); }
    }
    const auto room = static_cast<uInt>(std::min<std::size_t>(into.size(), std::size_t{1} << 30U));
    state_.next_out = into.data();
    state_.avail_out = room;
    const int outcome = inflate(&state_, Z_NO_FLUSH);
    if (outcome == Z_MEM_ERROR) { throw std::bad_alloc(); }
    if (outcome != Z_OK && outcome != Z_STREAM_END && outcome != Z_BUF_ERROR) {
      const char* reason = state_.msg != nullptr ? state_.msg : "it needs a dictionary";
      return bad_data(fmt::format("{}: damaged gzip content: {}", name_, reason));
    }
    into = into.subspan(room - state_.avail_out);
    if (outcome == Z_STREAM_END) {
      TRIBUTARY_ASSIGN_OR_RETURN(const bool more, next_member());
      ended_ = !more;
    }
  }
  return into.size();
}

Result<bool> unpack_whole(const ReadableFile& file, std::span<std::uint8_t> into) {
  const auto size = static_cast<std::size_t>(file.size());
  // Not initialised: it is overwritten at once.
  const std::unique_ptr<std::uint8_t[]> packed(new std::uint8_t[size]);  // NOLINT(modernize-avoid-c-arrays)
  std::span<const std::uint8_t> rest(packed.get(), size);
  TRIBUTARY_RETURN_IF_ERROR(file.read(0, std::as_writable_bytes(std::span(packed.get(), size))));
  const std::unique_ptr<libdeflate_decompressor, FreeDecompressor> decompressor(libdeflate_alloc_decompressor());
  if (!decompressor) { throw std::bad_alloc(); }
  while (!rest.empty()) {
    std::size_t read = 0;
    std::size_t written = 0;
    if (libdeflate_gzip_decompress_ex(decompressor.get(), rest.data(), rest.size(), into.data(), into.size(), &read,
                                      &written) != LIBDEFLATE_SUCCESS) {
      return false;
    }
    rest = rest.subspan(read);
    into = into.subspan(written);
  }
  return into.empty();
}

Result<std::string> unpack_text(const ReadableFile& file, const std::string& name, std::uint64_t most_bytes) {
  GzipStream stream(file, name);
  std::string text;
  std::vector<std::uint8_t> piece(kPiece);
  for (;;) {
    TRIBUTARY_ASSIGN_OR_RETURN(const std::size_t missing, stream.unpack(piece));
    const std::size_t count = piece.size() - missing;
    if (text.size() + count > most_bytes) {
      return resource_exhausted(
          fmt::format("{}: unpacks to more than {} bytes, which is more than its {} packed bytes "
                      "should hold; if that is right, unpack it with gunzip first",
                      name, most_bytes, file.size()));
    }
    text.append(piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(count));
    if (missing > 0) { break; }
  }
  if (stream.packed_bytes_left() != 0) {
    return bad_data(fmt::format("{}: has {} bytes after its gzip content", name, stream.packed_bytes_left()));
  }
  return text;
}

}  // namespace tributary::internal
