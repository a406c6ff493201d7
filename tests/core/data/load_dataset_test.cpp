// SPDX-License-Identifier: Apache-2.0
#include "tributary/data/load_dataset.hpp"

#include <gtest/gtest.h>

#include <string>

#include "support/file_bytes.hpp"
#include "support/scratch_directory.hpp"

namespace tributary {
namespace {

using testing::gzip_bytes;
using testing::idx_bytes;
using testing::ScratchDirectory;

Configuration of(DataConfig::Source source, const ScratchDirectory& scratch) {
  Configuration configuration;
  configuration.data.source = source;
  configuration.base_directory = scratch.path();
  return configuration;
}

Tree star(std::uint32_t clients) {
  Tree::Builder builder;
  builder.child_counts.assign(std::size_t{clients} + 1, 0);
  builder.child_counts[0] = clients;
  return Tree::create(std::move(builder)).value();
}

TEST(LoadDataset, FashionMnistIsReadFromADirectory) {
  const ScratchDirectory scratch;
  for (const std::string split : {"train", "t10k"}) {
    scratch.write(split + "-images-idx3-ubyte.gz", gzip_bytes(idx_bytes({2, 1, 2}, "abcd")));
    scratch.write(split + "-labels-idx1-ubyte.gz",
                  gzip_bytes(idx_bytes({2}, split == "train" ? std::string("\x00\x01", 2) : "\x09\x03")));
  }
  Configuration configuration = of(DataConfig::Source::kFashionMnist, scratch);
  configuration.data.directory = ".";

  const LoadedData data = load_data(configuration).value();

  EXPECT_EQ(data.train->size(), 2U);
  EXPECT_EQ(data.train->classes, 10);  // both know the classes of either
  EXPECT_EQ(data.test->classes, 10);
  EXPECT_EQ(data.test->sample_shape, (std::vector<std::int64_t>{1, 1, 2}));
}

TEST(LoadDataset, WithoutFashionMnistTheMessageSaysHowToGetIt) {
  const ScratchDirectory scratch;
  Configuration configuration = of(DataConfig::Source::kFashionMnist, scratch);
  configuration.data.directory = "none";

  EXPECT_EQ(load_data(configuration).status(),
            not_found("cannot read " + (scratch / "none/train-labels-idx1-ubyte.gz").string() +
                      ": No such file or directory (Fashion-MNIST: apt-get install dataset-fashion-mnist, or set "
                      "data.directory)"));
}

TEST(LoadDataset, CsvTestDataFollowsTheTrainingData) {
  const ScratchDirectory scratch;
  scratch.write("train.csv", "who,x,kind\n1,0.5,b\n2,1.5,a\n");
  scratch.write("test.csv", "who,x,kind\n1,2.5,b\n");
  Configuration configuration = of(DataConfig::Source::kCsv, scratch);
  configuration.data.train = "train.csv";
  configuration.data.test = "test.csv";
  configuration.data.label_column = "kind";
  configuration.data.id_column = "who";

  const LoadedData data = load_data(configuration).value();
  configuration.data.partition = DataConfig::Partition::kNatural;
  const Partition partition = make_partition(configuration, *data.train, star(2)).value().partition;

  EXPECT_EQ(data.test->labels, std::vector<std::int32_t>{1});
  EXPECT_EQ(partition.samples(ClientIndex{1}), std::vector<std::uint32_t>{1});
}

TEST(LoadDataset, SyntheticDataHasATestSetOfAFifth) {
  const ScratchDirectory scratch;

  const LoadedData data = load_data(of(DataConfig::Source::kSynthetic, scratch)).value();

  EXPECT_EQ(data.train->size(), 1000U);
  EXPECT_EQ(data.test->size(), 200U);
  EXPECT_NE(data.train->features, data.test->features);
}

TEST(LoadDataset, SourceNoneGivesNothing) {
  const ScratchDirectory scratch;

  const LoadedData data = load_data(of(DataConfig::Source::kNone, scratch)).value();

  EXPECT_EQ(data.train, nullptr);
  EXPECT_EQ(data.test, nullptr);
}

TEST(LoadDataset, TestDataIsOptionalAndMustHaveTheSameShape) {
  const ScratchDirectory scratch;
  scratch.write("i", idx_bytes({1, 2}, "ab"));
  scratch.write("wide", idx_bytes({1, 3}, "abc"));
  scratch.write("l", idx_bytes({1}, std::string(1, '\0')));
  Configuration configuration = of(DataConfig::Source::kIdx, scratch);
  configuration.data.train_images = "i";
  configuration.data.train_labels = "l";

  EXPECT_EQ(load_data(configuration).value().test, nullptr);
  configuration.data.test_images = "wide";
  EXPECT_EQ(load_data(configuration).status(), configuration_error("data.test_labels: a file is needed"));
  configuration.data.test_labels = "l";
  EXPECT_EQ(load_data(configuration).status(), bad_data("test data: samples of shape [3], training data has [2]"));
}

TEST(LoadDataset, ASingleClassIsWarnedOf) {
  const ScratchDirectory scratch;
  Configuration table = of(DataConfig::Source::kCsv, scratch);
  table.data.train = scratch.write("train.csv", "x,label\n1,ill\n2,ill\n").string();
  table.data.test = scratch.write("test.csv", "x,label\n1,ill\n").string();
  scratch.write("i", idx_bytes({2, 2}, "abcd"));
  scratch.write("l", idx_bytes({2}, "\3\3"));
  Configuration images = of(DataConfig::Source::kIdx, scratch);
  images.data.train_images = "i";
  images.data.train_labels = "l";

  EXPECT_EQ(load_data(table).value().warnings,
            (std::vector<std::string>{
                table.data.train + ": the column label holds only one class, ill: there is nothing to tell apart, and "
                                   "every model is soon perfect; does data.label_column name the right column?",
                table.data.test + ": the column label holds only one class, ill: a model that always answers so is "
                                  "measured as perfect; does data.label_column name the right column?"}));
  EXPECT_EQ(load_data(images).value().warnings,
            (std::vector<std::string>{"training data: all samples are of one class, 3: there is nothing to tell apart, "
                                      "and every model is soon perfect"}));
  scratch.write("l", idx_bytes({2}, "\3\1"));
  EXPECT_TRUE(load_data(images).value().warnings.empty());
}

TEST(LoadDataset, EveryPartitionOfTheConfigurationIsMade) {
  const ScratchDirectory scratch;
  Configuration configuration = of(DataConfig::Source::kSynthetic, scratch);
  const LoadedData data = load_data(configuration).value();
  using Kind = DataConfig::Partition;

  for (const Kind kind : {Kind::kIid, Kind::kLabelDirichlet, Kind::kCountDirichlet, Kind::kShards, Kind::kDraw}) {
    configuration.data.partition = kind;
    EXPECT_EQ(make_partition(configuration, *data.train, star(10)).value().partition.clients(), 10U);
  }
}

TEST(LoadDataset, APartitionThatCannotBeMadeNamesItsKey) {
  const ScratchDirectory scratch;
  Configuration configuration = of(DataConfig::Source::kSynthetic, scratch);
  const LoadedData data = load_data(configuration).value();

  configuration.data.partition = DataConfig::Partition::kNatural;
  EXPECT_EQ(make_partition(configuration, *data.train, star(10)).status(),
            configuration_error("data.partition: natural needs an id per sample: data.id_column of a CSV file, or a "
                                "tensor named ids"));
  configuration.data.partition = DataConfig::Partition::kShards;
  EXPECT_EQ(make_partition(configuration, *data.train, star(501)).status(),
            configuration_error("data.partition: 1000 samples are too few for 501 clients with at least 2 each"));
}

}  // namespace
}  // namespace tributary
