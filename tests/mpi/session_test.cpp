// SPDX-License-Identifier: Apache-2.0
// What ranks must have in common before round 1.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "mpi_main.hpp"

namespace tributary::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

MpiCredentials credentials() {
  return {.program = "tributary 1.0",
          .configuration = sha256("configuration"),
          .model = sha256("model"),
          .data = sha256("data"),
          .placement = sha256("placement")};
}

int last_rank() {
  return session().size() - 1;
}

// All ranks agree on the same answer, which names the last one.
void expect_refused(const MpiCredentials& others, Code code, const std::string& what) {
  if (session().size() < 2) { return; }  // one rank differs from nobody
  const bool different = session().rank() == last_rank();

  const Status status = session().agree({}, different ? others : credentials());

  EXPECT_EQ(status.code(), code) << status.message();
  EXPECT_THAT(status.message(), StartsWith("rank " + std::to_string(last_rank()) + " on "));
  EXPECT_THAT(status.message(), HasSubstr(what));
}

TEST(Session, EqualRanksAgreeAsOftenAsTheyLike) {
  for (int i = 0; i < 20; ++i) {
    const Status status = session().agree({}, credentials());

    EXPECT_TRUE(status.ok()) << status.message();
  }
}

TEST(Session, ARankOfAnotherBuildIsRefusedByName) {
  MpiCredentials other = credentials();
  other.program = "tributary 1.1";
  expect_refused(other, Code::kProtocol, "runs tributary 1.1, and the root runs tributary 1.0");
}

TEST(Session, ARankWithAnotherConfigurationIsRefusedByName) {
  MpiCredentials other = credentials();
  other.configuration = sha256("another");
  expect_refused(other, Code::kConfiguration, "has another configuration or topology");
}

TEST(Session, ARankWithAnotherModelIsRefusedByName) {
  MpiCredentials other = credentials();
  other.model = sha256("another");
  other.configuration = sha256("another");
  expect_refused(other, Code::kConfiguration, "has another model");
}

TEST(Session, ARankWithOtherSamplesIsRefusedByName) {
  MpiCredentials other = credentials();
  other.data = sha256("another");
  expect_refused(other, Code::kConfiguration, "has other samples");
}

TEST(Session, ARankThatWouldPlaceNodesElsewhereIsRefusedByName) {
  MpiCredentials other = credentials();
  other.placement = sha256("another");
  expect_refused(other, Code::kConfiguration, "places nodes on other ranks");
}

TEST(Session, AMistakeOfOneRankIsToldToAll) {
  if (session().size() < 2) { return; }
  const Status mine = session().rank() == last_rank() ? not_found("cannot read f.yaml") : Status();

  const Status status = session().agree(mine, credentials());

  EXPECT_EQ(status.code(), Code::kNotFound);
  EXPECT_THAT(status.message(), HasSubstr("cannot read f.yaml"));
}

TEST(Session, ACodeThatIsNotKnownHereIsStillAFailure) {
  if (session().size() < 2) { return; }
  const bool newer = session().rank() == last_rank();
  const Status mine = newer ? Status(static_cast<Code>(200), "of a later version") : Status();

  const Status status = session().agree(mine, credentials());

  EXPECT_EQ(static_cast<int>(status.code()), static_cast<int>(Code::kInternal));
  EXPECT_THAT(status.message(), HasSubstr("of a later version"));
}

TEST(Session, AMistakeOfAllRanksIsToldAsTheRootsOwn) {
  const Status status = session().agree(configuration_error("f.yaml:1:1: wrong"), credentials());

  EXPECT_EQ(status.code(), Code::kConfiguration);
  EXPECT_EQ(status.message(), "f.yaml:1:1: wrong");
}

TEST(Session, EveryRankKnowsEveryRanksHostAndProcess) {
  for (int rank = 0; rank < session().size(); ++rank) {
    EXPECT_FALSE(session().peer(rank).host.empty());
    EXPECT_GT(session().peer(rank).process, 0);
  }
  EXPECT_GE(session().cores_per_rank(), 1U);
}

}  // namespace
}  // namespace tributary::testing
