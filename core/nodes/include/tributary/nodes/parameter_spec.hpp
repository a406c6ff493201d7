// SPDX-License-Identifier: Apache-2.0
// What a model is made of: the names, shapes and kinds of its float32 tensors, laid end to end in one flat vector.
//
// Agreed when a federation starts; afterwards only its fingerprint travels.
// Threads:   immutable after create(); const calls may run together.
// Shapes:    row-major; a tensor without dimensions holds one value. Sizes count values, not bytes.
// Integer buffers (batch counters) are no part of a spec: each trainer keeps its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "tributary/base/digest.hpp"
#include "tributary/base/status.hpp"

namespace tributary {

// Never renumber: part of the fingerprint.
enum class TensorKind : std::uint8_t {
  kTrainable = 0,
  kRunningMean = 1,      // merged as a weighted mean, untouched by server optimizers
  kRunningVariance = 2,  // merged through the second moment; paired by order with the kRunningMean before it
};

struct TensorSpec {
  std::string name;
  std::vector<std::int64_t> shape;
  TensorKind kind = TensorKind::kTrainable;

  [[nodiscard]] std::size_t elements() const noexcept;
  friend bool operator==(const TensorSpec&, const TensorSpec&) = default;
};

class ParameterSpec {
 public:
  // The most values a model may have: 2^36 (256 GiB of float32).
  static constexpr std::size_t kMaxParameters = std::size_t{1} << 36U;

  // kInvalidArgument: no tensors, an empty or repeated name, a negative dimension, more than kMaxParameters values,
  // or a running variance without a running mean of the same shape before it.
  static Result<ParameterSpec> create(std::vector<TensorSpec> tensors);

  [[nodiscard]] std::span<const TensorSpec> tensors() const noexcept { return tensors_; }
  // Number of float32 values of the whole model.
  [[nodiscard]] std::size_t parameters() const noexcept { return parameters_; }
  // Where tensor `index` starts in the flat vector.
  [[nodiscard]] std::size_t offset(std::size_t index) const { return offsets_.at(index); }
  // The tensor that holds value `index` of the flat vector. Requires index < parameters().
  [[nodiscard]] const TensorSpec& tensor_at(std::size_t index) const;
  [[nodiscard]] const Digest& fingerprint() const noexcept { return fingerprint_; }

  friend bool operator==(const ParameterSpec& a, const ParameterSpec& b) { return a.fingerprint_ == b.fingerprint_; }

 private:
  std::vector<TensorSpec> tensors_;
  std::vector<std::size_t> offsets_;
  std::size_t parameters_ = 0;
  Digest fingerprint_;
};

}  // namespace tributary
