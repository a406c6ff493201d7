// SPDX-License-Identifier: Apache-2.0
// Labelled samples in memory, without a tensor library.
//
// Life cycle: read once (readers are in idx.hpp, csv.hpp and safetensors.hpp), then shared by all trainers.
// Threads:    immutable once shared.
// Shapes:     features are row-major, one row of sample_size() values per sample. Bytes are kept as bytes and become
//             value * scale + offset (scale 1/255 for images), which is a quarter of float32's memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "tributary/base/status.hpp"

namespace tributary {

struct Dataset {
  std::string name;
  std::vector<std::int64_t> sample_shape;  // without the sample dimension, e.g. {1, 28, 28}
  std::variant<std::vector<std::uint8_t>, std::vector<float>> features;
  std::vector<std::string> feature_names;  // one per value of a sample, or empty: they have none
  float scale = 1.0F;                      // of bytes
  float offset = 0.0F;                     // of bytes
  std::vector<std::int32_t> labels;        // one per sample, in [0, classes)
  std::int32_t classes = 0;
  std::vector<std::string> class_names;   // one per class, or empty: a class's number is its name
  std::vector<std::int64_t> natural_ids;  // one per sample, or empty: which writer, patient, site it belongs to
  std::vector<std::string> id_names;      // by natural id, or empty: an id's number is its name

  [[nodiscard]] std::size_t size() const noexcept { return labels.size(); }
  [[nodiscard]] std::size_t sample_size() const noexcept;
  // kBadData: sizes that do not fit together, a label outside [0, classes), an id without a name, a feature
  // that is not finite.
  [[nodiscard]] Status check() const;
};

using SharedDataset = std::shared_ptr<const Dataset>;

}  // namespace tributary
