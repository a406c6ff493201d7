// SPDX-License-Identifier: Apache-2.0
// Reads and writes safetensors files (https://github.com/huggingface/safetensors), to that format's own rules.
//
// Layout:    8 bytes header length (little-endian), JSON header, then the tensors' bytes without a hole: row-major,
//            little-endian. docs/checkpoint.md shows one in hexadecimal.
// Life cycle: open() or parse() reads and checks the header alone; tensors are read where the caller wants them.
// Threads:   const calls may run together.
// Ownership: parse() borrows the bytes, which must outlive the SafetensorsFile; open() keeps the file open.
// Errors:    kBadData names the file, the tensor and what is wrong. No memory is taken for a length that the file's
// size
//            does not bear out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tributary/base/file_system.hpp"
#include "tributary/base/status.hpp"

namespace tributary {

enum class DType : std::uint8_t {
  kBool,
  kU8,
  kI8,
  kF8E5M2,
  kF8E4M3,
  kI16,
  kU16,
  kF16,
  kBF16,
  kI32,
  kU32,
  kF32,
  kI64,
  kU64,
  kF64
};

// As the format spells it: "F32".
[[nodiscard]] std::string_view to_string(DType dtype) noexcept;
[[nodiscard]] std::optional<DType> dtype_from(std::string_view name) noexcept;
[[nodiscard]] std::size_t bytes_per_value(DType dtype) noexcept;
// F16, BF16, F32 and F64: what becomes float32.
[[nodiscard]] bool is_floating(DType dtype) noexcept;

struct SafetensorsTensor {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<std::int64_t> shape;
  std::uint64_t offset = 0;  // of its first byte, from the first byte after the header
  std::uint64_t bytes = 0;
  std::uint64_t elements = 0;
};

using SafetensorsMetadata = std::map<std::string, std::string>;

class SafetensorsFile {
 public:
  static constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;
  static constexpr std::size_t kMaxDimensions = 64;

  static Result<SafetensorsFile> open(FileSystem& files, const std::filesystem::path& path);
  // `name` stands in messages.
  static Result<SafetensorsFile> parse(std::span<const std::byte> bytes, std::string name);

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  // In the order of their bytes.
  [[nodiscard]] std::span<const SafetensorsTensor> tensors() const noexcept { return tensors_; }
  [[nodiscard]] const SafetensorsMetadata& metadata() const noexcept { return metadata_; }
  // Null if there is none of that name.
  [[nodiscard]] const SafetensorsTensor* find(const std::string& tensor) const;
  // Bytes of all tensors, and of the whole file.
  [[nodiscard]] std::uint64_t data_bytes() const noexcept { return data_bytes_; }
  [[nodiscard]] std::uint64_t file_bytes() const noexcept { return data_start_ + data_bytes_; }

  // The bytes from `offset` after the header on.
  Status read(std::uint64_t offset, std::span<std::byte> into) const;
  // One tensor as float32; `into` has exactly tensor.elements values. kBadData: the tensor is not floating.
  Status read_floats(const SafetensorsTensor& tensor, std::span<float> into) const;

 private:
  static Result<SafetensorsFile> read_header(std::unique_ptr<ReadableFile> source, std::string name);

  std::string name_;
  std::shared_ptr<const ReadableFile> source_;  // shared: a SafetensorsFile is a value that can be copied
  std::uint64_t data_start_ = 0;
  std::uint64_t data_bytes_ = 0;
  std::vector<SafetensorsTensor> tensors_;
  std::unordered_map<std::string, std::size_t> index_;
  SafetensorsMetadata metadata_;
};

// One tensor to write; borrows its bytes, row-major and little-endian.
struct SafetensorsItem {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<std::int64_t> shape;
  std::span<const std::byte> bytes;
};

// The file's first bytes, up to where the tensors start (a multiple of 8). The same items and metadata always give the
// same bytes. kInvalidArgument: a name that is empty, repeated or not UTF-8, or bytes that do not fit the shape.
Result<std::string> safetensors_header(std::span<const SafetensorsItem> items, const SafetensorsMetadata& metadata);

// Atomically (see file_system.hpp), and without copying a tensor.
Status write_safetensors(FileSystem& files, const std::filesystem::path& path, std::span<const SafetensorsItem> items,
                         const SafetensorsMetadata& metadata);

}  // namespace tributary
