// SPDX-License-Identifier: Apache-2.0
// What every codec keeps to, one line for each of them, and what each promises of its own.
#include "tributary/nodes/codec.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "tributary/base/random.hpp"
#include "tributary/wire/codecs.hpp"

namespace tributary {
namespace {

std::unique_ptr<Codec> make(const std::string& name) {
  ExtensionRegistry registry;
  register_builtin_codecs(registry);
  return registry.make_codec(name).value();
}

ParameterSpec plain(std::size_t size) {
  return ParameterSpec::create({{"w", {static_cast<std::int64_t>(size)}}}).value();
}

// Weights, batch normalisation's statistics between them, and more weights.
ParameterSpec with_statistics() {
  return ParameterSpec::create({{"first", {700}},
                                {"mean", {5}, TensorKind::kRunningMean},
                                {"variance", {5}, TensorKind::kRunningVariance},
                                {"last", {1300}}})
      .value();
}

std::vector<float> random_values(std::size_t size, double magnitude, std::uint64_t seed) {
  Rng rng(stream_seed(seed, Purpose::kTest));
  std::vector<float> values(size);
  for (float& value : values) {
    const double share = static_cast<double>(rng.below(2'000'001)) / 1e6 - 1.0;
    value = static_cast<float>(magnitude * share * std::exp2(-static_cast<double>(rng.below(20))));
  }
  return values;
}

std::vector<float> round_trip(const Codec& codec, const ParameterSpec& spec, const std::vector<float>& values) {
  const std::vector<std::byte> bytes = codec.encode(spec, values);
  std::vector<float> back(values.size());
  EXPECT_TRUE(codec.decode(bytes, back).ok());
  return back;
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0);
}

class CodecContract : public ::testing::TestWithParam<std::string> {
 protected:
  std::unique_ptr<Codec> codec_ = make(GetParam());
};

TEST_P(CodecContract, CodingOnceMoreChangesNothing) {
  std::uint64_t seed = 0;
  for (const std::size_t size : {1U, 2U, 255U, 256U, 257U, 5000U}) {
    for (const double magnitude : {1.0, 1e-3, 1e-6, 1e4, 1e-30, 1e-44, 1e38}) {
      const std::vector<float> once = round_trip(*codec_, plain(size), random_values(size, magnitude, ++seed));
      EXPECT_TRUE(same_bits(round_trip(*codec_, plain(size), once), once)) << size << " of " << magnitude;
    }
  }
}

// Where rounding takes the largest value to the next power of two, or down to one.
TEST_P(CodecContract, CodingOnceMoreChangesNothingAroundPowersOfTwo) {
  for (const float top : {1.0F, 4.0F, 0x1p-60F}) {
    for (int step = -40'000; step <= 40'000; step += 7) {
      const float largest = std::bit_cast<float>(std::bit_cast<std::uint32_t>(top) + static_cast<std::uint32_t>(step));
      // The last two are odd multiples of the least step, which a coarser scale could not hold.
      const std::vector<float> values{largest, top * 0x1.234p-20F, top * 0x1.8p-37F, -top * 0x1p-38F};
      const std::vector<float> once = round_trip(*codec_, plain(4), values);
      ASSERT_TRUE(same_bits(round_trip(*codec_, plain(4), once), once)) << top << " " << step;
    }
  }
}

TEST_P(CodecContract, KeepsZeros) {
  const std::vector<float> zeros(1000, 0.0F);
  EXPECT_TRUE(same_bits(round_trip(*codec_, plain(1000), zeros), zeros));
}

TEST_P(CodecContract, GivesTheSameBytesEachTime) {
  const std::vector<float> values = random_values(3000, 0.1, 5);
  EXPECT_EQ(codec_->encode(plain(3000), values), codec_->encode(plain(3000), values));
}

TEST_P(CodecContract, CarriesWhatIsNotFinite) {
  std::vector<float> values = random_values(1000, 1.0, 6);
  values[3] = std::numeric_limits<float>::infinity();
  values[500] = -std::numeric_limits<float>::infinity();
  values[999] = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> back = round_trip(*codec_, plain(1000), values);
  EXPECT_EQ(back[3], values[3]);
  EXPECT_EQ(back[500], values[500]);
  EXPECT_TRUE(std::isnan(back[999]));
  EXPECT_TRUE(std::ranges::all_of(std::span(back).first(3), [](float value) { return std::isfinite(value); }));
}

TEST_P(CodecContract, KeepsStatisticsBitForBit) {
  const ParameterSpec spec = with_statistics();
  const std::vector<float> values = random_values(spec.parameters(), 1.0, 7);
  const std::vector<float> back = round_trip(*codec_, spec, values);
  for (std::size_t i = 700; i < 710; ++i) { EXPECT_EQ(back[i], values[i]); }
  EXPECT_TRUE(same_bits(round_trip(*codec_, spec, back), back));
}

TEST_P(CodecContract, TakesTheBytesItSays) {
  for (const ParameterSpec& spec : {plain(1), plain(1000), plain(100'000), with_statistics()}) {
    EXPECT_EQ(codec_->encode(spec, random_values(spec.parameters(), 0.5, 8)).size(), codec_->usual_bytes(spec));
    EXPECT_LE(codec_->usual_bytes(spec), Payload::largest_coded(spec.parameters()));
  }
}

// Whatever a peer sends: an error or values, and no byte beyond them is touched (seen under asan).
TEST_P(CodecContract, RefusesOrReadsAnyBytes) {
  const ParameterSpec spec = with_statistics();
  const std::vector<std::byte> good = codec_->encode(spec, random_values(spec.parameters(), 0.5, 9));
  std::vector<float> values(spec.parameters());
  for (std::size_t size = 0; size < good.size(); size += 1 + size / 50) {
    EXPECT_FALSE(codec_->decode(std::span(good).first(size), values).ok()) << size;
  }
  std::vector<std::byte> longer = good;
  longer.resize(good.size() + 1);
  EXPECT_FALSE(codec_->decode(longer, values).ok());
  Rng rng(stream_seed(3, Purpose::kTest));
  for (int i = 0; i < 20'000; ++i) {
    std::vector<std::byte> bytes = good;
    const std::uint64_t changes = 1 + rng.below(4);
    for (std::uint64_t change = 0; change < changes; ++change) {
      bytes[rng.below(rng.below(2) == 0 ? 32 : bytes.size())] = static_cast<std::byte>(rng.below(256));
    }
    const Status status = codec_->decode(bytes, values);
    EXPECT_TRUE(status.ok() || status.code() == Code::kBadData);
  }
}

TEST_P(CodecContract, APayloadHoldsTheBytesAndWhatTheyDecodeTo) {
  const ParameterSpec spec = plain(2000);
  const std::vector<float> values = random_values(2000, 0.5, 10);
  const Payload payload = encoded(*codec_, spec, values);
  EXPECT_EQ(payload.encoding(), Encoding::kCoded);
  EXPECT_EQ(payload.size(), codec_->usual_bytes(spec));
  EXPECT_TRUE(payload.is_vector());
  EXPECT_TRUE(same_bits({payload.values().begin(), payload.values().end()}, round_trip(*codec_, spec, values)));
  const std::span<const std::byte> bytes = payload.bytes();
  const Payload arrived = Payload::from_bytes(Encoding::kCoded, 2000, {bytes.begin(), bytes.end()}).value();
  EXPECT_TRUE(arrived.values().empty()) << "not decoded yet";
  const Payload read = decoded(*codec_, arrived).value();
  EXPECT_TRUE(std::ranges::equal(read.values(), payload.values()));
  EXPECT_FALSE(decoded(*codec_, Payload::from_bytes(Encoding::kCoded, 2000, {}).value()).ok());
}

INSTANTIATE_TEST_SUITE_P(All, CodecContract, ::testing::Values("fp16"));

TEST(HalfPrecision, IsWithinItsErrorBoundInEveryValue) {
  std::uint64_t seed = 100;
  for (const double magnitude : {1.0, 3e-5, 7e-9, 1e5, 1e-37, 3e38}) {
    const std::vector<float> values = random_values(20'000, magnitude, ++seed);
    const std::vector<float> back = round_trip(*make("fp16"), plain(20'000), values);
    const float largest = std::fabs(*std::ranges::max_element(values, {}, [](float v) { return std::fabs(v); }));
    for (std::size_t i = 0; i < values.size(); ++i) {
      const double error = std::fabs(static_cast<double>(back[i]) - static_cast<double>(values[i]));
      const double bound =
          std::max(std::fabs(static_cast<double>(values[i])) * 0x1p-11, static_cast<double>(largest) * 0x1p-38);
      // Values below the least normal float have steps of their own.
      ASSERT_LE(error, std::max(bound, 0x1p-149)) << values[i];
    }
  }
}

TEST(HalfPrecision, TakesHalfTheBytes) {
  constexpr std::size_t kSize = 1'000'000;
  EXPECT_LE(static_cast<double>(make("fp16")->usual_bytes(plain(kSize))), 0.501 * 4 * kSize);
}

// Against the definition of binary16, for every half that there is.
TEST(HalfPrecision, KeepsEveryHalfAsItIs) {
  std::vector<float> all;
  for (std::uint32_t magnitude = 0; magnitude < 0x7400; ++magnitude) {  // up to 2^14
    const std::uint32_t exponent = magnitude >> 10U;
    const double fraction = static_cast<double>(magnitude & 0x3FFU) / 1024.0;
    const double value =
        exponent == 0 ? std::ldexp(fraction, -14) : std::ldexp(1.0 + fraction, static_cast<int>(exponent) - 15);
    all.push_back(static_cast<float>(value));
    all.push_back(static_cast<float>(-value));
  }
  all.push_back(0x1p14F);
  EXPECT_TRUE(same_bits(round_trip(*make("fp16"), plain(all.size()), all), all));
}

// Halfway between two halves: to the even one.
TEST(HalfPrecision, RoundsToEven) {
  const std::vector<float> values{0x1p14F, 0x1.002p0F, 0x1.006p0F, 0x1.0021p0F, -0x1.002p0F, 0x1.8p-24F, 0x1p-25F};
  const std::vector<float> expected{0x1p14F, 0x1p0F, 0x1.008p0F, 0x1.004p0F, -0x1p0F, 0x1p-23F, 0.0F};
  const std::vector<float> back = round_trip(*make("fp16"), plain(values.size()), values);
  for (std::size_t i = 0; i < values.size(); ++i) { EXPECT_EQ(back[i], expected[i]) << i; }
}

}  // namespace
}  // namespace tributary
