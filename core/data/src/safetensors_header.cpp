// SPDX-License-Identifier: Apache-2.0
#include "safetensors_header.hpp"

#include <fmt/format.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "base/reading.hpp"

namespace tributary::internal {
namespace {

class HeaderEvents final : public nlohmann::json_sax<nlohmann::json> {
 public:
  [[nodiscard]] SafetensorsHeader take() { return std::move(header_); }
  [[nodiscard]] const std::string& problem() const noexcept { return problem_; }

  bool start_object(std::size_t /*elements*/) override {
    switch (expected_) {
      case Expected::kHeader:
        return go_on(Expected::kName);
      case Expected::kMetadata:
        return go_on(Expected::kMetadataKey);
      case Expected::kTensor:
        seen_ = {};
        return go_on(Expected::kField);
      default:
        return wrong_value("an object");
    }
  }

  bool key(std::string& text) override {
    switch (expected_) {
      case Expected::kName:
        return tensor_name(text);
      case Expected::kField:
        return field(text);
      default:
        if (header_.metadata.contains(text)) { return fail("__metadata__: key " + printable(text) + " stands twice"); }
        metadata_key_ = text;
        return go_on(Expected::kMetadataValue);
    }
  }

  bool end_object() override {
    switch (expected_) {
      case Expected::kField:
        return end_tensor();
      case Expected::kMetadataKey:
        return go_on(Expected::kName);
      default:
        return go_on(Expected::kEnd);
    }
  }

  bool start_array(std::size_t /*elements*/) override {
    switch (expected_) {
      case Expected::kShape:
        return go_on(Expected::kDimension);
      case Expected::kOffsets:
        return go_on(Expected::kOffset);
      default:
        return wrong_value("an array");
    }
  }

  bool end_array() override {
    if (expected_ == Expected::kOffset && offsets_ != 2) {
      return fail(subject() + "data_offsets are not two numbers");
    }
    return go_on(Expected::kField);
  }

  bool string(std::string& text) override {
    if (expected_ == Expected::kMetadataValue) {
      header_.metadata.emplace(metadata_key_, text);
      return go_on(Expected::kMetadataKey);
    }
    if (expected_ != Expected::kDType) { return wrong_value("a string"); }
    const std::optional<DType> dtype = dtype_from(text);
    if (!dtype) { return fail(subject() + "unknown dtype " + printable(text)); }
    tensor_.dtype = *dtype;
    return go_on(Expected::kField);
  }

  bool number_unsigned(std::uint64_t value) override {
    if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
      return fail(fmt::format("{}{} is too large", subject(), value));
    }
    if (expected_ == Expected::kDimension) {
      if (tensor_.shape.size() == SafetensorsFile::kMaxDimensions) {
        return fail(fmt::format("{}more than {} dimensions", subject(), SafetensorsFile::kMaxDimensions));
      }
      tensor_.shape.push_back(static_cast<std::int64_t>(value));
      return true;
    }
    if (expected_ != Expected::kOffset) { return wrong_value("a number"); }
    if (offsets_ == 2) { return fail(subject() + "data_offsets are not two numbers"); }
    (offsets_ == 0 ? tensor_.offset : end_) = value;
    ++offsets_;
    return true;
  }

  bool number_integer(std::int64_t value) override { return fail(fmt::format("{}{} is negative", subject(), value)); }
  bool number_float(double /*value*/, const std::string& text) override {
    return fail(subject() + printable(text) + " is not a whole number");
  }
  bool null() override { return wrong_value("null"); }
  bool boolean(bool value) override { return wrong_value(value ? "true" : "false"); }
  bool binary(nlohmann::json::binary_t& /*value*/) override { return wrong_value("binary data"); }

  bool parse_error(std::size_t position, const std::string& /*token*/,
                   const nlohmann::json::exception& /*error*/) override {
    return fail(fmt::format("not valid JSON at byte {}", position));
  }

 private:
  // What may come next.
  enum class Expected {
    kHeader,
    kName,
    kMetadata,
    kMetadataKey,
    kMetadataValue,
    kTensor,
    kField,
    kDType,
    kShape,
    kDimension,
    kOffsets,
    kOffset,
    kEnd
  };
  struct Seen {
    bool dtype = false;
    bool shape = false;
    bool offsets = false;
  };

  bool go_on(Expected next) {
    expected_ = next;
    return true;
  }

  bool fail(std::string problem) {
    problem_ = std::move(problem);
    return false;
  }

  [[nodiscard]] std::string subject() const {
    switch (expected_) {
      case Expected::kHeader:
        return {};
      case Expected::kMetadata:
        return "__metadata__: ";
      case Expected::kMetadataValue:
        return "__metadata__: " + printable(metadata_key_) + ": ";
      default:
        return "tensor " + printable(tensor_.name) + ": ";
    }
  }

  bool wrong_value(std::string_view found) {
    std::string_view wanted = "dtype, shape and data_offsets";
    if (expected_ == Expected::kHeader || expected_ == Expected::kMetadata) { wanted = "an object"; }
    if (expected_ == Expected::kMetadataValue || expected_ == Expected::kDType) { wanted = "a string"; }
    if (expected_ == Expected::kShape || expected_ == Expected::kOffsets) { wanted = "an array"; }
    if (expected_ == Expected::kDimension || expected_ == Expected::kOffset) { wanted = "a number"; }
    return fail(fmt::format("{}expected {}, found {}", subject(), wanted, found));
  }

  bool tensor_name(const std::string& text) {
    if (text == "__metadata__") {
      if (metadata_seen_) { return fail("__metadata__ stands twice"); }
      metadata_seen_ = true;
      return go_on(Expected::kMetadata);
    }
    if (text.empty()) { return fail("a tensor has an empty name"); }
    if (!names_.insert(text).second) { return fail("tensor " + printable(text) + " stands twice"); }
    tensor_ = {};
    tensor_.name = text;
    return go_on(Expected::kTensor);
  }

  bool field(const std::string& text) {
    const auto once = [&](bool& seen, Expected next) {
      if (std::exchange(seen, true)) { return fail(subject() + text + " stands twice"); }
      return go_on(next);
    };
    if (text == "dtype") { return once(seen_.dtype, Expected::kDType); }
    if (text == "shape") { return once(seen_.shape, Expected::kShape); }
    offsets_ = text == "data_offsets" ? 0 : offsets_;
    if (text == "data_offsets") { return once(seen_.offsets, Expected::kOffsets); }
    return fail(subject() + "unknown key " + printable(text));
  }

  bool end_tensor() {
    if (!seen_.dtype || !seen_.shape || !seen_.offsets) {
      return fail(subject() + (!seen_.dtype ? "dtype" : !seen_.shape ? "shape" : "data_offsets") + " is missing");
    }
    const std::optional<std::uint64_t> elements = checked_elements(tensor_.shape);
    std::uint64_t bytes = 0;
    if (!elements || __builtin_mul_overflow(*elements, bytes_per_value(tensor_.dtype), &bytes)) {
      return fail(subject() + "the shape " + shape_text(tensor_.shape) + " is too large");
    }
    if (end_ < tensor_.offset || end_ - tensor_.offset != bytes) {
      return fail(fmt::format("{}data_offsets [{}, {}] do not fit {} of shape {}, which needs {} bytes", subject(),
                              tensor_.offset, end_, to_string(tensor_.dtype), shape_text(tensor_.shape), bytes));
    }
    tensor_.elements = *elements;
    tensor_.bytes = bytes;
    header_.tensors.push_back(std::move(tensor_));
    return go_on(Expected::kName);
  }

  Expected expected_ = Expected::kHeader;
  SafetensorsHeader header_;
  std::unordered_set<std::string> names_;
  SafetensorsTensor tensor_;  // being read
  Seen seen_;
  std::uint64_t end_ = 0;
  int offsets_ = 0;
  bool metadata_seen_ = false;
  std::string metadata_key_;
  std::string problem_;
};

}  // namespace

Result<SafetensorsHeader> parse_safetensors_header(std::string_view text, const std::string& file) {
  if (!text.starts_with('{')) {
    return bad_data(fmt::format("{}: is no safetensors file: its header does not start with {{", file));
  }
  HeaderEvents events;
  if (!nlohmann::json::sax_parse(text, &events)) {
    return bad_data(fmt::format("{}: header: {}", file, events.problem()));
  }
  return events.take();
}

}  // namespace tributary::internal
