// SPDX-License-Identifier: Apache-2.0
#include "tributary/data/load_dataset.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>

#include "base/reading.hpp"
#include "csv.hpp"
#include "idx.hpp"
#include "natural_partition.hpp"
#include "safetensors_dataset.hpp"
#include "synthetic.hpp"

namespace tributary {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kFashionMnistDirectory = "/usr/share/datasets/fashion-mnist";

struct Pair {
  Dataset train;
  std::optional<Dataset> test;
  std::vector<std::string> warnings;
};

using DatasetReader = std::function<Result<Dataset>()>;

// What a reader returned, or threw.
struct Reading {
  std::unique_ptr<Result<Dataset>> result;
  std::exception_ptr failure;

  void run(const DatasetReader& reader) noexcept {
    try {
      result.reset(new Result<Dataset>(reader()));
    } catch (...) { failure = std::current_exception(); }
  }
  Result<Dataset> take() {
    if (failure) { std::rethrow_exception(failure); }
    return std::move(*result);
  }
};

// Both results, read at the same time where the system lets one start a thread.
std::pair<Result<Dataset>, Result<Dataset>> side_by_side(const DatasetReader& first, const DatasetReader& second) {
  Reading one;
  Reading other;
  std::thread thread;
  try {
    thread = std::thread([&] { other.run(second); });
  } catch (const std::system_error&) { other.run(second); }
  one.run(first);
  if (thread.joinable()) { thread.join(); }
  return {one.take(), other.take()};
}

Status check_named(std::string_view key, const std::string& file) {
  return file.empty() ? configuration_error(fmt::format("data.{}: a file is needed", key)) : ok_status();
}

Result<Pair> load_fashion_mnist(const Configuration& configuration, FileSystem& files) {
  const fs::path directory = fashion_mnist_directory(configuration);
  const auto read = [&](std::string_view split, std::string_view name) {
    return read_idx_dataset(files, directory / fmt::format("{}-images-idx3-ubyte.gz", split),
                            directory / fmt::format("{}-labels-idx1-ubyte.gz", split), std::string(name));
  };
  auto [train, test] = side_by_side([&] { return read("train", "Fashion-MNIST training data"); },
                                    [&] { return read("t10k", "Fashion-MNIST test data"); });
  if (train.ok() && test.ok()) { return Pair{std::move(train).value(), std::move(test).value(), {}}; }
  const Status& wrong = train.ok() ? test.status() : train.status();
  if (wrong.code() != Code::kNotFound) { return wrong; }
  return not_found(
      fmt::format("{} (Fashion-MNIST: apt-get install dataset-fashion-mnist, or set data.directory)", wrong.message()));
}

Result<Pair> load_idx(const Configuration& configuration, FileSystem& files) {
  const DataConfig& data = configuration.data;
  TRIBUTARY_RETURN_IF_ERROR(check_named("train_images", data.train_images));
  TRIBUTARY_RETURN_IF_ERROR(check_named("train_labels", data.train_labels));
  const auto read_train = [&] {
    return read_idx_dataset(files, configuration.resolve(data.train_images), configuration.resolve(data.train_labels),
                            "training data");
  };
  if (data.test_images.empty() && data.test_labels.empty()) {
    TRIBUTARY_ASSIGN_OR_RETURN(Dataset train, read_train());
    return Pair{std::move(train), std::nullopt, {}};
  }
  TRIBUTARY_RETURN_IF_ERROR(check_named("test_images", data.test_images));
  TRIBUTARY_RETURN_IF_ERROR(check_named("test_labels", data.test_labels));
  auto [train, test] = side_by_side(read_train, [&] {
    return read_idx_dataset(files, configuration.resolve(data.test_images), configuration.resolve(data.test_labels),
                            "test data");
  });
  TRIBUTARY_RETURN_IF_ERROR(train.status());
  TRIBUTARY_RETURN_IF_ERROR(test.status());
  return Pair{std::move(train).value(), std::move(test).value(), {}};
}

Result<Pair> load_csv(const Configuration& configuration, FileSystem& files) {
  const DataConfig& data = configuration.data;
  TRIBUTARY_RETURN_IF_ERROR(check_named("train", data.train));
  CsvOptions options{.label_column = data.label_column,
                     .id_column = data.id_column,
                     .ignore_columns = data.ignore_columns,
                     .like = nullptr};
  TRIBUTARY_ASSIGN_OR_RETURN(CsvTable train, read_csv(files, configuration.resolve(data.train), options));
  if (data.test.empty()) { return Pair{std::move(train.data), std::nullopt, std::move(train.warnings)}; }
  options.like = &train;
  TRIBUTARY_ASSIGN_OR_RETURN(CsvTable test, read_csv(files, configuration.resolve(data.test), options));
  std::vector<std::string> warnings = std::move(train.warnings);
  warnings.insert(warnings.end(), test.warnings.begin(), test.warnings.end());
  return Pair{std::move(train.data), std::move(test.data), std::move(warnings)};
}

Result<Pair> load_safetensors(const Configuration& configuration, FileSystem& files) {
  const DataConfig& data = configuration.data;
  TRIBUTARY_RETURN_IF_ERROR(check_named("train", data.train));
  TRIBUTARY_ASSIGN_OR_RETURN(Dataset train, read_safetensors_dataset(files, configuration.resolve(data.train)));
  if (data.test.empty()) { return Pair{std::move(train), std::nullopt, {}}; }
  TRIBUTARY_ASSIGN_OR_RETURN(Dataset test, read_safetensors_dataset(files, configuration.resolve(data.test)));
  return Pair{std::move(train), std::move(test), {}};
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
  return Pair{std::move(train), std::move(test), {}};
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

std::string class_name(const Dataset& data, std::int32_t label) {
  return data.class_names.empty() ? fmt::to_string(label)
                                  : internal::printable(data.class_names[static_cast<std::size_t>(label)]);
}

// Whatever model there is of one class, it is right: most often the labels were looked for in the wrong place.
void warn_of_one_class(const Configuration& configuration, const Dataset& data, bool held_out,
                       std::vector<std::string>& warnings) {
  const auto other = [&](std::int32_t label) { return label != data.labels.front(); };
  if (data.labels.empty() || std::any_of(data.labels.begin(), data.labels.end(), other)) { return; }
  const bool is_table = configuration.data.source == DataConfig::Source::kCsv;
  const std::string where =
      is_table
          ? fmt::format("the column {} holds only one class, {}", internal::printable(configuration.data.label_column),
                        class_name(data, data.labels.front()))
          : fmt::format("all samples are of one class, {}", class_name(data, data.labels.front()));
  const std::string_view consequence = held_out ? "a model that always answers so is measured as perfect"
                                                : "there is nothing to tell apart, and every model is soon perfect";
  warnings.push_back(fmt::format("{}: {}: {}{}", data.name, where, consequence,
                                 is_table ? "; does data.label_column name the right column?" : ""));
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
    case DataConfig::Partition::kDraw:
      return Partition::draw(train.size(), clients, data.samples_per_client, seed);
    case DataConfig::Partition::kNatural:
      break;
  }
  return internal_error("data.partition has no known value");
}

Result<DataSpread> spread(const Configuration& configuration, const Dataset& train, const Tree& tree) {
  if (configuration.data.partition == DataConfig::Partition::kNatural) {
    TRIBUTARY_ASSIGN_OR_RETURN(NaturalPartition natural, natural_partition(train, tree, configuration.seed));
    return DataSpread{std::move(natural.partition), std::move(natural.client_ids), std::move(natural.warning)};
  }
  TRIBUTARY_ASSIGN_OR_RETURN(Partition partition, partition_of(configuration, train, tree.clients()));
  return DataSpread{std::move(partition), {}, {}};
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
  loaded.warnings = std::move(data.warnings);
  warn_of_one_class(configuration, data.train, false, loaded.warnings);
  if (data.test) {
    warn_of_one_class(configuration, *data.test, true, loaded.warnings);
    data.train.classes = data.test->classes = std::max(data.train.classes, data.test->classes);
    loaded.test = std::make_shared<const Dataset>(std::move(*data.test));
  }
  loaded.train = std::make_shared<const Dataset>(std::move(data.train));
  return loaded;
}

Result<DataSpread> make_partition(const Configuration& configuration, const Dataset& train, const Tree& tree) {
  Result<DataSpread> made = spread(configuration, train, tree);
  if (made.ok()) {
    if (const double share = configuration.evaluation.clients.holdout; share > 0.0) {
      made->partition.hold_out(share, configuration.seed);
    }
    return made;
  }
  return configuration_error(fmt::format("data.partition: {}", made.status().message()));
}

}  // namespace tributary
