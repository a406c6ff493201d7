// SPDX-License-Identifier: Apache-2.0
#include "config/configuration_changes.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace tributary {
namespace {

constexpr const char* kText =
    "schema: 1\nname: x\nseed: 3\nrounds: 12\ntopology: {widths: [2, 4]}\n"
    "data: {source: synthetic, samples: 100, shape: [4], classes: 2}\nmodel: {kind: mlp, hidden: [8]}\n"
    "trainer: {kind: torch, batch_size: 16, optimizer: {kind: sgd, lr: 0.1}}\n";

std::string changes(const std::vector<std::string>& overrides) {
  const Result<Configuration> now = parse_configuration(kText, "test", overrides);
  if (!now.ok()) { return now.status().message(); }
  return internal::describe_changes(print_configuration(parse_configuration(kText, "test").value()), *now);
}

TEST(ConfigurationChanges, KeysThatDecideTheResultAreNamedWithBothValues) {
  EXPECT_EQ(changes({}), "");
  EXPECT_EQ(changes({"rounds=20"}), "rounds is 20, it was 12");
  EXPECT_EQ(changes({"trainer.batch_size=8", "trainer.optimizer.lr=0.5"}),
            "trainer.batch_size is 8, it was 16; trainer.optimizer.lr is 0.5, it was 0.1");
  EXPECT_EQ(changes({"topology={widths: [3, 6]}"}), "topology");
}

TEST(ConfigurationChanges, WhatMayChangeIsNotNamed) {
  EXPECT_EQ(changes({"name=y", "threads=3", "checkpoint.every=5", "output.report=false"}), "");
}

TEST(ConfigurationChanges, ATextThatCannotBeReadNamesNothing) {
  EXPECT_EQ(internal::describe_changes("nonsense: [", Configuration()), "");
}

}  // namespace
}  // namespace tributary
