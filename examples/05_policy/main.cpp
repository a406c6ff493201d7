// SPDX-License-Identifier: Apache-2.0
// A tier policy of your own, found by its name in a configuration.
//
// Rounds of this policy ask a few children, the next ones each time, so that all take their turn and nobody is drawn at
// random. It is registered under a name; the file that a user writes says `policy: in-turn`, and how many: `cohort`.
//
// Build:  cmake -S examples -B build/examples -G Ninja -DCMAKE_PREFIX_PATH=$HOME/.local
//         cmake --build build/examples
// Run:    build/examples/policy
// Output:
//   round 1 asked 0 1 2
//   round 2 asked 3 4 0
//   round 3 asked 1 2 3
//   round 4 asked 4 0 1
//   each of 5 clients trained 2 or 3 times
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <utility>
#include <vector>

#include "tributary/aggregators/builtin.hpp"
#include "tributary/config/configuration.hpp"
#include "tributary/nodes/tier_policy.hpp"
#include "tributary/run/federation.hpp"
#include "tributary/run/prepared_run.hpp"
#include "tributary/simulation/driver.hpp"
#include "tributary/topology/generate.hpp"

namespace {

using namespace tributary;

// What the user writes. The keys of `tiers.0` are those of the built-in policies: a policy of your own may use any.
constexpr const char* kConfiguration = R"(
schema: 1
name: in-turn
rounds: 4
topology: {star: 5}
trainer: {kind: echo}
tiers: {0: {policy: in-turn, cohort: {count: 3}}}
)";

class InTurn final : public TierPolicy {
 public:
  explicit InTurn(const PolicySettings& settings) : count_(settings.cohort_count.value_or(1)) {}

  Decision open(TierContext& context) override {
    const std::uint32_t children = context.children();
    const std::uint32_t count = largest_target(children);
    Cohort cohort{.members = {}, .target = count, .quorum = count};
    // The rounds before this one have gone so far round the table; a resumed run goes on in the right place.
    const std::uint64_t first = (context.round().value - 1) * count;
    std::printf("round %llu asked", static_cast<unsigned long long>(context.round().value));
    for (std::uint32_t i = 0; i < count; ++i) {
      cohort.members.push_back(static_cast<std::uint32_t>((first + i) % children));
      std::printf(" %u", cohort.members.back());
    }
    std::printf("\n");
    std::sort(cohort.members.begin(), cohort.members.end());
    const std::vector<std::uint32_t> members = cohort.members;
    context.choose(std::move(cohort));
    for (const std::uint32_t child : members) { context.ask(child); }
    return Decision::kWait;
  }

  // Waits for all, and gives the round up as soon as one of them is missing.
  Decision on_event(TierContext& context, const TierEvent& /*event*/) override {
    const RoundState& state = context.state();
    if (state.reported >= state.target) { return Decision::kCommit; }
    return state.expected() == 0 ? Decision::kAbandon : Decision::kWait;
  }

  [[nodiscard]] std::uint32_t largest_target(std::uint32_t children) const noexcept override {
    return std::min(count_, children);
  }
  [[nodiscard]] bool counts_all() const noexcept override { return true; }

 private:
  std::uint32_t count_;
};

// Counts who trains; the trainer of 01_hello would do as well.
class Counter final : public Trainer {
 public:
  explicit Counter(std::vector<int>& counts) : counts_(counts) {}
  Result<TrainOutcome> train(const TrainTask& task) override {
    ++counts_[task.client.value];
    TrainOutcome outcome;
    outcome.model = task.base;
    outcome.weight = 1.0;
    return outcome;
  }
  Result<Evaluation> evaluate(std::span<const float> /*model*/, std::uint32_t /*part*/,
                              std::uint32_t /*parts*/) override {
    return unsupported("there is no held-out data");
  }

 private:
  std::vector<int>& counts_;
};

class CounterFactory final : public TrainerFactory {
 public:
  explicit CounterFactory(std::vector<int>& counts) : counts_(counts) {}
  const ParameterSpec& spec() const noexcept override { return spec_; }
  Result<std::vector<float>> initial_model(std::uint64_t /*seed*/) const override { return std::vector<float>{0.0F}; }
  double weight_bound(ClientIndex /*client*/) const override { return 1.0; }
  Result<std::unique_ptr<Trainer>> create() const override {
    return std::unique_ptr<Trainer>(std::make_unique<Counter>(counts_));
  }

 private:
  std::vector<int>& counts_;
  ParameterSpec spec_ = ParameterSpec::create({{"value", {1}}}).value();
};

Status run(const std::filesystem::path& directory) {
  ExtensionRegistry extensions;
  register_builtin_aggregators(extensions);
  extensions.add_policy("in-turn", "ask a few children a round, one after the other",
                        [](const PolicySettings& settings) { return std::make_unique<InTurn>(settings); });

  TRIBUTARY_ASSIGN_OR_RETURN(const Configuration configuration,
                             parse_configuration(kConfiguration, "in-turn.yaml", {}));
  TRIBUTARY_ASSIGN_OR_RETURN(const Topology topology, star_topology(configuration.topology.clients));
  std::vector<int> counts(5, 0);
  TRIBUTARY_ASSIGN_OR_RETURN(const PreparedRun prepared, prepare_run(configuration, topology.to_tree(), extensions,
                                                                     std::make_unique<CounterFactory>(counts)));
  FederationOptions options;
  options.directory = directory;
  TRIBUTARY_ASSIGN_OR_RETURN(const auto federation,
                             Federation::open(prepared.plan, *prepared.factory, std::move(options)));
  SimulationDriver driver({.threads = 1});
  TRIBUTARY_RETURN_IF_ERROR(federation->run(driver).status());
  const auto [least, most] = std::minmax_element(counts.begin(), counts.end());
  std::printf("each of 5 clients trained %d or %d times\n", *least, *most);
  return {};
}

}  // namespace

int main() {
  const std::filesystem::path directory = std::filesystem::temp_directory_path() / "tributary-policy";
  std::filesystem::remove_all(directory);
  if (const Status status = run(directory); !status.ok()) {
    std::fprintf(stderr, "policy: %s\n", status.message().c_str());
    return exit_code(status.code());
  }
  return 0;
}
