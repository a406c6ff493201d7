// SPDX-License-Identifier: Apache-2.0
#include "tributary/training/devices.hpp"

#include <gtest/gtest.h>

#include <chrono>

namespace tributary {
namespace {

using namespace std::chrono_literals;

TEST(Devices, AreAlwaysThereAndStayUnlessToldOtherwise) {
  const Configuration configuration;
  for (std::uint32_t client = 0; client < 100; ++client) {
    EXPECT_EQ(until_available(configuration, ClientIndex{client}, 17s), 0ns);
    EXPECT_FALSE(leaves_after(configuration, ClientIndex{client}, Round{3}, 1).has_value());
  }
}

TEST(Devices, AreThereForTheirShareOfEachPeriod) {
  Configuration configuration;
  configuration.simulation.devices.available_share = 0.25;
  configuration.simulation.devices.available_times_a_day = 864.0;  // every 100 s
  double there = 0.0;
  constexpr std::uint32_t kClients = 400;
  for (std::uint32_t n = 0; n < kClients; ++n) {
    const ClientIndex client{n};
    for (auto now = 0s; now < 1000s; now += 1s) {
      const std::chrono::nanoseconds wait = until_available(configuration, client, now);
      there += wait == 0ns ? 1.0 : 0.0;
      ASSERT_GE(wait, 0ns);
      ASSERT_LE(wait, 75s);
      // Whoever waits that long finds it there, and a period later as now.
      ASSERT_LE(until_available(configuration, client, now + wait + 1us), 0ns);
      ASSERT_NEAR(static_cast<double>(until_available(configuration, client, now + 100s).count()),
                  static_cast<double>(wait.count()), 1e3);
    }
  }
  EXPECT_NEAR(there / (1000.0 * kClients), 0.25, 0.01);
}

TEST(Devices, BeginTheirPeriodsAtMomentsOfTheirOwn) {
  Configuration configuration;
  configuration.simulation.devices.available_share = 0.5;
  int now = 0;
  for (std::uint32_t client = 0; client < 2000; ++client) {
    now += until_available(configuration, ClientIndex{client}, 0s) == 0ns ? 1 : 0;
  }
  EXPECT_NEAR(now, 1000, 80);
}

TEST(Devices, LeaveAsOftenAsIsSaidAtAnyMomentOfATask) {
  Configuration configuration;
  configuration.simulation.devices.drop_out = 0.3;
  int left = 0;
  double parts = 0.0;
  for (std::uint32_t client = 0; client < 100; ++client) {
    for (std::uint64_t round = 1; round <= 100; ++round) {
      const auto part = leaves_after(configuration, ClientIndex{client}, Round{round}, 1);
      EXPECT_EQ(part, leaves_after(configuration, ClientIndex{client}, Round{round}, 1));
      if (!part) { continue; }
      ++left;
      parts += *part;
      ASSERT_GE(*part, 0.0);
      ASSERT_LT(*part, 1.0);
    }
  }
  EXPECT_NEAR(left, 3000, 150);
  EXPECT_NEAR(parts / left, 0.5, 0.02);
}

// A task that is handed out again is another try.
TEST(Devices, MayStayAtTheNextAttempt) {
  Configuration configuration;
  configuration.simulation.devices.drop_out = 0.5;
  int stayed = 0;
  int left = 0;
  for (std::uint32_t client = 0; client < 2000; ++client) {
    if (!leaves_after(configuration, ClientIndex{client}, Round{1}, 1)) { continue; }
    ++left;
    stayed += leaves_after(configuration, ClientIndex{client}, Round{1}, 2) ? 0 : 1;
  }
  EXPECT_NEAR(static_cast<double>(stayed) / left, 0.5, 0.06);
}

}  // namespace
}  // namespace tributary
