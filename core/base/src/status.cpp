// SPDX-License-Identifier: Apache-2.0
#include "tributary/base/status.hpp"

#include <array>

namespace tributary {
namespace {

struct CodeInfo {
  std::string_view name;
  int exit_code;
};

constexpr std::array<CodeInfo, 14> kCodes{{
    {"ok", 0},
    {"invalid_argument", 64},
    {"not_found", 66},
    {"bad_data", 65},
    {"configuration", 78},
    {"unavailable", 69},
    {"deadline_exceeded", 75},
    {"io", 74},
    {"protocol", 76},
    {"authentication", 77},
    {"resource_exhausted", 69},
    {"cancelled", 130},
    {"unsupported", 69},
    {"internal", 70},
}};

const std::string kNoMessage;

}  // namespace

std::string_view to_string(Code code) noexcept {
  return kCodes.at(static_cast<std::size_t>(code)).name;
}

int exit_code(Code code) noexcept {
  return kCodes.at(static_cast<std::size_t>(code)).exit_code;
}

const std::string& Status::message() const noexcept {
  return detail_ ? detail_->message : kNoMessage;
}

Status Status::with_context(std::string_view context) const {
  if (ok()) { return {}; }
  return {code(), std::string(context) + ": " + message()};
}

std::string Status::to_string() const {
  if (ok()) { return "ok"; }
  return std::string(tributary::to_string(code())) + ": " + message();
}

Status invalid_argument(std::string message) {
  return {Code::kInvalidArgument, std::move(message)};
}
Status not_found(std::string message) {
  return {Code::kNotFound, std::move(message)};
}
Status bad_data(std::string message) {
  return {Code::kBadData, std::move(message)};
}
Status configuration_error(std::string message) {
  return {Code::kConfiguration, std::move(message)};
}
Status unavailable(std::string message) {
  return {Code::kUnavailable, std::move(message)};
}
Status deadline_exceeded(std::string message) {
  return {Code::kDeadlineExceeded, std::move(message)};
}
Status io_error(std::string message) {
  return {Code::kIo, std::move(message)};
}
Status protocol_error(std::string message) {
  return {Code::kProtocol, std::move(message)};
}
Status resource_exhausted(std::string message) {
  return {Code::kResourceExhausted, std::move(message)};
}
Status cancelled(std::string message) {
  return {Code::kCancelled, std::move(message)};
}
Status unsupported(std::string message) {
  return {Code::kUnsupported, std::move(message)};
}
Status internal_error(std::string message) {
  return {Code::kInternal, std::move(message)};
}

}  // namespace tributary
