// SPDX-License-Identifier: Apache-2.0
#include "tributary/nodes/node_input.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <string>

namespace tributary {
namespace {

TEST(NodeInput, EveryKindComesBackFromItsText) {
  for (int kind = 0; kind <= static_cast<int>(NodeInput::kLastKind); ++kind) {
    for (const TaskKind task : {TaskKind::kTrain, TaskKind::kEvaluate}) {
      const NodeInput input{.kind = static_cast<NodeInput::Kind>(kind),
                            .peer = NodeId{std::numeric_limits<std::uint32_t>::max()},
                            .key = {7, std::numeric_limits<std::uint64_t>::max(), task},
                            .value = 3,
                            .stop = kind % 2 == 0};
      const Result<NodeInput> back = input_from_text(to_text(input));
      ASSERT_TRUE(back.ok()) << to_text(input);
      EXPECT_EQ(*back, input) << to_text(input);
    }
  }
}

TEST(NodeInput, OtherTextsAreRefused) {
  for (const char* text :
       {"", "task", "tasks 0 0 1 1 0", "task 0 0 1 1", "task 0 0 1 1 2", "task 0 0 1 1 0 train",
        "task 0 0 1 1 0 evaluates", "task 0 0 1 1 0 evaluate 1", "task 0 0 -1 1 0", "task 0 4294967296 1 1 0"}) {
    EXPECT_EQ(input_from_text(text).status().code(), Code::kBadData) << text;
  }
}

}  // namespace
}  // namespace tributary
