// SPDX-License-Identifier: Apache-2.0
// What a client costs a site while it has nothing to do: a process of the libraries that it needs, and no others. It
// answers its parent's question, waits, and says how much memory is resident. Exit code 1: more than was promised.
#include <chrono>
#include <cstdio>
#include <fstream>
#include <memory>
#include <string>

#include "runtime/real_time_loop.hpp"
#include "support/fake_trainer.hpp"
#include "wire/node_message.hpp"

namespace {

using namespace tributary;
using namespace std::chrono_literals;

constexpr NodeId kParent{0};
constexpr NodeId kClient{1};
constexpr long kPromisedKib = 15 * 1024;

class TwoNodes final : public AgreedPlan {
 public:
  explicit TwoNodes(const ParameterSpec& spec) : spec_(spec) {}
  [[nodiscard]] const Tree& tree() const noexcept override { return tree_; }
  [[nodiscard]] const ParameterSpec& spec() const noexcept override { return spec_; }
  [[nodiscard]] const Digest& digest() const noexcept override { return digest_; }
  [[nodiscard]] std::uint64_t seed() const noexcept override { return 0; }
  [[nodiscard]] bool every_answer_counts() const override { return true; }
  [[nodiscard]] InnerNodeSettings inner_node(NodeId /*node*/, std::uint32_t /*incarnation*/) const override {
    return {};
  }
  [[nodiscard]] LivenessSettings client_liveness(NodeId /*client*/) const override { return {}; }
  [[nodiscard]] TrainTask train_task(NodeId node, TrainRequest request) const override {
    return {.client = tree_.client_index(node), .round = Round{request.key.number}, .base = std::move(request.base)};
  }

 private:
  Tree tree_ = Tree::create({.child_counts = {1, 0}, .attributes = {}}).value();
  const ParameterSpec& spec_;
  Digest digest_;
};

// Sends into the void, in the bytes that would travel.
class Void final : public internal::Network {
 public:
  [[nodiscard]] bool lives_here(NodeId node) const override { return node == kClient; }
  Sent send(NodeId from, NodeId to, Message message) override {
    const std::vector<Payload> payloads = internal::payloads_of(message);
    bytes += internal::encode_letter(from, to, message, payloads, {}).size();
    return {};
  }
  void publish(const RoundReport& /*report*/, ModelValues /*model*/) override {}
  void finished(Status /*status*/) override {}
  void note(NodeEvent /*note*/) override {}
  std::size_t bytes = 0;
};

long resident_kib() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmRSS:")) { return std::stol(line.substr(6)); }
  }
  return -1;
}

}  // namespace

int main() {
  const testing::FunctionTrainerFactory factory(
      1000, [](const TrainTask& /*task*/) -> Result<TrainOutcome> { return unavailable("it is idle"); });
  const TwoNodes plan(factory.spec());
  const auto pool = TrainingPool::create(factory, 0).value();
  Void network;
  internal::RealTimeLoop loop(plan, *pool, network, nullptr);
  loop.deliver(kParent, kClient, ProbeMessage{{1, 1}});
  while (loop.run_due()) {}
  loop.wait(200ms);
  const long resident = resident_kib();
  std::printf("an idle client answered with %zu bytes and takes %.1f MB\n", network.bytes,
              static_cast<double>(resident) / 1024.0);
  return network.bytes > 0 && resident > 0 && resident <= kPromisedKib ? 0 : 1;
}
