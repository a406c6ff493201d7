// SPDX-License-Identifier: Apache-2.0
#include "tributary/data/dataset.hpp"

#include <fmt/format.h>

#include <bit>
#include <limits>

#include "base/reading.hpp"

namespace tributary {
namespace {

// Index of the first value that is not finite, or values.size(). Looks at bits, which the compiler can vectorise.
std::size_t first_not_finite(std::span<const float> values) noexcept {
  constexpr std::size_t kPiece = 4096;
  constexpr std::uint32_t kExponent = 0x7F800000U;
  for (std::size_t start = 0; start < values.size(); start += kPiece) {
    const std::span<const float> piece = values.subspan(start, std::min(kPiece, values.size() - start));
    std::uint32_t found = 0;
    for (const float value : piece) {
      found |= static_cast<std::uint32_t>((std::bit_cast<std::uint32_t>(value) & kExponent) == kExponent);
    }
    if (found == 0) { continue; }
    for (std::size_t i = 0; i < piece.size(); ++i) {
      if ((std::bit_cast<std::uint32_t>(piece[i]) & kExponent) == kExponent) { return start + i; }
    }
  }
  return values.size();
}

}  // namespace

std::size_t Dataset::sample_size() const noexcept {
  std::size_t size = 1;
  for (const std::int64_t dimension : sample_shape) { size *= static_cast<std::size_t>(dimension); }
  return size;
}

Status Dataset::check() const {
  const auto wrong = [this](const std::string& what) { return bad_data(fmt::format("{}: {}", name, what)); };
  if (labels.size() > std::numeric_limits<std::uint32_t>::max()) {
    return wrong(fmt::format("{} samples, at most {} can be numbered", labels.size(),
                             std::numeric_limits<std::uint32_t>::max()));
  }
  const auto per_sample = internal::checked_elements(sample_shape);
  if (!per_sample || *per_sample == 0) {
    return wrong(fmt::format("a sample of shape {} has no values", internal::shape_text(sample_shape)));
  }
  const std::size_t held = std::visit([](const auto& values) { return values.size(); }, features);
  if (held % *per_sample != 0 || held / *per_sample != labels.size()) {
    return wrong(fmt::format("{} feature values for {} labels and samples of shape {}", held, labels.size(),
                             internal::shape_text(sample_shape)));
  }
  if (!feature_names.empty() && feature_names.size() != *per_sample) {
    return wrong(fmt::format("{} names for {} features", feature_names.size(), *per_sample));
  }
  if (!natural_ids.empty() && natural_ids.size() != labels.size()) {
    return wrong(fmt::format("{} ids for {} samples", natural_ids.size(), labels.size()));
  }
  if (!id_names.empty()) {
    const auto names = static_cast<std::int64_t>(id_names.size());
    for (const std::int64_t id : natural_ids) {
      if (id < 0 || id >= names) { return wrong(fmt::format("id {}, there are names for 0 to {}", id, names - 1)); }
    }
  }
  if (classes < 0 || classes > internal::kMaxClasses) {
    return wrong(fmt::format("{} classes, expected 0 to {}", classes, internal::kMaxClasses));
  }
  if (!class_names.empty() && class_names.size() != static_cast<std::size_t>(classes)) {
    return wrong(fmt::format("{} names for {} classes", class_names.size(), classes));
  }
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] < 0 || labels[i] >= classes) {
      return wrong(fmt::format("sample {} has label {}, expected 0 to {}", i, labels[i], classes - 1));
    }
  }
  if (const auto* values = std::get_if<std::vector<float>>(&features)) {
    const std::size_t bad = first_not_finite(*values);
    if (bad != values->size()) {
      return wrong(
          fmt::format("sample {} has a feature that is not finite (number {})", bad / *per_sample, bad % *per_sample));
    }
  }
  return ok_status();
}

}  // namespace tributary
