// SPDX-License-Identifier: Apache-2.0
// Gives the samples of each id (a writer, a patient, a hospital) to the client whose they are.
//
// By name:  if the topology names its clients or sites, each id must be one of these names, and each client must get
//           samples. The id of a client goes to that client; the id of a site, or of an aggregator, is spread evenly
//           over the clients there, shuffled by the seed. A client's own name comes first.
// By order: in a topology without names, or with none but those of aggregators that no id has, the ids go to the
// clients
//           in ascending order. If there are more ids than clients they are dealt in turn, never split, and a warning
//           says so.
// Threads:  functions without state.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tributary/base/status.hpp"
#include "tributary/data/dataset.hpp"
#include "tributary/data/partition.hpp"
#include "tributary/nodes/tree.hpp"

namespace tributary {

struct NaturalPartition {
  Partition partition;
  std::vector<std::vector<std::string>> client_ids;  // by client: the ids whose samples it holds, ascending
  bool by_name = false;
  std::string warning;  // for people; empty: nothing to say
};

// kInvalidArgument: no ids, an id that is nobody's name, a client that gets no samples or those of two names.
Result<NaturalPartition> natural_partition(const Dataset& data, const Tree& tree, std::uint64_t seed);

}  // namespace tributary
