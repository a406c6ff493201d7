// SPDX-License-Identifier: Apache-2.0
// One wrong configuration and every word that its reader gets to see about it.
#pragma once

#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <vector>

#include "tributary/config/configuration.hpp"

namespace tributary {

struct WrongConfiguration {
  std::string name;
  std::string text;
  std::vector<std::string> overrides;
  std::string messages;

  friend void PrintTo(const WrongConfiguration& wrong, std::ostream* out) { *out << wrong.name; }
};

inline std::string name_of_case(const testing::TestParamInfo<WrongConfiguration>& info) {
  return info.param.name;
}

// Instantiated once per table of mistakes.
class WrongConfigurationTest : public testing::TestWithParam<WrongConfiguration> {
 protected:
  static void expect_exact_messages() {
    const WrongConfiguration& wrong = GetParam();

    const Result<Configuration> result = parse_configuration(wrong.text, "c.yaml", wrong.overrides);

    ASSERT_FALSE(result.ok()) << "accepted:\n" << wrong.text;
    EXPECT_EQ(result.status().code(), Code::kConfiguration);
    EXPECT_EQ(result.status().message(), wrong.messages);
  }
};

}  // namespace tributary
