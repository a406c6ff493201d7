// SPDX-License-Identifier: Apache-2.0
#include "idx.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <memory>

#include "base/reading.hpp"
#include "gzip.hpp"

namespace tributary {
namespace {

constexpr std::size_t kMaxDimensions = 8;

// Images pack to a half or a tenth. A file that announces more than this many times its size may be lying: its memory
// is taken step by step, as content really comes.
constexpr std::uint64_t kTrustedRatio = 32;

using internal::GzipStream;

std::uint64_t most_values(const ReadableFile& file) {
  return file.size() > std::numeric_limits<std::uint64_t>::max() / internal::kMostGzipRatio
             ? std::numeric_limits<std::uint64_t>::max()
             : file.size() * internal::kMostGzipRatio;
}

struct Header {
  std::vector<std::int64_t> shape;
  std::uint64_t bytes = 0;   // of the header itself
  std::uint64_t values = 0;  // that follow it
};

// `fill` takes a span to fill with the next bytes. `most` is how many values the file can hold.
template <typename Fill, typename Most>
Result<Header> read_header(const std::string& name, const Fill& fill, const Most& most) {
  std::array<std::uint8_t, 4> word{};
  TRIBUTARY_RETURN_IF_ERROR(fill(word));
  const std::size_t dimensions = word[3];
  if (word[0] != 0 || word[1] != 0) {
    return bad_data(
        fmt::format("{}: not an IDX file: starts with {:02x} {:02x}, expected 00 00", name, word[0], word[1]));
  }
  if (word[2] != 0x08) {
    return unsupported(fmt::format("{}: IDX element type 0x{:02x}, only 0x08 (unsigned byte) is read", name, word[2]));
  }
  if (dimensions < 1 || dimensions > kMaxDimensions) {
    return bad_data(fmt::format("{}: {} dimensions, expected 1 to {}", name, dimensions, kMaxDimensions));
  }
  Header header;
  for (std::size_t i = 0; i < dimensions; ++i) {
    TRIBUTARY_RETURN_IF_ERROR(fill(word));
    header.shape.push_back((std::int64_t{word[0]} << 24U) | (word[1] << 16U) | (word[2] << 8U) | word[3]);
  }
  header.bytes = word.size() * (1 + dimensions);
  const auto values = internal::checked_elements(header.shape);
  const std::uint64_t largest = most(header.bytes);
  if (!values || *values > largest) {
    return bad_data(fmt::format("{}: announces {} values, the file can hold at most {}", name,
                                internal::shape_text(header.shape), largest));
  }
  header.values = *values;
  return header;
}

Result<IdxArray> read_plain(const ReadableFile& file, const std::string& name) {
  std::uint64_t offset = 0;
  const auto fill = [&](std::span<std::uint8_t> into) -> Status {
    if (into.size() > file.size() - offset) { return bad_data(fmt::format("{}: ends within its header", name)); }
    TRIBUTARY_RETURN_IF_ERROR(file.read(offset, std::as_writable_bytes(into)));
    offset += into.size();
    return ok_status();
  };
  TRIBUTARY_ASSIGN_OR_RETURN(Header header,
                             read_header(name, fill, [&](std::uint64_t bytes) { return file.size() - bytes; }));
  if (const std::uint64_t extra = file.size() - offset - header.values; extra > 0) {
    return bad_data(fmt::format("{}: has {} bytes more than its header announces", name, extra));
  }
  IdxArray array{std::move(header.shape), std::vector<std::uint8_t>(header.values)};
  TRIBUTARY_RETURN_IF_ERROR(file.read(offset, std::as_writable_bytes(std::span(array.values))));
  return array;
}

Status fill_from(GzipStream& stream, std::span<std::uint8_t> into, std::uint64_t missing_behind,
                 const std::string& name) {
  TRIBUTARY_ASSIGN_OR_RETURN(const std::size_t missing, stream.unpack(into));
  if (missing == 0) { return ok_status(); }
  return bad_data(fmt::format("{}: its gzip content ends {} bytes before what its header announces", name,
                              missing + missing_behind));
}

// Slowly, with a reason for whatever is wrong, and never with much more memory than there is content.
Result<std::vector<std::uint8_t>> unpack_in_steps(GzipStream& stream, std::uint64_t count, const std::string& name) {
  constexpr std::uint64_t kFirstStep = std::uint64_t{1} << 20U;
  std::vector<std::uint8_t> values;
  while (values.size() < count) {
    const std::size_t old = values.size();
    values.resize(std::min(count, std::max<std::uint64_t>(kFirstStep, 2 * std::uint64_t{old})));
    TRIBUTARY_RETURN_IF_ERROR(fill_from(stream, std::span(values).subspan(old), count - values.size(), name));
  }
  std::array<std::uint8_t, 1> one_more{};
  TRIBUTARY_ASSIGN_OR_RETURN(const std::size_t missing, stream.unpack(one_more));
  if (missing == 0) { return bad_data(fmt::format("{}: unpacks to more bytes than its header announces", name)); }
  if (const std::uint64_t rest = stream.packed_bytes_left(); rest > 0) {
    return bad_data(fmt::format("{}: has {} bytes after its gzip content", name, rest));
  }
  return values;
}

Result<IdxArray> read_packed(const ReadableFile& file, const std::string& name) {
  GzipStream stream(file, name);
  const auto fill = [&](std::span<std::uint8_t> into) { return fill_from(stream, into, 0, name); };
  TRIBUTARY_ASSIGN_OR_RETURN(Header header, read_header(name, fill, [&](std::uint64_t) { return most_values(file); }));
  IdxArray array{std::move(header.shape), {}};
  if (header.values / kTrustedRatio <= file.size()) {
    array.values.resize(header.bytes + header.values);
    TRIBUTARY_ASSIGN_OR_RETURN(const bool whole, internal::unpack_whole(file, array.values));
    if (whole) {
      array.values.erase(array.values.begin(), array.values.begin() + static_cast<std::ptrdiff_t>(header.bytes));
      return array;
    }
    array.values = {};
  }
  TRIBUTARY_ASSIGN_OR_RETURN(array.values, unpack_in_steps(stream, header.values, name));
  return array;
}

Result<IdxArray> read_from(const ReadableFile& file, const std::string& name) {
  return internal::with_memory_guard(name, [&]() -> Result<IdxArray> {
    std::array<std::uint8_t, 4> word{};
    if (file.size() < word.size()) {
      return bad_data(fmt::format("{}: {} bytes are too few for an IDX file", name, file.size()));
    }
    TRIBUTARY_RETURN_IF_ERROR(file.read(0, std::as_writable_bytes(std::span(word))));
    return internal::starts_as_gzip(word[0], word[1]) ? read_packed(file, name) : read_plain(file, name);
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
