// SPDX-License-Identifier: Apache-2.0
#include "tributary/data/safetensors.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <unordered_set>

#include "base/reading.hpp"
#include "base/strict_json.hpp"
#include "safetensors_header.hpp"

namespace tributary {
namespace {

static_assert(std::endian::native == std::endian::little, "tensors are read into place, little-endian");

struct DTypeFacts {
  std::string_view name;
  std::size_t bytes;
};
// By DType.
constexpr std::array<DTypeFacts, 15> kDTypes{{{"BOOL", 1},
                                              {"U8", 1},
                                              {"I8", 1},
                                              {"F8_E5M2", 1},
                                              {"F8_E4M3", 1},
                                              {"I16", 2},
                                              {"U16", 2},
                                              {"F16", 2},
                                              {"BF16", 2},
                                              {"I32", 4},
                                              {"U32", 4},
                                              {"F32", 4},
                                              {"I64", 8},
                                              {"U64", 8},
                                              {"F64", 8}}};

float from_bfloat16(std::uint16_t bits) noexcept {
  return std::bit_cast<float>(std::uint32_t{bits} << 16U);
}

float from_half(std::uint16_t bits) noexcept {
  const std::uint32_t sign = (bits & 0x8000U) << 16U;
  const std::uint32_t exponent = (bits >> 10U) & 0x1FU;
  const std::uint32_t mantissa = bits & 0x3FFU;
  if (exponent == 0x1FU) { return std::bit_cast<float>(sign | 0x7F800000U | (mantissa << 13U)); }
  if (exponent != 0) { return std::bit_cast<float>(sign | ((exponent + 112U) << 23U) | (mantissa << 13U)); }
  const float magnitude = static_cast<float>(mantissa) * 0x1.0p-24F;  // subnormal: exact in float32
  return sign != 0 ? -magnitude : magnitude;
}

template <typename Stored, typename Convert>
void convert(std::span<const std::byte> from, std::span<float> into, const Convert& value_of) {
  for (std::size_t i = 0; i < into.size(); ++i) {
    Stored stored{};
    std::memcpy(&stored, from.data() + i * sizeof(Stored), sizeof(Stored));
    into[i] = value_of(stored);
  }
}

void convert(DType dtype, std::span<const std::byte> from, std::span<float> into) {
  if (dtype == DType::kF16) {
    convert<std::uint16_t>(from, into, from_half);
  } else if (dtype == DType::kBF16) {
    convert<std::uint16_t>(from, into, from_bfloat16);
  } else {
    convert<double>(from, into, [](double value) { return static_cast<float>(value); });
  }
}

// Sorts by place in the file and checks that the tensors cover its bytes, each once.
Status check_layout(const std::string& file, std::vector<SafetensorsTensor>& tensors, std::uint64_t data_bytes) {
  std::stable_sort(tensors.begin(), tensors.end(), [](const SafetensorsTensor& a, const SafetensorsTensor& b) {
    return a.offset != b.offset ? a.offset < b.offset : a.bytes < b.bytes;
  });
  std::uint64_t covered = 0;
  for (const SafetensorsTensor& tensor : tensors) {
    if (tensor.offset != covered) {
      return bad_data(fmt::format("{}: tensor {} starts at byte {}, the one before it ends at {}", file,
                                  internal::printable(tensor.name), tensor.offset, covered));
    }
    covered += tensor.bytes;
  }
  if (covered != data_bytes) {
    return bad_data(fmt::format("{}: the tensors need {} bytes, the file holds {}", file, covered, data_bytes));
  }
  return ok_status();
}

// What a file of another kind begins with is an absurd length.
Status no_safetensors(const std::string& name, std::uint64_t header_bytes) {
  std::array<char, sizeof(header_bytes)> start{};
  std::memcpy(start.data(), &header_bytes, sizeof(header_bytes));
  const std::string_view text(start.data(), start.size());
  if (text.starts_with("PK\x03\x04") || text.starts_with('\x80')) {
    return bad_data(
        fmt::format("{}: is no safetensors file but one of PyTorch, it seems; in Python, "
                    "safetensors.torch.save_file(model.state_dict(), \"model.safetensors\") writes one",
                    name));
  }
  return bad_data(
      fmt::format("{}: is no safetensors file: it would have a header of {} bytes, and the format allows {}", name,
                  header_bytes, SafetensorsFile::kMaxHeaderBytes));
}

}  // namespace

std::string_view to_string(DType dtype) noexcept {
  return kDTypes[static_cast<std::size_t>(dtype)].name;
}

std::optional<DType> dtype_from(std::string_view name) noexcept {
  for (std::size_t i = 0; i < kDTypes.size(); ++i) {
    if (kDTypes[i].name == name) { return static_cast<DType>(i); }
  }
  return std::nullopt;
}

std::size_t bytes_per_value(DType dtype) noexcept {
  return kDTypes[static_cast<std::size_t>(dtype)].bytes;
}

bool is_floating(DType dtype) noexcept {
  return dtype == DType::kF16 || dtype == DType::kBF16 || dtype == DType::kF32 || dtype == DType::kF64;
}

Result<SafetensorsFile> SafetensorsFile::open(FileSystem& files, const std::filesystem::path& path) {
  TRIBUTARY_ASSIGN_OR_RETURN(std::unique_ptr<ReadableFile> source, files.open(path));
  return read_header(std::move(source), path.string());
}

Result<SafetensorsFile> SafetensorsFile::parse(std::span<const std::byte> bytes, std::string name) {
  std::unique_ptr<ReadableFile> source = readable_bytes(bytes, name);
  return read_header(std::move(source), std::move(name));
}

Result<SafetensorsFile> SafetensorsFile::read_header(std::unique_ptr<ReadableFile> source, std::string name) {
  return internal::with_memory_guard(name, [&]() -> Result<SafetensorsFile> {
    const std::uint64_t size = source->size();
    std::uint64_t header_bytes = 0;
    if (size < sizeof(header_bytes)) {
      return bad_data(fmt::format("{}: {} bytes are too few for a safetensors file", name, size));
    }
    TRIBUTARY_RETURN_IF_ERROR(source->read(0, std::as_writable_bytes(std::span(&header_bytes, 1))));
    if (header_bytes > kMaxHeaderBytes) { return no_safetensors(name, header_bytes); }
    if (header_bytes > size - sizeof(header_bytes)) {
      return bad_data(fmt::format("{}: announces a header of {} bytes, only {} follow", name, header_bytes,
                                  size - sizeof(header_bytes)));
    }
    std::string text(header_bytes, '\0');
    TRIBUTARY_RETURN_IF_ERROR(source->read(sizeof(header_bytes), std::as_writable_bytes(std::span(text))));

    SafetensorsFile file;
    file.data_start_ = sizeof(header_bytes) + header_bytes;
    file.data_bytes_ = size - file.data_start_;
    TRIBUTARY_ASSIGN_OR_RETURN(internal::SafetensorsHeader header, internal::parse_safetensors_header(text, name));
    file.tensors_ = std::move(header.tensors);
    file.metadata_ = std::move(header.metadata);
    TRIBUTARY_RETURN_IF_ERROR(check_layout(name, file.tensors_, file.data_bytes_));
    for (std::size_t i = 0; i < file.tensors_.size(); ++i) { file.index_.emplace(file.tensors_[i].name, i); }
    file.name_ = std::move(name);
    file.source_ = std::move(source);
    return file;
  });
}

const SafetensorsTensor* SafetensorsFile::find(const std::string& tensor) const {
  const auto found = index_.find(tensor);
  return found == index_.end() ? nullptr : &tensors_[found->second];
}

Status SafetensorsFile::read(std::uint64_t offset, std::span<std::byte> into) const {
  if (offset > data_bytes_ || into.size() > data_bytes_ - offset) {
    return invalid_argument(fmt::format("{}: {} bytes from byte {} on were asked for, the tensors have {}", name_,
                                        into.size(), offset, data_bytes_));
  }
  return source_->read(data_start_ + offset, into);
}

Status SafetensorsFile::read_floats(const SafetensorsTensor& tensor, std::span<float> into) const {
  if (into.size() != tensor.elements) {
    return invalid_argument(fmt::format("{}: tensor {} has {} values, {} were asked for", name_,
                                        internal::printable(tensor.name), tensor.elements, into.size()));
  }
  if (!is_floating(tensor.dtype)) {
    return bad_data(fmt::format("{}: tensor {} is {}, expected F32, F16, BF16 or F64", name_,
                                internal::printable(tensor.name), to_string(tensor.dtype)));
  }
  if (tensor.dtype == DType::kF32) { return read(tensor.offset, std::as_writable_bytes(into)); }

  std::array<std::byte, 32768> buffer{};
  const std::size_t width = bytes_per_value(tensor.dtype);
  std::uint64_t offset = tensor.offset;
  while (!into.empty()) {
    const std::size_t count = std::min(into.size(), buffer.size() / width);
    const std::span<std::byte> piece = std::span(buffer).first(count * width);
    TRIBUTARY_RETURN_IF_ERROR(read(offset, piece));
    convert(tensor.dtype, piece, into.first(count));
    into = into.subspan(count);
    offset += piece.size();
  }
  return ok_status();
}

Result<std::string> safetensors_header(std::span<const SafetensorsItem> items, const SafetensorsMetadata& metadata) {
  // Put together by hand, because the order of the entries is part of the promise.
  std::string text = "{";
  if (!metadata.empty()) {
    TRIBUTARY_ASSIGN_OR_RETURN(const std::string dumped, internal::dump_json(metadata));
    text += "\"__metadata__\":" + dumped;
  }
  std::unordered_set<std::string_view> names;
  std::uint64_t offset = 0;
  for (const SafetensorsItem& item : items) {
    const std::string shown = internal::printable(item.name);
    if (item.name.empty() || item.name == "__metadata__") {
      return invalid_argument(fmt::format("a tensor cannot be named \"{}\"", shown));
    }
    if (!names.insert(item.name).second) { return invalid_argument(fmt::format("two tensors are named {}", shown)); }
    const std::optional<std::uint64_t> elements = internal::checked_elements(item.shape);
    if (!elements || item.shape.size() > SafetensorsFile::kMaxDimensions ||
        item.bytes.size() / bytes_per_value(item.dtype) != *elements ||
        item.bytes.size() % bytes_per_value(item.dtype) != 0) {
      return invalid_argument(fmt::format("tensor {}: {} bytes do not fit {} of shape {}", shown, item.bytes.size(),
                                          to_string(item.dtype), internal::shape_text(item.shape)));
    }
    TRIBUTARY_ASSIGN_OR_RETURN(const std::string name, internal::dump_json(item.name));
    TRIBUTARY_ASSIGN_OR_RETURN(const std::string shape, internal::dump_json(item.shape));
    text += fmt::format(R"({}{}:{{"dtype":"{}","shape":{},"data_offsets":[{},{}]}})", text.size() > 1 ? "," : "", name,
                        to_string(item.dtype), shape, offset, offset + item.bytes.size());
    offset += item.bytes.size();
  }
  text += '}';
  text.resize((text.size() + 7) / 8 * 8, ' ');
  if (text.size() > SafetensorsFile::kMaxHeaderBytes) {
    return invalid_argument(fmt::format("a header of {} bytes, the safetensors format allows {}", text.size(),
                                        SafetensorsFile::kMaxHeaderBytes));
  }
  std::string header(sizeof(std::uint64_t), '\0');
  const std::uint64_t length = text.size();
  std::memcpy(header.data(), &length, sizeof(length));
  return header + text;
}

Status write_safetensors(FileSystem& files, const std::filesystem::path& path, std::span<const SafetensorsItem> items,
                         const SafetensorsMetadata& metadata) {
  Result<std::string> header = safetensors_header(items, metadata);
  if (!header.ok()) { return header.status().with_context(fmt::format("cannot write {}", path.string())); }
  std::vector<std::span<const std::byte>> parts{std::as_bytes(std::span(*header))};
  for (const SafetensorsItem& item : items) { parts.push_back(item.bytes); }
  return write_atomically(files, path, parts);
}

}  // namespace tributary
