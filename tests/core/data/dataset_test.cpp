// SPDX-License-Identifier: Apache-2.0
#include "tributary/data/dataset.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "safetensors_dataset.hpp"
#include "support/file_bytes.hpp"
#include "synthetic.hpp"

namespace tributary {
namespace {

Dataset good() {
  Dataset data;
  data.name = "data";
  data.sample_shape = {2};
  data.features = std::vector<float>{1, 2, 3, 4};
  data.labels = {0, 1};
  data.classes = 2;
  return data;
}

TEST(Dataset, WhatFitsTogetherPasses) {
  EXPECT_TRUE(good().check().ok());
  EXPECT_EQ(good().size(), 2U);
  EXPECT_EQ(good().sample_size(), 2U);
}

TEST(Dataset, WhatDoesNotFitTogetherIsNamed) {
  Dataset few = good();
  few.features = std::vector<std::uint8_t>{1, 2, 3};
  Dataset label = good();
  label.labels = {0, 2};
  Dataset infinite = good();
  infinite.features = std::vector<float>{1, 2, 3, std::numeric_limits<float>::infinity()};
  Dataset ids = good();
  ids.natural_ids = {1};
  Dataset shape = good();
  shape.sample_shape = {2, 0};

  EXPECT_EQ(few.check(), bad_data("data: 3 feature values for 2 labels and samples of shape [2]"));
  EXPECT_EQ(label.check(), bad_data("data: sample 1 has label 2, expected 0 to 1"));
  EXPECT_EQ(infinite.check(), bad_data("data: sample 1 has a feature that is not finite (number 1)"));
  EXPECT_EQ(ids.check(), bad_data("data: 1 ids for 2 samples"));
  EXPECT_EQ(shape.check(), bad_data("data: a sample of shape [2, 0] has no values"));
}

TEST(Dataset, ANotANumberDeepInsideIsFound) {
  Dataset data = good();
  data.sample_shape = {1};
  data.labels.assign(10'000, 0);
  std::vector<float> values(10'000, 1.0F);
  values[9'876] = std::nanf("");
  data.features = values;

  EXPECT_EQ(data.check(), bad_data("data: sample 9876 has a feature that is not finite (number 0)"));
}

TEST(SafetensorsDataset, BytesFloatsLabelsAndIdsAreRead) {
  std::string numbers(2 * sizeof(std::int64_t), '\0');
  numbers[0] = 5;
  numbers[8] = 9;
  const std::string file =
      testing::safetensors_bytes(R"({"features":{"dtype":"U8","shape":[2,1,2],"data_offsets":[0,4]},)"
                                 R"("labels":{"dtype":"U8","shape":[2],"data_offsets":[4,6]},)"
                                 R"("ids":{"dtype":"I64","shape":[2],"data_offsets":[6,22]}})",
                                 std::string("\x01\x02\x03\xFF\x02\x00", 6) + numbers);

  const Dataset data = read_safetensors_dataset(SafetensorsFile::parse(testing::bytes_of(file), "d").value()).value();

  EXPECT_EQ(std::get<0>(data.features), (std::vector<std::uint8_t>{1, 2, 3, 255}));
  EXPECT_EQ(data.sample_shape, (std::vector<std::int64_t>{1, 2}));
  EXPECT_EQ(data.labels, (std::vector<std::int32_t>{2, 0}));
  EXPECT_EQ(data.classes, 3);
  EXPECT_EQ(data.natural_ids, (std::vector<std::int64_t>{5, 9}));
  EXPECT_EQ(data.scale, 1.0F / 255.0F);
}

TEST(Synthetic, TheSeedDecidesAndTheSplitsDiffer) {
  SyntheticOptions options;
  options.samples = 50;
  const Dataset a = make_synthetic(options).value();
  const Dataset again = make_synthetic(options).value();
  options.split = SyntheticOptions::Split::kTest;
  const Dataset test = make_synthetic(options).value();
  options.split = SyntheticOptions::Split::kTrain;
  options.seed = 2;
  const Dataset other = make_synthetic(options).value();

  EXPECT_TRUE(a.check().ok());
  EXPECT_EQ(a.features, again.features);
  EXPECT_NE(a.features, test.features);
  EXPECT_NE(a.features, other.features);
}

TEST(Synthetic, ClassMeansOfBothSplitsAgree) {
  SyntheticOptions options;
  options.samples = 8000;
  options.shape = {4};
  options.classes = 2;
  const Dataset train = make_synthetic(options).value();
  options.split = SyntheticOptions::Split::kTest;
  const Dataset test = make_synthetic(options).value();
  const auto mean_of_class = [](const Dataset& data, std::size_t label, std::size_t feature) {
    double sum = 0;
    for (std::size_t i = label; i < data.size(); i += 2) { sum += std::get<1>(data.features)[i * 4 + feature]; }
    return sum / static_cast<double>(data.size() / 2);
  };

  // 4,000 standard normal values each: the difference of means has a deviation of 0.022; six of them.
  for (std::size_t feature = 0; feature < 4; ++feature) {
    EXPECT_NEAR(mean_of_class(train, 0, feature), mean_of_class(test, 0, feature), 0.135);
    EXPECT_NEAR(mean_of_class(train, 1, feature), mean_of_class(test, 1, feature), 0.135);
  }
}

TEST(Synthetic, ImpossibleOptionsAreRefused) {
  SyntheticOptions none;
  none.samples = 0;
  SyntheticOptions shape;
  shape.shape = {3, -1};
  SyntheticOptions classes;
  classes.classes = 1;
  SyntheticOptions huge;
  huge.shape = {1 << 30, 1 << 30};

  EXPECT_EQ(make_synthetic(none).status(),
            invalid_argument("synthetic data: 0 samples of 16 values, expected 1 to 4294967296 values in all"));
  EXPECT_EQ(make_synthetic(shape).status(),
            invalid_argument("synthetic data: a sample of shape [3, -1] has no values"));
  EXPECT_EQ(make_synthetic(classes).status(),
            invalid_argument("synthetic data: 1 classes for 1000 samples, expected 2 to 1000"));
  EXPECT_EQ(make_synthetic(huge).status().code(), Code::kInvalidArgument);
}

}  // namespace
}  // namespace tributary
