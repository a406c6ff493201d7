// SPDX-License-Identifier: Apache-2.0
#include "tributary/data/safetensors.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "support/file_bytes.hpp"
#include "support/scratch_directory.hpp"
#include "tributary/data/model_file.hpp"

namespace tributary {
namespace {

using testing::bytes_of;
using testing::safetensors_bytes;
using testing::ScratchDirectory;

ParameterSpec two_layers() {
  return ParameterSpec::create({{"fc.weight", {2, 3}, TensorKind::kTrainable},
                                {"fc.bias", {2}, TensorKind::kTrainable},
                                {"bn.mean", {2}, TensorKind::kRunningMean},
                                {"bn.var", {2}, TensorKind::kRunningVariance},
                                {"scale", {}, TensorKind::kTrainable}})
      .value();
}

std::vector<float> counting(std::size_t count) {
  std::vector<float> values(count);
  for (std::size_t i = 0; i < count; ++i) { values[i] = static_cast<float>(i) + 0.5F; }
  return values;
}

template <typename T>
std::string raw(const std::vector<T>& values) {
  const std::span<const std::byte> bytes = std::as_bytes(std::span(values));
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

TEST(Safetensors, TheBytesWrittenAreTheFormats) {
  const std::vector<float> values{1.0F, -2.0F};
  const std::vector<std::uint8_t> flags{7};
  const std::vector<SafetensorsItem> items{{"w", DType::kF32, {1, 2}, std::as_bytes(std::span(values))},
                                           {"a\"b", DType::kU8, {1}, std::as_bytes(std::span(flags))}};

  const std::string header = safetensors_header(items, {{"format", "pt"}}).value();

  const std::string text = R"({"__metadata__":{"format":"pt"},"w":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},)"
                           R"("a\"b":{"dtype":"U8","shape":[1],"data_offsets":[8,9]}})";
  EXPECT_EQ(header.substr(8), text + std::string((8 - text.size() % 8) % 8, ' '));
  EXPECT_EQ(header.size() % 8, 0U);
  EXPECT_EQ(static_cast<std::size_t>(static_cast<unsigned char>(header[0])), header.size() - 8);
}

TEST(Safetensors, AFileByAnotherProgramIsReadWhateverTheOrderOfItsHeader) {
  const std::string file = safetensors_bytes(
      "{\"b\":{\"shape\":[2],\"data_offsets\":[4,6],\"dtype\":\"I8\"},"
      "\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]},"
      "\"__metadata__\":{\"k\":\"v\"}, \"none\":{\"dtype\":\"F64\",\"shape\":[0,5],\"data_offsets\":[6,6]}}   ",
      raw<float>({2.5F}) + "xy");

  const SafetensorsFile read = SafetensorsFile::parse(bytes_of(file), "test").value();

  ASSERT_EQ(read.tensors().size(), 3U);
  EXPECT_EQ(read.tensors()[0].name, "a");
  EXPECT_EQ(read.tensors()[1].dtype, DType::kI8);
  EXPECT_EQ(read.tensors()[2].shape, (std::vector<std::int64_t>{0, 5}));
  EXPECT_EQ(read.metadata(), (SafetensorsMetadata{{"k", "v"}}));
  EXPECT_EQ(read.data_bytes(), 6U);
  float value = 0;
  ASSERT_TRUE(read.read_floats(*read.find("a"), std::span(&value, 1)).ok());
  EXPECT_EQ(value, 2.5F);
}

TEST(Safetensors, EveryFloatingTypeBecomesFloat32) {
  const std::string file =
      safetensors_bytes(R"({"half":{"dtype":"F16","shape":[8],"data_offsets":[0,16]},)"
                        R"("brain":{"dtype":"BF16","shape":[2],"data_offsets":[16,20]},)"
                        R"("double":{"dtype":"F64","shape":[2],"data_offsets":[20,36]}})",
                        raw<std::uint16_t>({0x3C00, 0xC000, 0x0001, 0x8001, 0x03FF, 0x7BFF, 0x7C00, 0x8000}) +
                            raw<std::uint16_t>({0x3F80, 0xC2F7}) + raw<double>({0.1, -1e300}));
  const SafetensorsFile read = SafetensorsFile::parse(bytes_of(file), "test").value();
  std::vector<float> half(8), brain(2), wide(2);

  ASSERT_TRUE(read.read_floats(*read.find("half"), half).ok());
  ASSERT_TRUE(read.read_floats(*read.find("brain"), brain).ok());
  ASSERT_TRUE(read.read_floats(*read.find("double"), wide).ok());

  EXPECT_EQ(half, (std::vector<float>{1.0F, -2.0F, 0x1p-24F, -0x1p-24F, 1023 * 0x1p-24F, 65504.0F,
                                      std::numeric_limits<float>::infinity(), -0.0F}));
  EXPECT_TRUE(std::signbit(half[7]));
  EXPECT_EQ(brain, (std::vector<float>{1.0F, -123.5F}));
  EXPECT_EQ(wide, (std::vector<float>{0.1F, -std::numeric_limits<float>::infinity()}));
}

TEST(Safetensors, HalfNotANumberStaysNotANumber) {
  const std::string file =
      safetensors_bytes(R"({"h":{"dtype":"F16","shape":[1],"data_offsets":[0,2]}})", raw<std::uint16_t>({0x7E01}));
  const SafetensorsFile read = SafetensorsFile::parse(bytes_of(file), "test").value();
  float value = 0;

  ASSERT_TRUE(read.read_floats(*read.find("h"), std::span(&value, 1)).ok());

  EXPECT_TRUE(std::isnan(value));
}

TEST(Safetensors, LongTensorsOfOtherTypesAreConvertedPieceByPiece) {
  std::vector<double> doubles(10'001);
  for (std::size_t i = 0; i < doubles.size(); ++i) { doubles[i] = static_cast<double>(i) / 8.0; }
  const std::string file =
      safetensors_bytes(R"({"d":{"dtype":"F64","shape":[10001],"data_offsets":[0,80008]}})", raw<double>(doubles));
  const SafetensorsFile read = SafetensorsFile::parse(bytes_of(file), "test").value();
  std::vector<float> values(doubles.size());

  ASSERT_TRUE(read.read_floats(read.tensors()[0], values).ok());

  EXPECT_EQ(values.front(), 0.0F);
  EXPECT_EQ(values[4096], 512.0F);
  EXPECT_EQ(values.back(), 1250.0F);
}

TEST(Safetensors, TheWriterRefusesWhatNoReaderCouldRead) {
  const std::vector<float> values{1.0F, 2.0F};
  const std::span<const std::byte> bytes = std::as_bytes(std::span(values));
  const auto refusal = [](const std::vector<SafetensorsItem>& items, const SafetensorsMetadata& metadata = {}) {
    return safetensors_header(items, metadata).status();
  };

  EXPECT_EQ(refusal({{"", DType::kF32, {2}, bytes}}), invalid_argument("a tensor cannot be named \"\""));
  EXPECT_EQ(refusal({{"__metadata__", DType::kF32, {2}, bytes}}),
            invalid_argument("a tensor cannot be named \"__metadata__\""));
  EXPECT_EQ(refusal({{"a", DType::kF32, {2}, bytes}, {"a", DType::kF32, {2}, bytes}}),
            invalid_argument("two tensors are named a"));
  EXPECT_EQ(refusal({{"a", DType::kF32, {3}, bytes}}),
            invalid_argument("tensor a: 8 bytes do not fit F32 of shape [3]"));
  EXPECT_EQ(refusal({{"a\xFF", DType::kF32, {2}, bytes}}),
            invalid_argument("text that is not UTF-8 cannot be written as JSON"));
  EXPECT_EQ(refusal({{"a", DType::kF32, {2}, bytes}}, {{"k", "\xFF"}}),
            invalid_argument("text that is not UTF-8 cannot be written as JSON"));
}

TEST(ModelFile, AModelComesBackWithItsKindsAndOrder) {
  const ScratchDirectory scratch;
  const ParameterSpec spec = two_layers();
  const std::vector<float> values = counting(spec.parameters());

  ASSERT_TRUE(write_model(real_file_system(), scratch / "m.safetensors", spec, values, {{"by", "test"}}).ok());
  const StoredModel stored = read_model_with_spec(real_file_system(), scratch / "m.safetensors").value();

  EXPECT_EQ(stored.spec, spec);
  EXPECT_EQ(stored.values, values);
  EXPECT_EQ(stored.metadata.at("by"), "test");
  EXPECT_EQ(stored.metadata.at("tributary.kinds"), R"({"bn.mean":"running_mean","bn.var":"running_variance"})");
  EXPECT_EQ(read_model(real_file_system(), scratch / "m.safetensors", spec).value(), values);
}

TEST(ModelFile, TheSameModelGivesTheSameBytes) {
  const ScratchDirectory scratch;
  const ParameterSpec spec = two_layers();
  const std::vector<float> values = counting(spec.parameters());

  ASSERT_TRUE(write_model(real_file_system(), scratch / "a", spec, values, {{"x", "1"}, {"y", "2"}}).ok());
  ASSERT_TRUE(write_model(real_file_system(), scratch / "b", spec, values, {{"y", "2"}, {"x", "1"}}).ok());

  EXPECT_EQ(scratch.read("a"), scratch.read("b"));
}

TEST(ModelFile, ATensorWithoutValuesKeepsItsPlace) {
  const ScratchDirectory scratch;
  const ParameterSpec spec =
      ParameterSpec::create({{"z", {0}, {}}, {"y", {1}, {}}, {"x", {0, 3}, {}}, {"a", {0}, {}}}).value();

  ASSERT_TRUE(write_model(real_file_system(), scratch / "m", spec, std::vector<float>{4.0F}).ok());

  EXPECT_EQ(read_model_with_spec(real_file_system(), scratch / "m").value().spec, spec);
}

TEST(ModelFile, IntegerTensorsAreNoPartOfAModel) {
  const std::string file = safetensors_bytes(R"({"n":{"dtype":"I64","shape":[],"data_offsets":[0,8]},)"
                                             R"("w":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}})",
                                             std::string(8, '\x01') + raw<float>({3.0F}));
  const SafetensorsFile read = SafetensorsFile::parse(bytes_of(file), "test").value();
  const ParameterSpec spec = ParameterSpec::create({{"w", {1}, {}}}).value();

  EXPECT_EQ(read_model(read, spec).value(), std::vector<float>{3.0F});
  EXPECT_EQ(model_spec(read).value(), spec);
}

TEST(ModelFile, AWrongNumberOfValuesIsNotWritten) {
  const ScratchDirectory scratch;

  EXPECT_EQ(write_model(real_file_system(), scratch / "m", two_layers(), std::vector<float>(3)),
            invalid_argument("3 values for a model of 13"));
  EXPECT_EQ(real_file_system().kind(scratch / "m").value(), FileSystem::Kind::kNothing);
}

TEST(ModelFile, EveryTruncationIsRefused) {
  const ScratchDirectory scratch;
  const ParameterSpec spec = two_layers();
  ASSERT_TRUE(write_model(real_file_system(), scratch / "m", spec, counting(spec.parameters())).ok());
  const std::string whole = scratch.read("m");

  for (std::size_t size = 0; size < whole.size(); ++size) {
    const Result<SafetensorsFile> read = SafetensorsFile::parse(bytes_of(whole).first(size), "test");
    EXPECT_EQ(read.status().code(), Code::kBadData) << size;
  }
}

}  // namespace
}  // namespace tributary
