// SPDX-License-Identifier: Apache-2.0
#include "tributary/core/idx.hpp"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <limits>
#include <memory>

#include "reading.hpp"

namespace tributary {
namespace {

constexpr std::size_t kMaxDimensions = 8;
// Deflate cannot pack tighter: 258 bytes in two bits, and a little for the frame.
constexpr std::uint64_t kMaxGzipRatio = 1032;

// The bytes of a file one after the other, whichever way they are stored.
class ByteStream {
 public:
  virtual ~ByteStream() = default;
  // Exactly this many bytes. kBadData if fewer are left.
  virtual Status fill(std::span<std::uint8_t> into) = 0;
  // kBadData if anything is left.
  virtual Status expect_end() = 0;
  // The most bytes that can still come.
  [[nodiscard]] virtual std::uint64_t most_left() const noexcept = 0;
};

class PlainStream final : public ByteStream {
 public:
  PlainStream(const ReadableFile& file, std::string name) : file_(file), name_(std::move(name)) {}

  Status fill(std::span<std::uint8_t> into) override {
    if (into.size() > most_left()) { return bad_data(fmt::format("{}: ends within its header", name_)); }
    TRIBUTARY_RETURN_IF_ERROR(file_.read(offset_, std::as_writable_bytes(into)));
    offset_ += into.size();
    return ok_status();
  }

  Status expect_end() override {
    return most_left() == 0
               ? ok_status()
               : bad_data(fmt::format("{}: has {} bytes more than its header announces", name_, most_left()));
  }

  [[nodiscard]] std::uint64_t most_left() const noexcept override { return file_.size() - offset_; }

 private:
  const ReadableFile& file_;
  std::string name_;
  std::uint64_t offset_ = 0;
};

class GzipStream final : public ByteStream {
 public:
  GzipStream(const ReadableFile& file, std::string name) : file_(file), name_(std::move(name)), input_(kPiece) {
    // 15 bits of window, as gzip always has; 16: expect gzip's frame and check its sums.
    if (inflateInit2(&state_, 15 + 16) != Z_OK) { throw std::bad_alloc(); }
  }
  ~GzipStream() override { inflateEnd(&state_); }
  GzipStream(const GzipStream&) = delete;
  GzipStream& operator=(const GzipStream&) = delete;

  Status fill(std::span<std::uint8_t> into) override {
    TRIBUTARY_ASSIGN_OR_RETURN(const std::size_t missing, inflate_into(into));
    return missing == 0 ? ok_status()
                        : bad_data(fmt::format("{}: its gzip content ends {} bytes before what its header announces",
                                               name_, missing));
  }

  Status expect_end() override {
    std::array<std::uint8_t, 1> one_more{};
    TRIBUTARY_ASSIGN_OR_RETURN(const std::size_t missing, inflate_into(one_more));
    if (missing == 0) { return bad_data(fmt::format("{}: unpacks to more bytes than its header announces", name_)); }
    const std::uint64_t rest = state_.avail_in + (file_.size() - offset_);
    return rest == 0 ? ok_status() : bad_data(fmt::format("{}: has {} bytes after its gzip content", name_, rest));
  }

  [[nodiscard]] std::uint64_t most_left() const noexcept override {
    const std::uint64_t packed = file_.size();
    return packed > std::numeric_limits<std::uint64_t>::max() / kMaxGzipRatio
               ? std::numeric_limits<std::uint64_t>::max()
               : packed * kMaxGzipRatio;
  }

 private:
  static constexpr std::size_t kPiece = std::size_t{1} << 18U;

  // Returns how many bytes the content fell short.
  Result<std::size_t> inflate_into(std::span<std::uint8_t> into) {
    while (!into.empty() && !ended_) {
      if (state_.avail_in == 0) {
        const std::size_t count = std::min<std::uint64_t>(input_.size(), file_.size() - offset_);
        if (count == 0) { return bad_data(fmt::format("{}: its gzip content is cut off", name_)); }
        TRIBUTARY_RETURN_IF_ERROR(file_.read(offset_, std::as_writable_bytes(std::span(input_).first(count))));
        offset_ += count;
        state_.next_in = input_.data();
        state_.avail_in = static_cast<uInt>(count);
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
      ended_ = outcome == Z_STREAM_END;
      into = into.subspan(room - state_.avail_out);
    }
    return into.size();
  }

  const ReadableFile& file_;
  std::string name_;
  std::vector<std::uint8_t> input_;
  std::uint64_t offset_ = 0;  // of the next packed byte to read
  z_stream state_{};
  bool ended_ = false;
};

Result<IdxArray> read_from(const ReadableFile& file, const std::string& name) {
  return internal::with_memory_guard(name, [&]() -> Result<IdxArray> {
    std::array<std::uint8_t, 4> word{};
    if (file.size() < word.size()) {
      return bad_data(fmt::format("{}: {} bytes are too few for an IDX file", name, file.size()));
    }
    TRIBUTARY_RETURN_IF_ERROR(file.read(0, std::as_writable_bytes(std::span(word))));
    std::unique_ptr<ByteStream> stream;
    if (word[0] == 0x1F && word[1] == 0x8B) {
      stream = std::make_unique<GzipStream>(file, name);
    } else {
      stream = std::make_unique<PlainStream>(file, name);
    }

    TRIBUTARY_RETURN_IF_ERROR(stream->fill(word));
    const std::size_t dimensions = word[3];
    if (word[0] != 0 || word[1] != 0) {
      return bad_data(
          fmt::format("{}: not an IDX file: starts with {:02x} {:02x}, expected 00 00", name, word[0], word[1]));
    }
    if (word[2] != 0x08) {
      return unsupported(
          fmt::format("{}: IDX element type 0x{:02x}, only 0x08 (unsigned byte) is read", name, word[2]));
    }
    if (dimensions < 1 || dimensions > kMaxDimensions) {
      return bad_data(fmt::format("{}: {} dimensions, expected 1 to {}", name, dimensions, kMaxDimensions));
    }
    IdxArray array;
    for (std::size_t i = 0; i < dimensions; ++i) {
      TRIBUTARY_RETURN_IF_ERROR(stream->fill(word));
      array.shape.push_back((std::int64_t{word[0]} << 24U) | (word[1] << 16U) | (word[2] << 8U) | word[3]);
    }
    const auto bytes = internal::checked_elements(array.shape);
    if (!bytes || *bytes > stream->most_left()) {
      return bad_data(fmt::format("{}: announces {} values, the file can hold at most {}", name,
                                  internal::shape_text(array.shape), stream->most_left()));
    }
    array.values.resize(*bytes);
    TRIBUTARY_RETURN_IF_ERROR(stream->fill(array.values));
    TRIBUTARY_RETURN_IF_ERROR(stream->expect_end());
    return array;
  });
}

}  // namespace

Result<IdxArray> read_idx(FileSystem& files, const std::filesystem::path& path) {
  TRIBUTARY_ASSIGN_OR_RETURN(const std::unique_ptr<ReadableFile> file, files.open(path));
  return read_from(*file, path.string());
}

Result<IdxArray> parse_idx(std::span<const std::byte> bytes, const std::string& name) {
  return read_from(*readable_bytes(bytes, name), name);
}

Result<Dataset> read_idx_dataset(FileSystem& files, const std::filesystem::path& images,
                                 const std::filesystem::path& labels, std::string name) {
  TRIBUTARY_ASSIGN_OR_RETURN(const IdxArray classes, read_idx(files, labels));
  if (classes.shape.size() != 1) {
    return bad_data(fmt::format("{}: labels have {} dimensions, expected 1", labels.string(), classes.shape.size()));
  }
  TRIBUTARY_ASSIGN_OR_RETURN(IdxArray pixels, read_idx(files, images));
  if (pixels.shape.size() < 2) {
    return bad_data(fmt::format("{}: images have 1 dimension, expected at least 2", images.string()));
  }
  if (pixels.shape[0] != classes.shape[0]) {
    return bad_data(fmt::format("{}: {} images, {} has {} labels", images.string(), pixels.shape[0], labels.string(),
                                classes.shape[0]));
  }
  Dataset data;
  data.name = std::move(name);
  data.sample_shape.assign(pixels.shape.begin() + 1, pixels.shape.end());
  if (data.sample_shape.size() == 2) { data.sample_shape.insert(data.sample_shape.begin(), 1); }
  data.features = std::move(pixels.values);
  data.scale = 1.0F / 255.0F;
  data.labels.assign(classes.values.begin(), classes.values.end());
  data.classes = data.labels.empty() ? 0 : 1 + *std::max_element(data.labels.begin(), data.labels.end());
  TRIBUTARY_RETURN_IF_ERROR(data.check());
  return data;
}

}  // namespace tributary
