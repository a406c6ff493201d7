// SPDX-License-Identifier: Apache-2.0
// The data section of a configuration, carried out: training and test data, and who gets what.
//
// Threads: functions without state.
// Errors:  those of the readers; a key of the configuration is named where it is to blame.
#pragma once

#include <cstdint>
#include <filesystem>

#include "tributary/core/configuration.hpp"
#include "tributary/core/dataset.hpp"
#include "tributary/core/file_system.hpp"
#include "tributary/core/partition.hpp"
#include "tributary/core/status.hpp"

namespace tributary {

struct LoadedData {
  SharedDataset train;  // null for data.source none
  SharedDataset test;   // null if there is none
};

// Training and test data have the same shape and number of classes. kNotFound, kBadData, kIo: of a file;
// kConfiguration: a file that is needed is not named.
Result<LoadedData> load_data(const Configuration& configuration, FileSystem& files = real_file_system());

// Where data.source fashion-mnist has its files.
[[nodiscard]] std::filesystem::path fashion_mnist_directory(const Configuration& configuration);

// kConfiguration: the data cannot be spread that way, with the reason.
Result<Partition> make_partition(const Configuration& configuration, const Dataset& train, std::uint32_t clients);

}  // namespace tributary
