// SPDX-License-Identifier: Apache-2.0
// Wrong data files, models and checkpoints, each with the exact message it gets.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "csv.hpp"
#include "idx.hpp"
#include "safetensors_dataset.hpp"
#include "support/file_bytes.hpp"
#include "support/scratch_directory.hpp"
#include "tributary/data/model_file.hpp"
#include "tributary/run/checkpoint.hpp"

namespace tributary {
namespace {

using testing::bytes_of;
using testing::float_bytes;
using testing::gzip_bytes;
using testing::idx_bytes;
using testing::safetensors_bytes;
using testing::ScratchDirectory;

struct BadFile {
  std::string name;  // of the case
  std::string content;
  Status expected;  // the message without the file's name and the colon after it
};

void PrintTo(const BadFile& file, std::ostream* out) {
  *out << file.name;
}
std::string case_name(const ::testing::TestParamInfo<BadFile>& info) {
  return info.param.name;
}

// Tensor w, two float32 values, as a header entry.
constexpr std::string_view kW = R"("w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]})";

BadFile header(std::string name, std::string_view text, std::string message, std::size_t bytes = 8) {
  return {std::move(name), safetensors_bytes(text, std::string(bytes, '\0')), bad_data("header: " + message)};
}

class BadSafetensors : public ::testing::TestWithParam<BadFile> {};

TEST_P(BadSafetensors, IsRefusedWithItsMessage) {
  const Status status = SafetensorsFile::parse(bytes_of(GetParam().content), "m").status();

  EXPECT_EQ(status, GetParam().expected.with_context("m"));
}

INSTANTIATE_TEST_SUITE_P(
    Files, BadSafetensors,
    ::testing::Values(
        BadFile{"Empty", "", bad_data("0 bytes are too few for a safetensors file")},
        BadFile{"SevenBytes", "1234567", bad_data("7 bytes are too few for a safetensors file")},
        BadFile{"HugeHeader", std::string(8, '\xFF'),
                bad_data("is no safetensors file: it would have a header of 18446744073709551615 bytes, and the format "
                         "allows 100000000")},
        BadFile{"FileOfPyTorch", std::string("PK\x03\x04\0\0\x08\x08 archive/data.pkl", 25),
                bad_data("is no safetensors file but one of PyTorch, it seems; in Python, "
                         "safetensors.torch.save_file(model.state_dict(), \"model.safetensors\") writes one")},
        BadFile{"HeaderBeyondTheEnd", std::string("\x09\0\0\0\0\0\0\0{}", 10),
                bad_data("announces a header of 9 bytes, only 2 follow")},
        BadFile{"HeaderIsNoObject", safetensors_bytes("[]"),
                bad_data("is no safetensors file: its header does not start with {")},
        BadFile{"HeaderStartsWithASpace", safetensors_bytes(" {}"),
                bad_data("is no safetensors file: its header does not start with {")},
        header("CutOffJson", R"({"w":)", "not valid JSON at byte 6"),
        header("TextAfterTheHeader", "{} x", "not valid JSON at byte 4"),
        header("NotUtf8", "{\"\xFF\":{}}", "not valid JSON at byte 3"),
        header("RepeatedTensor", fmt::format("{{{0},{0}}}", kW), "tensor w stands twice"),
        header("RepeatedField", R"({"w":{"dtype":"F32","dtype":"F32"}})", "tensor w: dtype stands twice"),
        header("RepeatedMetadataKey", R"({"__metadata__":{"a":"1","a":"2"}})", "__metadata__: key a stands twice"),
        header("RepeatedMetadata", R"({"__metadata__":{},"__metadata__":{}})", "__metadata__ stands twice"),
        header("MetadataIsANumber", R"({"__metadata__":{"a":1}})",
               "__metadata__: a: expected a string, found a number"),
        header("EmptyName", R"({"":{}})", "a tensor has an empty name"),
        header("ControlCharactersInAName", R"({"\u001b[2J":1})",
               R"(tensor \x1b[2J: expected dtype, shape and )"
               R"(data_offsets, found a number)"),
        header("UnknownDType", R"({"w":{"dtype":"F31"}})", "tensor w: unknown dtype F31"),
        header("UnknownField", R"({"w":{"stride":[1]}})", "tensor w: unknown key stride"),
        header("MissingField", R"({"w":{"dtype":"F32","shape":[2]}})", "tensor w: data_offsets is missing"),
        header("NegativeDimension", R"({"w":{"dtype":"F32","shape":[-2]}})", "tensor w: -2 is negative"),
        header("FractionalDimension", R"({"w":{"dtype":"F32","shape":[1.5]}})", "tensor w: 1.5 is not a whole number"),
        header("DimensionBeyond63Bits", R"({"w":{"dtype":"F32","shape":[9223372036854775808]}})",
               "tensor w: 9223372036854775808 is too large"),
        header("OverflowingShape", R"({"w":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}})",
               "tensor w: the shape [4294967296, 4294967296] is too large"),
        header("OverflowingBytes", R"({"w":{"dtype":"F64","shape":[4611686018427387904],"data_offsets":[0,0]}})",
               "tensor w: the shape [4611686018427387904] is too large"),
        header("ThreeOffsets", R"({"w":{"data_offsets":[0,1,2]}})", "tensor w: data_offsets are not two numbers"),
        header("OneOffset", R"({"w":{"data_offsets":[0]}})", "tensor w: data_offsets are not two numbers"),
        header("OffsetsBackwards", R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}})",
               "tensor w: data_offsets [8, 0] do not fit F32 of shape [2], which needs 8 bytes"),
        header("OffsetsOfAnotherSize", R"({"w":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})",
               "tensor w: data_offsets [0, 8] do not fit F32 of shape [3], which needs 12 bytes"),
        header("DeepNesting", R"({"w":{"dtype":"F32","shape":[[)" + std::string(100'000, '['),
               "tensor w: expected a number, found an array"),
        BadFile{"Hole", safetensors_bytes(R"({"w":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}})", "12345678"),
                bad_data("tensor w starts at byte 4, the one before it ends at 0")},
        BadFile{"Overlap",
                safetensors_bytes(R"({"v":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)"
                                  R"("w":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}})",
                                  "123456"),
                bad_data("tensor w starts at byte 2, the one before it ends at 4")},
        BadFile{"MissingBytes", safetensors_bytes(fmt::format("{{{}}}", kW), "1234567"),
                bad_data("the tensors need 8 bytes, the file holds 7")},
        BadFile{"BytesLeftOver", safetensors_bytes(fmt::format("{{{}}}", kW), "123456789"),
                bad_data("the tensors need 8 bytes, the file holds 9")}),
    case_name);

class BadModel : public ::testing::TestWithParam<BadFile> {};

TEST_P(BadModel, IsRefusedWithItsMessage) {
  const ScratchDirectory scratch;
  const auto path = scratch.write("m.safetensors", GetParam().content);
  const ParameterSpec spec = ParameterSpec::create({{"w", {2}, {}}}).value();

  EXPECT_EQ(read_model(real_file_system(), path, spec).status(), GetParam().expected.with_context(path.string()));
}

INSTANTIATE_TEST_SUITE_P(
    Files, BadModel,
    ::testing::Values(
        BadFile{"MissingTensor", safetensors_bytes("{}"), bad_data("tensor w of the model is missing")},
        BadFile{"WrongShape",
                safetensors_bytes(R"({"w":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}})", "12345678"),
                bad_data("tensor w has shape [1, 2], the model has [2]")},
        BadFile{"IntegerInsteadOfFloat",
                safetensors_bytes(R"({"w":{"dtype":"I32","shape":[2],"data_offsets":[0,8]}})", "12345678"),
                bad_data("tensor w is I32, expected F32, F16, BF16 or F64")},
        BadFile{"ExtraTensor",
                safetensors_bytes(fmt::format(R"({{{},"x":{{"dtype":"F16","shape":[1],"data_offsets":[8,10]}}}})", kW),
                                  "1234567890"),
                bad_data("tensor x is not in the model")}),
    case_name);

class BadModelWithoutSpec : public ::testing::TestWithParam<BadFile> {};

TEST_P(BadModelWithoutSpec, IsRefusedWithItsMessage) {
  const SafetensorsFile file = SafetensorsFile::parse(bytes_of(GetParam().content), "m").value();

  EXPECT_EQ(model_spec(file).status(), GetParam().expected.with_context("m"));
}

BadFile kinds(std::string name, std::string_view escaped, std::string message) {
  return {std::move(name),
          safetensors_bytes(fmt::format(R"({{"__metadata__":{{"tributary.kinds":"{}"}},{}}})", escaped, kW),
                            float_bytes({1, 2})),
          bad_data(std::move(message))};
}

INSTANTIATE_TEST_SUITE_P(
    Files, BadModelWithoutSpec,
    ::testing::Values(BadFile{"NoTensors", safetensors_bytes("{}"), bad_data("a model needs at least one tensor")},
                      kinds("KindsAreNotJson", "x", "tributary.kinds: not valid JSON"),
                      kinds("KindsAreAList", "[]", "tributary.kinds: not an object"),
                      kinds("KindsTwice", R"({\"w\":\"running_mean\",\"w\":\"running_mean\"})",
                            "tributary.kinds: key w stands twice"),
                      kinds("KindsTooDeep", R"({\"w\":[[[]]]})", "tributary.kinds: nested deeper than 1"),
                      kinds("UnknownKind", R"({\"w\":\"median\"})", "tributary.kinds: w: unknown kind"),
                      kinds("KindOfNothing", R"({\"v\":\"running_mean\"})",
                            "tributary.kinds: names a tensor that is not in the file"),
                      kinds("VarianceWithoutMean", R"({\"w\":\"running_variance\"})",
                            "running variance w needs the running mean of the same shape right before it")),
    case_name);

class BadCheckpoint : public ::testing::TestWithParam<BadFile> {};

TEST_P(BadCheckpoint, IsRefusedWithItsMessage) {
  const ScratchDirectory scratch;
  const auto path = scratch.write("c.safetensors", GetParam().content);
  const CheckpointStore store(real_file_system(), scratch.path(), 1);
  const ParameterSpec spec = ParameterSpec::create({{"w", {2}, {}}}).value();

  EXPECT_EQ(store.load(path, spec).status(), GetParam().expected.with_context(path.string()));
  EXPECT_EQ(inspect_checkpoint(real_file_system(), path).status(), GetParam().expected.with_context(path.string()));
}

BadFile checkpoint(std::string name, std::string_view state, Status expected, std::string_view format = "1",
                   std::string_view tensor = kW) {
  std::string escaped;
  for (const char c : state) { escaped += c == '"' ? "\\\"" : std::string(1, c); }
  return {std::move(name),
          safetensors_bytes(fmt::format(R"({{"__metadata__":{{"tributary.checkpoint":"{}","tributary.state":"{}",)"
                                        R"("tributary.digest":"0000"}},{}}})",
                                        format, escaped, tensor),
                            float_bytes({1, 2})),
          std::move(expected)};
}

std::string state(std::string_view spec) {
  return fmt::format(
      R"({{"configuration":"{}","extra":{{}},"records_bytes":0,"round":1,"seed":1,"spec":"{}","version":1}})",
      std::string(64, 'a'), spec);
}

std::string fingerprint() {
  return ParameterSpec::create({{"w", {2}, {}}}).value().fingerprint().hex();
}

std::string digest_of(const std::string& text) {
  return sha256(text + float_bytes({1, 2})).hex();
}

INSTANTIATE_TEST_SUITE_P(
    Files, BadCheckpoint,
    ::testing::Values(
        BadFile{"PlainModel", safetensors_bytes(fmt::format("{{{}}}", kW), "12345678"),
                bad_data("not a checkpoint: metadata key tributary.checkpoint is missing")},
        BadFile{"NoState", safetensors_bytes(R"({"__metadata__":{"tributary.checkpoint":"1"}})"),
                bad_data("not a checkpoint: metadata key tributary.state is missing")},
        checkpoint("LaterFormat", "{}",
                   unsupported("checkpoint format 4, this program reads formats 1, 2 and 3: a later version of it has "
                               "written the file, "
                               "and can go on from there"),
                   "4"),
        checkpoint("StateIsNotJson", "{", bad_data("tributary.state: not valid JSON")),
        checkpoint("StateKeyTwice", R"({"round":1,"round":2})", bad_data("tributary.state: key round stands twice")),
        checkpoint("StateTooDeep", R"({"extra":{"a":[]}})", bad_data("tributary.state: nested deeper than 2")),
        checkpoint("StateIsAList", "[1]", bad_data("tributary.state: round is not a whole number")),
        checkpoint("NegativeRound", R"({"round":-1})", bad_data("tributary.state: round is not a whole number")),
        checkpoint("ShortDigest", R"({"round":1,"version":1,"seed":1,"records_bytes":0,"configuration":"abc"})",
                   bad_data("tributary.state: configuration is not 64 hexadecimal digits")),
        checkpoint("DigestOfOtherLetters", state(std::string(64, 'g')),
                   bad_data("tributary.state: spec is not 64 hexadecimal digits")),
        checkpoint("OtherTensors", state(std::string(64, '0')),
                   bad_data("the tensors are not those the state was written for")),
        checkpoint("HalfPrecision", state(fingerprint()), bad_data("tensor w is F16, a checkpoint has F32"), "1",
                   R"("w":{"dtype":"F16","shape":[4],"data_offsets":[0,8]})"),
        checkpoint("WrongDigest", state(fingerprint()),
                   bad_data("damaged: the digest of its content is " + digest_of(state(fingerprint())) +
                            ", it was written with 0000"))),
    case_name);

class BadIdx : public ::testing::TestWithParam<BadFile> {};

TEST_P(BadIdx, IsRefusedWithItsMessage) {
  EXPECT_EQ(parse_idx(bytes_of(GetParam().content), "i").status(), GetParam().expected.with_context("i"));
}

INSTANTIATE_TEST_SUITE_P(
    Files, BadIdx,
    ::testing::Values(
        BadFile{"Empty", "", bad_data("0 bytes are too few for an IDX file")},
        BadFile{"NotIdx", "PNG file", bad_data("not an IDX file: starts with 50 4e, expected 00 00")},
        BadFile{"Floats", idx_bytes({1}, "1234", '\x0D'),
                unsupported("IDX element type 0x0d, only 0x08 (unsigned byte) is read")},
        BadFile{"NoDimensions", idx_bytes({}, ""), bad_data("0 dimensions, expected 1 to 8")},
        BadFile{"NineDimensions", idx_bytes(std::vector<std::uint32_t>(9, 1), "x"),
                bad_data("9 dimensions, expected 1 to 8")},
        BadFile{"CutOffHeader", idx_bytes({2, 2}, "").substr(0, 10), bad_data("ends within its header")},
        BadFile{"FewerValues", idx_bytes({3}, "ab"), bad_data("announces [3] values, the file can hold at most 2")},
        BadFile{"HugeShape", idx_bytes({0xFFFFFFFFU, 0xFFFFFFFFU, 0xFFFFFFFFU}, "ab"),
                bad_data("announces [4294967295, 4294967295, 4294967295] values, the file can hold at most 2")},
        BadFile{"MoreValues", idx_bytes({3}, "abcde"), bad_data("has 2 bytes more than its header announces")},
        BadFile{"FewerPackedValues", gzip_bytes(idx_bytes({3}, "ab")),
                bad_data("its gzip content ends 1 bytes before what its header announces")},
        BadFile{"MorePackedValues", gzip_bytes(idx_bytes({3}, "abcd")),
                bad_data("unpacks to more bytes than its header announces")},
        BadFile{"CutOffGzip", gzip_bytes(idx_bytes({3}, "abc")).substr(0, 20), bad_data("its gzip content is cut off")},
        BadFile{"BytesAfterGzip", gzip_bytes(idx_bytes({3}, "abc")) + "xy",
                bad_data("has 2 bytes after its gzip content")},
        BadFile{"WrongGzipMethod", "\x1F\x8B\x07 something",
                bad_data("damaged gzip content: unknown compression method")}),
    case_name);

class BadCsv : public ::testing::TestWithParam<BadFile> {};

TEST_P(BadCsv, IsRefusedWithItsMessage) {
  CsvOptions options;
  options.id_column = GetParam().content.find("who") == std::string::npos ? "" : "who";

  EXPECT_EQ(parse_csv(GetParam().content, "t.csv", options).status(),
            bad_data("t.csv:" + GetParam().expected.message()));
}

BadFile csv(std::string name, std::string content, std::string message) {
  return {std::move(name), std::move(content), bad_data(std::move(message))};
}

INSTANTIATE_TEST_SUITE_P(
    Files, BadCsv,
    ::testing::Values(
        csv("Empty", "\n\n", " is empty, expected a header line"),
        csv("OnlyAHeader", "x,label\n", " has no samples after its header line"),
        csv("NoLabelColumn", "x,y\n1,2\n",
            "1: there is no column label, which data.label_column names; the columns are x, y"),
        csv("NoIdColumn", "x,label,who else\n1,2,3\n",
            "1: there is no column who, which data.id_column names (did you mean who else?); the columns are x, label, "
            "who else"),
        csv("NoFeatures", "label\n1\n", "1: there is no feature column"),
        csv("ColumnWithoutName", "x,,label\n", "1:3: column 2 of 3 has no name; name it in the header line"),
        csv("IndexColumnOfPandas", ",x,label\n0,1,0\n",
            "1:1: the first column has no name; pandas writes its row numbers so: use to_csv(index=False), or give the "
            "column a name and list it in data.ignore_columns"),
        csv("DelimiterAtTheEnd", "x,label,\n1,0,\n",
            "1:9: column 3 of 3 has no name; name it, or remove the delimiter at the end of each line"),
        csv("ColumnTwice", "x,label,x\n", "1:9: two columns are named x"),
        csv("TooFewFields", "x,y,label\n1,2,0\n1,0\n", "3:1: 2 fields, the header line has 3"),
        csv("TooManyFields", "x,label\n1,0,\n", "2:1: 3 fields, the header line has 2"),
        csv("NotANumber", "x,y,label\n1,two,0\n",
            "2:3: column y: expected a finite number, found \"two\"; if the column is no feature, name it "
            "in data.ignore_columns or, if it says whose sample it is, in data.id_column"),
        csv("EmptyNumber", "x,y,label\n1,,0\n",
            "2:3: column y: a value is missing; fill it in, leave the line out or, if the column is no feature, name "
            "it in data.ignore_columns"),
        csv("MissingNumber", "x,y,label\n1,NA,0\n",
            "2:3: column y: a value is missing (\"NA\" stands for none); fill it in, leave the line out or, if the "
            "column is no feature, name it in data.ignore_columns"),
        csv("NoNumber", "x,label\nnan,0\n",
            "2:1: column x: a value is missing (\"nan\" stands for none); fill it in, leave the line out or, if the "
            "column is no feature, name it in data.ignore_columns"),
        csv("SeparatorOfThousands", "x,label\n\"39,081.43\",0\n",
            "2:1: column x: expected a finite number, found \"39,081.43\"; write it without separators of thousands: "
            "39081.43"),
        csv("Infinite", "x,label\ninf,0\n", "2:1: column x: expected a finite number, found \"inf\""),
        csv("BeyondFloat", "x,label\n1e39,0\n",
            "2:1: column x: 1e39 is beyond the range of float32, which ends at 3.40282e+38; scale the column"),
        csv("EmptyLabel", "x,label\n1, \n",
            "2:3: column label: the label is missing; fill it in, or leave the line out"),
        csv("EmptyId", "x,label,who\n1,0,\n", "2:5: column who: the id is missing; fill it in, or leave the line out"),
        csv("OpenQuote", "x,label\n1,\"a\n2,b\n", "2:3: the quote is never closed"),
        csv("TextAfterAQuote", "x,label\n1,\"a\"b\n",
            "2:6: expected a comma or the end of the line after the closing quote")),
    case_name);

class BadSafetensorsDataset : public ::testing::TestWithParam<BadFile> {};

TEST_P(BadSafetensorsDataset, IsRefusedWithItsMessage) {
  const SafetensorsFile file = SafetensorsFile::parse(bytes_of(GetParam().content), "d").value();

  EXPECT_EQ(read_safetensors_dataset(file).status(), GetParam().expected.with_context("d"));
}

INSTANTIATE_TEST_SUITE_P(
    Files, BadSafetensorsDataset,
    ::testing::Values(
        BadFile{"NoFeatures", safetensors_bytes("{}"), bad_data("tensor features is missing")},
        BadFile{"NoLabels", safetensors_bytes(R"({"features":{"dtype":"U8","shape":[1,1],"data_offsets":[0,1]}})", "x"),
                bad_data("tensor labels is missing")},
        BadFile{"LabelsOfAnotherLength",
                safetensors_bytes(R"({"features":{"dtype":"U8","shape":[1,1],"data_offsets":[0,1]},)"
                                  R"("labels":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}})",
                                  "xyz"),
                bad_data("tensor labels has shape [2], expected [1] as features has")},
        BadFile{"FloatLabels",
                safetensors_bytes(R"({"features":{"dtype":"U8","shape":[1,1],"data_offsets":[0,1]},)"
                                  R"("labels":{"dtype":"F32","shape":[1],"data_offsets":[1,5]}})",
                                  "x1234"),
                bad_data("tensor labels is F32, expected I64, I32 or U8: the numbers of classes, from 0")},
        BadFile{"NegativeLabel",
                safetensors_bytes(R"({"features":{"dtype":"U8","shape":[1,1],"data_offsets":[0,1]},)"
                                  R"("labels":{"dtype":"I32","shape":[1],"data_offsets":[1,5]}})",
                                  "x\xFF\xFF\xFF\xFF"),
                bad_data("labels: sample 0 has label -1, expected 0 to 1048575")},
        BadFile{"UnknownTensor",
                safetensors_bytes(R"({"features":{"dtype":"U8","shape":[1,1],"data_offsets":[0,1]},)"
                                  R"("labels":{"dtype":"U8","shape":[1],"data_offsets":[1,2]},)"
                                  R"("weights":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}})",
                                  "xyz"),
                bad_data("unknown tensor weights; a data set has features, labels and perhaps ids")}),
    case_name);

TEST(BadIdxDataset, ImagesAndLabelsMustFit) {
  const ScratchDirectory scratch;
  FileSystem& files = real_file_system();
  const auto images = scratch.write("images", idx_bytes({2, 2, 2}, "abcdefgh"));
  const auto vector = scratch.write("vector", idx_bytes({2}, "ab"));
  const auto three = scratch.write("three", idx_bytes({3}, "abc"));

  EXPECT_EQ(read_idx_dataset(files, images, three, "d").status(),
            bad_data(fmt::format("{}: 2 images, {} has 3 labels", images.string(), three.string())));
  EXPECT_EQ(read_idx_dataset(files, images, images, "d").status(),
            bad_data(fmt::format("{}: labels have 3 dimensions, expected 1", images.string())));
  EXPECT_EQ(read_idx_dataset(files, vector, vector, "d").status(),
            bad_data(fmt::format("{}: images have 1 dimension, expected at least 2", vector.string())));
}

}  // namespace
}  // namespace tributary
