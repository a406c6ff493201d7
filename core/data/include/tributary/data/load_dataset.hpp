// SPDX-License-Identifier: Apache-2.0
// The data section of a configuration, carried out: training and test data, and who gets what.
//
// Threads: functions without state.
// Errors:  those of the readers; a key of the configuration is named where it is to blame.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tributary/base/file_system.hpp"
#include "tributary/base/status.hpp"
#include "tributary/config/configuration.hpp"
#include "tributary/data/dataset.hpp"
#include "tributary/data/partition.hpp"
#include "tributary/nodes/tree.hpp"

namespace tributary {

struct LoadedData {
  SharedDataset train;                // null for data.source none
  SharedDataset test;                 // null if there is none
  std::vector<std::string> warnings;  // for people
};

struct DataSpread {
  Partition partition;
  // By client, for data.partition natural alone: the ids whose samples it holds, ascending.
  std::vector<std::vector<std::string>> client_ids;
  std::string warning;  // for people; empty: nothing to say
};

// Training and test data have the same shape and number of classes. kNotFound, kBadData, kIo: of a file;
// kConfiguration: a file that is needed is not named.
Result<LoadedData> load_data(const Configuration& configuration, FileSystem& files = real_file_system());

// Where data.source fashion-mnist has its files.
[[nodiscard]] std::filesystem::path fashion_mnist_directory(const Configuration& configuration);

// kConfiguration: the data cannot be spread that way, with the reason.
Result<DataSpread> make_partition(const Configuration& configuration, const Dataset& train, const Tree& tree);

}  // namespace tributary
