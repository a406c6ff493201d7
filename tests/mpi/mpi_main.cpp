// SPDX-License-Identifier: Apache-2.0
#include "mpi_main.hpp"

#include <gtest/gtest.h>

#include <cstdio>
#include <memory>

#include "case_watch.hpp"

namespace tributary::testing {
namespace {

std::unique_ptr<MpiSession>& the_session() {
  static std::unique_ptr<MpiSession> session;
  return session;
}

}  // namespace

MpiSession& session() {
  return *the_session();
}

}  // namespace tributary::testing

int main(int argc, char** argv) {
  auto session = tributary::MpiSession::start();
  if (!session.ok()) {
    std::fprintf(stderr, "%s\n", session.status().message().c_str());
    return 1;
  }
  tributary::testing::the_session() = std::move(session).value();
  tributary::MpiSession& own = tributary::testing::session();
  // One rank reports what passes; failures are reported by whom they happen to.
  if (own.rank() != 0) { GTEST_FLAG_SET(brief, true); }
  ::testing::InitGoogleTest(&argc, argv);
  ::testing::UnitTest::GetInstance()->listeners().Append(
      tributary::testing::make_case_watch(std::chrono::seconds(TRIBUTARY_CASE_SECONDS)).release());
  const tributary::Status agreed = own.agree({}, {});
  const int failed = agreed.ok() ? RUN_ALL_TESTS() : 1;
  std::fflush(nullptr);
  return own.end(failed);
}
