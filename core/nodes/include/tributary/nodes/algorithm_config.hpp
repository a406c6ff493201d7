// SPDX-License-Identifier: Apache-2.0
// How clients' work becomes a new model: the section `algorithm` of a configuration, as values.
//
// Threads: a value.
#pragma once

namespace tributary {

struct AlgorithmConfig {
  enum class Kind { kFedAvg, kFedSgd, kFedProx };
  Kind kind = Kind::kFedAvg;
  double mu = 0.01;  // kFedProx
  enum class Weighting { kSamples, kUniform, kCapped };
  Weighting weighting = Weighting::kSamples;
  double weight_cap = 0.0;  // kCapped: largest weight of one client
  double server_lr = 1.0;   // scales the mean update where it is applied
  enum class Precision { kAuto, kCompact, kFull };
  Precision precision = Precision::kAuto;  // of the exact sums; docs/decisions
  friend bool operator==(const AlgorithmConfig&, const AlgorithmConfig&) = default;
};

}  // namespace tributary
