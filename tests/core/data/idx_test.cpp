// SPDX-License-Identifier: Apache-2.0
#include "idx.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <string>

#include "support/file_bytes.hpp"
#include "support/scratch_directory.hpp"
#include "tributary/base/random.hpp"

namespace tributary {
namespace {

using testing::bytes_of;
using testing::gzip_bytes;
using testing::idx_bytes;
using testing::ScratchDirectory;

TEST(Idx, PlainAndPackedFilesGiveTheSameArray) {
  const std::string plain = idx_bytes({2, 3}, "abcdef");

  const IdxArray a = parse_idx(bytes_of(plain), "plain").value();
  const std::string packed = gzip_bytes(plain);
  const IdxArray b = parse_idx(bytes_of(packed), "packed").value();

  EXPECT_EQ(a.shape, (std::vector<std::int64_t>{2, 3}));
  EXPECT_EQ(a.values, (std::vector<std::uint8_t>{'a', 'b', 'c', 'd', 'e', 'f'}));
  EXPECT_EQ(b.shape, a.shape);
  EXPECT_EQ(b.values, a.values);
}

TEST(Idx, AnArrayWithoutValuesIsRead) {
  EXPECT_TRUE(parse_idx(bytes_of(idx_bytes({0}, "")), "empty").value().values.empty());
}

TEST(Idx, EveryTruncationIsRefused) {
  const std::string plain = idx_bytes({2, 3}, "abcdef");
  for (const std::string& whole : {plain, gzip_bytes(plain)}) {
    for (std::size_t size = 0; size < whole.size(); ++size) {
      EXPECT_EQ(parse_idx(bytes_of(whole).first(size), "cut").status().code(), Code::kBadData) << size;
    }
  }
}

TEST(Idx, APackedFileLargerThanAnnouncedIsRefusedAtTheFirstByteTooMany) {
  const std::string bomb = gzip_bytes(idx_bytes({4}, std::string(10'000'000, '\0')));

  EXPECT_EQ(parse_idx(bytes_of(bomb), "bomb.gz").status(),
            bad_data("bomb.gz: unpacks to more bytes than its header announces"));
}

TEST(Idx, NoMemoryIsTakenForMoreThanAPackedFileCanHold) {
  const std::string liar = gzip_bytes(idx_bytes({0xFFFFFFFFU, 0xFFU}, "x"));

  const Status status = parse_idx(bytes_of(liar), "liar.gz").status();

  EXPECT_EQ(status.message(), "liar.gz: announces [4294967295, 255] values, the file can hold at most " +
                                  std::to_string(liar.size() * 1032));
}

TEST(Idx, NoMemoryIsTakenForWhatAPackedFileOnlyAnnounces) {
  // A megabyte of noise that says it unpacks to 800; not more than deflate could hold.
  std::string noise(std::size_t{1} << 20U, '\0');
  Rng rng(stream_seed(3, Purpose::kTest));
  for (char& byte : noise) { byte = static_cast<char>(rng.below(256)); }
  const std::string liar = gzip_bytes(idx_bytes({800'000'000}, noise));
  rusage before{};
  getrusage(RUSAGE_SELF, &before);

  const Status status = parse_idx(bytes_of(liar), "liar.gz").status();

  rusage after{};
  getrusage(RUSAGE_SELF, &after);
  EXPECT_EQ(status, bad_data("liar.gz: its gzip content ends 798951424 bytes before what its header announces"));
  EXPECT_LT(after.ru_maxrss - before.ru_maxrss, 100'000) << "kilobytes";
}

TEST(Idx, PackedFilesOfSeveralMembersAreOneFile) {
  const std::string plain = idx_bytes({2, 3}, "abcdef");
  // Cut within the header, within the values and at the end, where bgzip puts an empty member.
  for (const std::size_t cut : {std::size_t{1}, std::size_t{7}, plain.size() - 2, plain.size()}) {
    const std::string packed = gzip_bytes(plain.substr(0, cut)) + gzip_bytes(plain.substr(cut));
    const Result<IdxArray> array = parse_idx(bytes_of(packed), "packed");
    ASSERT_TRUE(array.ok()) << array.status().message();
    EXPECT_EQ(array->values, (std::vector<std::uint8_t>{'a', 'b', 'c', 'd', 'e', 'f'}));
  }
  const std::string longer = gzip_bytes(plain) + gzip_bytes("g");
  EXPECT_EQ(parse_idx(bytes_of(longer), "long.gz").status(),
            bad_data("long.gz: unpacks to more bytes than its header announces"));
}

TEST(Idx, ADamagedMemberIsToldFromADamagedHeader) {
  std::string packed = gzip_bytes(idx_bytes({6}, "abcdef"));
  packed[packed.size() - 8] = static_cast<char>(packed[packed.size() - 8] ^ 1);  // the checksum
  EXPECT_EQ(parse_idx(bytes_of(packed), "i.gz").status(), bad_data("i.gz: damaged gzip content: incorrect data check"));
}

TEST(Idx, GreyImagesGetAChannel) {
  const ScratchDirectory scratch;
  const auto images = scratch.write("images", idx_bytes({2, 2, 3}, "abcdefghijkl"));
  const auto labels = scratch.write("labels", gzip_bytes(idx_bytes({2}, std::string("\x01\x04", 2))));

  const Dataset data = read_idx_dataset(real_file_system(), images, labels, "pictures").value();

  EXPECT_EQ(data.name, "pictures");
  EXPECT_EQ(data.sample_shape, (std::vector<std::int64_t>{1, 2, 3}));
  EXPECT_EQ(data.labels, (std::vector<std::int32_t>{1, 4}));
  EXPECT_EQ(data.classes, 5);
  EXPECT_EQ(data.scale, 1.0F / 255.0F);
  EXPECT_EQ(std::get<0>(data.features).back(), 'l');
}

TEST(Idx, ColourImagesAndVectorsKeepTheirShape) {
  const ScratchDirectory scratch;
  const auto labels = scratch.write("labels", idx_bytes({1}, std::string(1, '\0')));
  const auto colour = scratch.write("colour", idx_bytes({1, 3, 1, 2}, "abcdef"));
  const auto vectors = scratch.write("vectors", idx_bytes({1, 4}, "abcd"));

  EXPECT_EQ(read_idx_dataset(real_file_system(), colour, labels, "c").value().sample_shape,
            (std::vector<std::int64_t>{3, 1, 2}));
  EXPECT_EQ(read_idx_dataset(real_file_system(), vectors, labels, "v").value().sample_shape,
            (std::vector<std::int64_t>{4}));
}

}  // namespace
}  // namespace tributary
