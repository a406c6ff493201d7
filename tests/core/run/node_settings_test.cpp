// SPDX-License-Identifier: Apache-2.0
#include "node_settings.hpp"

#include <gtest/gtest.h>

namespace tributary {
namespace {

// A root with three clients, of which the second and third have these attributes.
Status check(const NodeAttributes& attributes, const std::string& device = "cpu") {
  NodeAttributes named = attributes;
  named.name = "scanner";
  const Tree tree = Tree::create({.child_counts = {3, 0, 0, 0}, .attributes = {{2U, named}, {3U, attributes}}}).value();
  TrainerConfig trainer;
  trainer.device = device;
  return internal::check_node_settings(tree, trainer);
}

TEST(NodeSettings, RefuseTlsUntilThereIsAny) {
  NodeAttributes attributes;
  attributes.transport = "tls";

  EXPECT_EQ(check(attributes),
            configuration_error("topology: node scanner and 1 other: transport: tls is not there yet, and everything "
                                "would be sent in the clear; remove it, and keep the federation on one machine or in "
                                "one MPI job"));
}

TEST(NodeSettings, RefuseTransportsAndAddressesThatNothingObeys) {
  NodeAttributes attributes;
  attributes.transport = "mpi";
  EXPECT_EQ(check(attributes).code(), Code::kConfiguration);
  attributes.transport = "in-process";
  EXPECT_EQ(check(attributes).code(), Code::kConfiguration);
  attributes.transport = "auto";
  EXPECT_TRUE(check(attributes).ok());
  attributes.address = "hospital.example:7000";
  EXPECT_EQ(check(attributes).code(), Code::kConfiguration);
}

TEST(NodeSettings, RefuseADeviceThatIsNotTheTrainers) {
  NodeAttributes attributes;
  attributes.device = "cuda";

  EXPECT_EQ(
      check(attributes),
      configuration_error("topology: node scanner and 1 other: device: cuda has no effect, as all clients train on "
                          "trainer.device, which is cpu; remove it here, or change it there"));
  EXPECT_TRUE(check(attributes, "cuda").ok());
}

TEST(NodeSettings, RefuseALinkOfTheRoot) {
  NodeAttributes attributes;
  attributes.link.latency = std::chrono::seconds(5);
  const Tree tree = Tree::create({.child_counts = {1, 0}, .attributes = {{0U, attributes}}}).value();

  const Status refused = internal::check_node_settings(tree, TrainerConfig());

  EXPECT_EQ(refused.code(), Code::kConfiguration);
  EXPECT_TRUE(
      refused.message().ends_with("link has no effect, as it is the way to a parent, and the root has none; "
                                  "give it to the root's children"))
      << refused.message();
  EXPECT_TRUE(check(attributes).ok());
}

}  // namespace
}  // namespace tributary
