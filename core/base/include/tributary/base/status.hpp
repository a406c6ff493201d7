// SPDX-License-Identifier: Apache-2.0
// What went wrong, as a value: for everything that can go wrong in a healthy program.
//
// Use:       functions return Status, or Result<T> when they have something to give. Ask ok() first.
// Threads:   values; const calls may run together.
// Ownership: a Status owns its message; OK costs one null pointer.
// Errors:    docs/errors.md says when each Code is used, what a caller may assume, and the exit code it becomes.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace tributary {

// Never renumber: codes travel in control messages and in records.
enum class Code : std::uint8_t {
  kOk = 0,
  kInvalidArgument = 1,     // the caller passed something impossible
  kNotFound = 2,            // a file, a node, a registered name does not exist
  kBadData = 3,             // a file or payload is damaged, truncated or hostile
  kConfiguration = 4,       // the configuration or the topology is wrong
  kUnavailable = 5,         // too few peers answered
  kDeadlineExceeded = 6,    // a bounded wait ran out
  kIo = 7,                  // the operating system refused to read or write
  kProtocol = 8,            // a peer broke the protocol or speaks another version
  kAuthentication = 9,      // a peer is not who it should be
  kResourceExhausted = 10,  // a limit on bytes, memory or budget was reached
  kCancelled = 11,          // stopped on request
  kUnsupported = 12,        // this build or this extension cannot do that
  kInternal = 13,           // our own bug
};

[[nodiscard]] std::string_view to_string(Code code) noexcept;

// The process exit code of docs/errors.md (sysexits.h values).
[[nodiscard]] int exit_code(Code code) noexcept;

class [[nodiscard]] Status {
 public:
  Status() noexcept = default;
  Status(Code code, std::string message)
      : detail_(code == Code::kOk ? nullptr : std::make_unique<Detail>(Detail{code, std::move(message)})) {}

  Status(const Status& other) : detail_(other.detail_ ? std::make_unique<Detail>(*other.detail_) : nullptr) {}
  Status& operator=(const Status& other) {
    if (this != &other) { detail_ = other.detail_ ? std::make_unique<Detail>(*other.detail_) : nullptr; }
    return *this;
  }
  Status(Status&&) noexcept = default;
  Status& operator=(Status&&) noexcept = default;
  ~Status() = default;

  [[nodiscard]] bool ok() const noexcept { return detail_ == nullptr; }
  [[nodiscard]] Code code() const noexcept { return detail_ ? detail_->code : Code::kOk; }
  [[nodiscard]] const std::string& message() const noexcept;

  // The same error with `context` and ": " before its message; OK stays OK.
  [[nodiscard]] Status with_context(std::string_view context) const;

  // "invalid_argument: <message>", or "ok".
  [[nodiscard]] std::string to_string() const;

  friend bool operator==(const Status& a, const Status& b) noexcept {
    return a.code() == b.code() && a.message() == b.message();
  }

 private:
  struct Detail {
    Code code;
    std::string message;
  };
  std::unique_ptr<Detail> detail_;
};

[[nodiscard]] inline Status ok_status() noexcept {
  return {};
}
[[nodiscard]] Status invalid_argument(std::string message);
[[nodiscard]] Status not_found(std::string message);
[[nodiscard]] Status bad_data(std::string message);
[[nodiscard]] Status configuration_error(std::string message);
[[nodiscard]] Status unavailable(std::string message);
[[nodiscard]] Status deadline_exceeded(std::string message);
[[nodiscard]] Status io_error(std::string message);
[[nodiscard]] Status protocol_error(std::string message);
[[nodiscard]] Status resource_exhausted(std::string message);
[[nodiscard]] Status cancelled(std::string message);
[[nodiscard]] Status unsupported(std::string message);
[[nodiscard]] Status internal_error(std::string message);

// A T, or the Status that says why there is none. Shaped like C++23's std::expected<T, Status>.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : content_(std::in_place_index<0>, std::move(value)) {}        // NOLINT(google-explicit-constructor)
  Result(Status status) : content_(std::in_place_index<1>, std::move(status)) {  // NOLINT(google-explicit-constructor)
    if (std::get<1>(content_).ok()) {
      std::get<1>(content_) = internal_error("a Result without a value was made from an OK status");
    }
  }

  [[nodiscard]] bool ok() const noexcept { return content_.index() == 0; }
  [[nodiscard]] Status status() const { return ok() ? Status{} : std::get<1>(content_); }

  // Requires ok(); throws std::bad_variant_access otherwise.
  [[nodiscard]] T& value() & { return std::get<0>(content_); }
  [[nodiscard]] const T& value() const& { return std::get<0>(content_); }
  [[nodiscard]] T&& value() && { return std::get<0>(std::move(content_)); }
  [[nodiscard]] T* operator->() { return &std::get<0>(content_); }
  [[nodiscard]] const T* operator->() const { return &std::get<0>(content_); }
  [[nodiscard]] T& operator*() & { return value(); }
  [[nodiscard]] const T& operator*() const& { return value(); }
  [[nodiscard]] T&& operator*() && { return std::move(*this).value(); }

 private:
  std::variant<T, Status> content_;
};

}  // namespace tributary

#define TRIBUTARY_INTERNAL_JOIN2(a, b) a##b
#define TRIBUTARY_INTERNAL_JOIN(a, b) TRIBUTARY_INTERNAL_JOIN2(a, b)

// Leaves the calling function with the error of `expression`, if it has one.
#define TRIBUTARY_RETURN_IF_ERROR(expression) \
  TRIBUTARY_INTERNAL_RETURN_IF_ERROR(TRIBUTARY_INTERNAL_JOIN(tributary_status_, __LINE__), expression)
#define TRIBUTARY_INTERNAL_RETURN_IF_ERROR(status, expression)                      \
  do {                                                                              \
    if (::tributary::Status status = (expression); !status.ok()) { return status; } \
  } while (false)

// `TRIBUTARY_ASSIGN_OR_RETURN(auto x, make_x());`: declares x, or leaves the calling function with the error.
#define TRIBUTARY_ASSIGN_OR_RETURN(declaration, expression) \
  TRIBUTARY_INTERNAL_ASSIGN_OR_RETURN(TRIBUTARY_INTERNAL_JOIN(tributary_result_, __LINE__), declaration, expression)
#define TRIBUTARY_INTERNAL_ASSIGN_OR_RETURN(result, declaration, expression) \
  auto result = (expression);                                                \
  if (!result.ok()) { return result.status(); }                              \
  declaration = std::move(result).value()
