// SPDX-License-Identifier: Apache-2.0
// How fast letters between two ranks are, beside plain MPI: every figure stands beside its bare counterpart, measured
// in turn in the same processes and the same seconds.
//
// Threads: collective, on both ranks of the job.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "tributary/mpi/driver.hpp"

namespace tributary {

struct TransferMeasurement {
  std::size_t bytes = 0;
  // One way, in seconds: half of a round trip, the median of all repeats.
  double plain_seconds = 0.0;    // MPI_Send and MPI_Recv
  double letter_seconds = 0.0;   // a payload as a letter of the driver
  double message_seconds = 0.0;  // an update of a node: encoded, sent, checked, decoded
  // Medians of the ratios of neighbouring repeats.
  double letter_ratio = 0.0;   // letter_seconds / plain_seconds
  double message_ratio = 0.0;  // message_seconds / plain_seconds
};

// kInvalidArgument: not two ranks.
Result<std::vector<TransferMeasurement>> measure_transfers(MpiSession& session, const std::vector<std::size_t>& sizes,
                                                           std::uint32_t repeats);

}  // namespace tributary
