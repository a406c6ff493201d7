// SPDX-License-Identifier: Apache-2.0
// What a rank says that cannot be right ends the run, by name, and harms no memory: ranks other than the root's are
// played by the test, which speaks the protocol as far as it likes.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "control_message.hpp"
#include "endpoint.hpp"
#include "mpi_main.hpp"
#include "session_state.hpp"
#include "support/fake_trainer.hpp"
#include "support/federation.hpp"
#include "tributary/topology/place_nodes.hpp"
#include "wire/node_message.hpp"

namespace tributary::internal {
namespace {

using testing::FunctionTrainerFactory;
using ::testing::HasSubstr;
using testing::make_plan;
using testing::session;

constexpr std::size_t kParameters = 8;
constexpr auto kPatience = std::chrono::seconds(60);

struct Sent {
  std::vector<std::byte> control;
  std::vector<Payload> payloads;
};

FunctionTrainerFactory factory() {
  return FunctionTrainerFactory(kParameters, [](const TrainTask& task) -> Result<TrainOutcome> {
    return TrainOutcome{.model = task.base, .weight = 1.0, .samples = 1, .steps = 1, .metrics = {}};
  });
}

// Hears when the run is over.
class Listener final : public LetterReceiver {
 public:
  void on_letter(int /*from*/, std::span<const std::byte> control, std::span<Payload> /*payloads*/) override {
    over = over || (!control.empty() && static_cast<ControlMessage>(control.front()) == ControlMessage::kEnd);
  }
  void on_sent(std::uint64_t /*token*/) override {}
  void on_trouble(int /*peer*/, std::string what) override { ADD_FAILURE() << what; }

  bool over = false;
};

// Joins the run as any rank does; rank 1 sends `letter`, and all wait for the end and say good-bye.
void serve_falsely(const Plan& plan, const Sent& letter) {
  const Placement placement = place_nodes(plan.tree(), session().hosts(), {}).value();
  const Status agreed = session().agree({}, {.program = "",
                                             .configuration = plan.digest(),
                                             .model = plan.spec().fingerprint(),
                                             .data = {},
                                             .placement = placement.digest()});
  ASSERT_TRUE(agreed.ok()) << agreed.message();
  Communicator control;
  Communicator data;
  bool closed = false;
  {
    Listener listener;
    Endpoint endpoint(control.get(), data.get(), {}, listener);
    if (session().rank() == 1) { endpoint.send(0, letter.control, letter.payloads); }
    const auto deadline = Endpoint::Clock::now() + kPatience;
    while (!listener.over && Endpoint::Clock::now() < deadline) { endpoint.progress(); }
    EXPECT_TRUE(listener.over) << "the root did not end the run";
    endpoint.send(0, rank_letter(ControlMessage::kBye, RankNumbers()));
    closed = endpoint.close(kPatience);
  }
  EXPECT_TRUE(closed);
  if (!closed) { return; }
  control.free();
  data.free();
}

// The root names rank 1 and `why`.
void expect_ended(const Sent& letter, const std::string& why) {
  SCOPED_TRACE(why);
  // Each rank has clients, and rank 1 one that is child number 1 or more.
  const FunctionTrainerFactory trainers = factory();
  const auto clients = static_cast<std::uint32_t>(4 * session().size());
  const Plan plan =
      make_plan(testing::rounds(3), testing::make_tree(testing::balanced_counts(clients, 1)), trainers).value();
  if (session().rank() != 0) {
    serve_falsely(plan, letter);
    return;
  }
  testing::MemoryObserver observer(kParameters);
  MpiDriver driver(session(), {.threads = 1, .silence = std::chrono::minutes(2), .place = node_placer()});
  const Status status = driver.run(plan, trainers, observer);
  EXPECT_EQ(status.code(), Code::kProtocol) << status.message();
  EXPECT_THAT(status.message(), HasSubstr("rank 1 on "));
  EXPECT_THAT(status.message(), HasSubstr(why));
}

// A message of a client of that rank to the root, which rank 1 will send.
Sent message_of_a_client(const Message& message, const std::vector<Payload>& payloads, std::uint32_t rank = 1) {
  const FunctionTrainerFactory trainers = factory();
  const auto clients = static_cast<std::uint32_t>(4 * session().size());
  const Plan plan =
      make_plan(testing::rounds(3), testing::make_tree(testing::balanced_counts(clients, 1)), trainers).value();
  const Placement placement = place_nodes(plan.tree(), session().hosts(), {}).value();
  std::uint32_t client = 1;
  while (placement.rank_of(NodeId{client}) != rank) { ++client; }
  const std::vector<std::uint64_t> ids(payloads.size(), 1);
  return {rank_letter(ControlMessage::kNode, encode_letter(NodeId{client}, plan.tree().root(), message, payloads, ids)),
          payloads};
}

Payload floats(std::size_t values) {
  return Payload::floats(std::make_shared<const std::vector<float>>(values, 1.0F));
}

TEST(Impostor, LettersOfRanksAreCheckedBeforeTheyAreUsed) {
  RankNumbers times;
  times.train_ns = std::numeric_limits<std::int64_t>::min();
  RankNumbers tiers;
  tiers.merge_ns_by_tier = {{77, 1}};
  EdgesLetter edges;
  edges.edges = {{100'000, {1, 1, 1, 1, 1}}};

  expect_ended({rank_letter(ControlMessage::kNote, NoteLetter{200, 1, 1, "x"}), {}}, "a note of unknown kind 200");
  expect_ended({rank_letter(ControlMessage::kNote, NoteLetter{0, 100'000, 1, "x"}), {}}, "a note about node 100000");
  expect_ended({rank_letter(ControlMessage::kCounted, times), {}}, "must not be negative");
  expect_ended({rank_letter(ControlMessage::kCounted, tiers), {}}, "numbers of tier 77, the tree has 1");
  expect_ended({rank_letter(ControlMessage::kEdges, edges), {}}, "an edge above node 100000");
  expect_ended({rank_letter(static_cast<ControlMessage>(99), BeatLetter()), {}}, "a letter of unknown kind 99");
}

TEST(Impostor, MessagesOfNodesAreCheckedBeforeTheyAreUsed) {
  UpdateMessage update{.key = {0, 1}, .update = {}};
  update.update.contributors = 1;
  update.update.segments.push_back({"delta", floats(kParameters)});
  const std::vector<Payload> delta{floats(kParameters)};

  UpdateMessage metrics = update;
  for (int i = 0; i < 1100; ++i) { metrics.update.scalars[fmt::format("{:04}", i)]; }
  expect_ended(message_of_a_client(metrics, delta), "an update with 1100 metrics, at most 1024 are taken");

  UpdateMessage name = update;
  name.update.scalars[std::string(5000, 'n')];
  expect_ended(message_of_a_client(name, delta), "a name of 5000 bytes");

  Sent other = message_of_a_client(update, delta);
  other.payloads = {floats(kParameters - 1)};
  expect_ended(other, "a payload that is not the one its message names");

  expect_ended(message_of_a_client(update, {floats(kParameters + 1)}), "a payload of 9 values, the model has 8");

  expect_ended(message_of_a_client(update, delta, 0), "which do not belong together there");
}

}  // namespace
}  // namespace tributary::internal
