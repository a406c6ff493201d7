// SPDX-License-Identifier: Apache-2.0
// Holds documentation pages against the code they describe.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>

#include "program.hpp"
#include "record_catalog.hpp"
#include "tributary/base/status.hpp"

namespace tributary::cli {
namespace {

constexpr int kLastCode = static_cast<int>(Code::kInternal);

std::string page(const std::string& name) {
  std::ostringstream text;
  text << std::ifstream(std::string(TRIBUTARY_SOURCE_DIR) + "/docs/" + name).rdbuf();
  return text.str();
}

TEST(Docs, TheRunDirectoryPageHoldsTheEventCatalogAsItIs) {
  EXPECT_TRUE(contains(page("run-directory.md"), record_reference()))
      << "docs/run-directory.md, between events:begin and events:end, must be:\n"
      << record_reference();
}

TEST(Docs, TheErrorsPageHasARowWithNameAndExitCodeForEveryCode) {
  std::istringstream lines(page("errors.md"));
  int rows = 0;
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("| ") || line.find_first_of("0123456789") != 2) { continue; }
    const int number = std::stoi(line.substr(2));
    ASSERT_LE(number, kLastCode) << line;
    const Code code = static_cast<Code>(number);
    EXPECT_TRUE(line.starts_with(fmt::format("| {} | `{}` | ", number, to_string(code)))) << line;
    EXPECT_TRUE(line.ends_with(fmt::format(" | {} |", exit_code(code)))) << line;
    EXPECT_EQ(number, rows) << "in the order of their numbers";
    ++rows;
  }
  EXPECT_EQ(rows, kLastCode + 1);
}

TEST(Docs, TheHelpNamesEveryExitCode) {
  const std::string help = run({"--help"}).out;
  const std::string codes = help.substr(help.find("Exit codes:"));

  for (int number = 0; number <= kLastCode; ++number) {
    EXPECT_TRUE(contains(codes, fmt::format("{} ", exit_code(static_cast<Code>(number))))) << number;
  }
}

}  // namespace
}  // namespace tributary::cli
