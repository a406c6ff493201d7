// SPDX-License-Identifier: Apache-2.0
#include "tributary/core/load_dataset.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "reading.hpp"
#include "tributary/core/csv.hpp"
#include "tributary/core/idx.hpp"
#include "tributary/core/safetensors_dataset.hpp"
#include "tributary/core/synthetic.hpp"

namespace tributary {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kFashionMnistDirectory = "/usr/share/datasets/fashion-mnist";

struct Pair {
  Dataset train;
  std::optional<Dataset> test;
};

Status check_named(std::string_view key, const std::string& file) {
  return file.empty() ? configuration_error(fmt::format("data.{}: a file is needed", key)) : ok_status();
}

Result<Pair> load_fashion_mnist(const Configuration& configuration, FileSystem& files) {
  const fs::path directory = fashion_mnist_directory(configuration);
  const auto read = [&](std::string_view split, std::string_view name) {
    return read_idx_dataset(files, directory / fmt::format("{}-images-idx3-ubyte.gz", split),
                            directory / fmt::format("{}-labels-idx1-ubyte.gz", split), std::string(name));
  };
  Result<Dataset> train = read("train", "Fashion-MNIST training data");
  Result<Dataset> test = train.ok() ? read("t10k", "Fashion-MNIST test data") : train.status();
  if (test.ok()) { return Pair{std::move(train).value(), std::move(test).value()}; }
  if (test.status().code() != Code::kNotFound) { return test.status(); }
  return not_found(fmt::format("{} (Fashion-MNIST: apt-get install dataset-fashion-mnist, or set data.directory)",
                               test.status().message()));
}

Result<Pair> load_idx(const Configuration& configuration, FileSystem& files) {
  const DataConfig& data = configuration.data;
  TRIBUTARY_RETURN_IF_ERROR(check_named("train_images", data.train_images));
  TRIBUTARY_RETURN_IF_ERROR(check_named("train_labels", data.train_labels));
  TRIBUTARY_ASSIGN_OR_RETURN(Dataset train,
                             read_idx_dataset(files, configuration.resolve(data.train_images),
                                              configuration.resolve(data.train_labels), "training data"));
  if (data.test_images.empty() && data.test_labels.empty()) { return Pair{std::move(train), std::nullopt}; }
  TRIBUTARY_RETURN_IF_ERROR(check_named("test_images", data.test_images));
  TRIBUTARY_RETURN_IF_ERROR(check_named("test_labels", data.test_labels));
  TRIBUTARY_ASSIGN_OR_RETURN(Dataset test, read_idx_dataset(files, configuration.resolve(data.test_images),
                                                            configuration.resolve(data.test_labels), "test data"));
  return Pair{std::move(train), std::move(test)};
}

Result<Pair> load_csv(const Configuration& configuration, FileSystem& files) {
  const DataConfig& data = configuration.data;
  TRIBUTARY_RETURN_IF_ERROR(check_named("train", data.train));
  CsvOptions options{data.label_column, data.id_column, nullptr};
  TRIBUTARY_ASSIGN_OR_RETURN(CsvTable train, read_csv(files, configuration.resolve(data.train), options));
  if (data.test.empty()) { return Pair{std::move(train.data), std::nullopt}; }
  options.like = &train;
  TRIBUTARY_ASSIGN_OR_RETURN(CsvTable test, read_csv(files, configuration.resolve(data.test), options));
  return Pair{std::move(train.data), std::move(test.data)};
}

Result<Pair> load_safetensors(const Configuration& configuration, FileSystem& files) {
  const DataConfig& data = configuration.data;
  TRIBUTARY_RETURN_IF_ERROR(check_named("train", data.train));
  TRIBUTARY_ASSIGN_OR_RETURN(Dataset train, read_safetensors_dataset(files, configuration.resolve(data.train)));
  if (data.test.empty()) { return Pair{std::move(train), std::nullopt}; }
  TRIBUTARY_ASSIGN_OR_RETURN(Dataset test, read_safetensors_dataset(files, configuration.resolve(data.test)));
  return Pair{std::move(train), std::move(test)};
}

// The test data has a fifth of the samples, and at least one of each class.
Result<Pair> load_synthetic(const Configuration& configuration) {
  const DataConfig& data = configuration.data;
  SyntheticOptions options{data.synthetic_samples, data.synthetic_shape, data.synthetic_classes, configuration.seed,
                           SyntheticOptions::Split::kTrain};
  TRIBUTARY_ASSIGN_OR_RETURN(Dataset train, make_synthetic(options));
  options.split = SyntheticOptions::Split::kTest;
  options.samples = std::max(data.synthetic_samples / 5, static_cast<std::uint64_t>(data.synthetic_classes));
  TRIBUTARY_ASSIGN_OR_RETURN(Dataset test, make_synthetic(options));
  return Pair{std::move(train), std::move(test)};
}

Result<Pair> load_pair(const Configuration& configuration, FileSystem& files) {
  switch (configuration.data.source) {
    case DataConfig::Source::kFashionMnist:
      return load_fashion_mnist(configuration, files);
    case DataConfig::Source::kIdx:
      return load_idx(configuration, files);
    case DataConfig::Source::kCsv:
      return load_csv(configuration, files);
    case DataConfig::Source::kSafetensors:
      return load_safetensors(configuration, files);
    case DataConfig::Source::kSynthetic:
      return load_synthetic(configuration);
    case DataConfig::Source::kNone:
      break;
  }
  return internal_error("data.source is none: there is nothing to load");
}

Result<Partition> partition_of(const Configuration& configuration, const Dataset& train, std::uint32_t clients) {
  const DataConfig& data = configuration.data;
  const std::uint64_t seed = configuration.seed;
  switch (data.partition) {
    case DataConfig::Partition::kIid:
      return Partition::iid(train.size(), clients, seed);
    case DataConfig::Partition::kLabelDirichlet:
      return Partition::label_dirichlet(train.labels, train.classes, clients, data.alpha, data.min_samples, seed);
    case DataConfig::Partition::kCountDirichlet:
      return Partition::count_dirichlet(train.size(), clients, data.beta, data.min_samples, seed);
    case DataConfig::Partition::kShards:
      return Partition::shards(train.labels, clients, data.shards_per_client, seed);
    case DataConfig::Partition::kNatural:
      if (train.natural_ids.empty()) {
        return invalid_argument("natural needs an id per sample: data.id_column of a CSV file, or a tensor named ids");
      }
      return Partition::natural(train.natural_ids, clients);
    case DataConfig::Partition::kDraw:
      return Partition::draw(train.size(), clients, data.samples_per_client, seed);
  }
  return internal_error("data.partition has no known value");
}

}  // namespace

std::filesystem::path fashion_mnist_directory(const Configuration& configuration) {
  const std::string& chosen = configuration.data.directory;
  return chosen.empty() ? fs::path(kFashionMnistDirectory) : configuration.resolve(chosen);
}

Result<LoadedData> load_data(const Configuration& configuration, FileSystem& files) {
  if (configuration.data.source == DataConfig::Source::kNone) { return LoadedData{}; }
  TRIBUTARY_ASSIGN_OR_RETURN(Pair data, load_pair(configuration, files));
  if (data.train.size() == 0) { return bad_data(fmt::format("{}: there are no samples", data.train.name)); }
  if (data.test && data.test->sample_shape != data.train.sample_shape) {
    return bad_data(fmt::format("{}: samples of shape {}, {} has {}", data.test->name,
                                internal::shape_text(data.test->sample_shape), data.train.name,
                                internal::shape_text(data.train.sample_shape)));
  }
  LoadedData loaded;
  if (data.test) {
    data.train.classes = data.test->classes = std::max(data.train.classes, data.test->classes);
    loaded.test = std::make_shared<const Dataset>(std::move(*data.test));
  }
  loaded.train = std::make_shared<const Dataset>(std::move(data.train));
  return loaded;
}

Result<Partition> make_partition(const Configuration& configuration, const Dataset& train, std::uint32_t clients) {
  Result<Partition> partition = partition_of(configuration, train, clients);
  if (partition.ok()) { return partition; }
  return configuration_error(fmt::format("data.partition: {}", partition.status().message()));
}

}  // namespace tributary
