// SPDX-License-Identifier: Apache-2.0
// The federation of 01_hello on the ranks of an MPI job: every rank makes the same plan, the first one runs it, the
// others serve it. The lines are those of 01_hello, whatever the number of ranks.
//
// Build:  cmake -S examples -B build/examples -G Ninja -DCMAKE_PREFIX_PATH=$HOME/.local
//         cmake --build build/examples
// Run:    mpirun -n 3 build/examples/hello_mpi
// Output:
//   round 1: mean squared distance 35.405
//   round 2: mean squared distance 16.907
//   round 3: mean squared distance 12.282
//   round 4: mean squared distance 11.126
//   round 5: mean squared distance 10.837
//   finished after 5 rounds, version 5
#include <cstdio>
#include <filesystem>
#include <memory>
#include <utility>
#include <vector>

#include "tributary/aggregators/builtin.hpp"
#include "tributary/base/random.hpp"
#include "tributary/mpi/driver.hpp"
#include "tributary/run/federation.hpp"
#include "tributary/run/prepared_run.hpp"
#include "tributary/topology/generate.hpp"
#include "tributary/topology/place_nodes.hpp"

namespace {

using tributary::ClientIndex;
using tributary::Result;

// One client's data: 100 points in the plane.
std::vector<float> points_of(ClientIndex client) {
  tributary::Rng rng(tributary::stream_seed(7, tributary::Purpose::kTest, client.value));
  std::vector<float> points(200);
  for (float& coordinate : points) { coordinate = static_cast<float>(client.value + rng.normal()); }
  return points;
}

std::vector<double> mean_of(const std::vector<float>& points) {
  std::vector<double> mean(2, 0.0);
  for (std::size_t i = 0; i < points.size(); ++i) { mean[i % 2] += static_cast<double>(points[i]) / 100.0; }
  return mean;
}

class MeanTrainer final : public tributary::Trainer {
 public:
  // Half a step towards the mean of the client's points.
  Result<tributary::TrainOutcome> train(const tributary::TrainTask& task) override {
    const std::vector<double> mean = mean_of(points_of(task.client));
    auto model = std::make_shared<std::vector<float>>(*task.base);
    double distance = 0.0;
    for (std::size_t i = 0; i < 2; ++i) {
      const double way = mean[i] - static_cast<double>((*model)[i]);
      distance += way * way;
      (*model)[i] += static_cast<float>(0.5 * way);
    }
    tributary::TrainOutcome outcome;
    outcome.model = std::move(model);
    outcome.weight = 100.0;
    outcome.samples = 100;
    outcome.steps = 1;
    outcome.metrics["loss"] = distance;
    return outcome;
  }

  Result<tributary::Evaluation> evaluate(std::span<const float> /*model*/, std::uint32_t /*part*/,
                                         std::uint32_t /*parts*/) override {
    return tributary::unsupported("there is no held-out data");
  }
};

class MeanTrainerFactory final : public tributary::TrainerFactory {
 public:
  const tributary::ParameterSpec& spec() const noexcept override { return spec_; }
  Result<std::vector<float>> initial_model(std::uint64_t /*seed*/) const override {
    return std::vector<float>{0.0F, 0.0F};
  }
  double weight_bound(ClientIndex /*client*/) const override { return 100.0; }
  Result<std::unique_ptr<tributary::Trainer>> create() const override {
    return std::unique_ptr<tributary::Trainer>(std::make_unique<MeanTrainer>());
  }

 private:
  tributary::ParameterSpec spec_ = tributary::ParameterSpec::create({{"mean", {2}}}).value();
};

// Prints one line per round.
class Printer final : public tributary::RecordSink {
 public:
  tributary::Status write(const tributary::Record& record) override {
    if (record.event() == "round") {
      std::printf("round %.0f: mean squared distance %.3f\n", record.number("round"), record.number("train_loss"));
    }
    return {};
  }
  tributary::Status flush() override { return {}; }
};

Result<tributary::PreparedRun> make_federation() {
  tributary::Configuration configuration;
  configuration.name = "hello";
  configuration.rounds = 5;
  const std::vector<std::uint32_t> widths{2, 8};
  TRIBUTARY_ASSIGN_OR_RETURN(const tributary::Topology topology, tributary::widths_topology(widths));
  tributary::ExtensionRegistry extensions;
  tributary::register_builtin_aggregators(extensions);
  return tributary::prepare_run(configuration, topology.to_tree(), extensions, std::make_unique<MeanTrainerFactory>());
}

tributary::Status run(tributary::MpiSession& session) {
  const Result<tributary::PreparedRun> made = make_federation();
  // Whoever could not make it, or made something else, is named on all ranks before anything starts.
  TRIBUTARY_RETURN_IF_ERROR(
      session.agree(made.status(), made.ok() ? tributary::credentials_of(made->plan, made->data_digest(), "hello 1")
                                             : tributary::MpiCredentials{}));
  tributary::MpiDriver driver(session, {.threads = 1, .place = tributary::node_placer()});
  if (session.rank() != 0) { return driver.serve(made->plan, *made->factory); }

  const std::filesystem::path directory = std::filesystem::temp_directory_path() / "tributary-hello-mpi";
  std::filesystem::remove_all(directory);
  Printer printer;
  tributary::FederationOptions options;
  options.directory = directory;
  options.sinks.push_back(&printer);
  auto federation = tributary::Federation::open(made->plan, *made->factory, std::move(options));
  // The others wait for the run to begin, or to hear why it does not.
  if (!federation.ok()) { return session.agree(federation.status(), {}); }
  TRIBUTARY_ASSIGN_OR_RETURN(const tributary::FederationOutcome outcome, (*federation)->run(driver));
  std::printf("%s after %llu rounds, version %llu\n", std::string(to_string(outcome.kind)).c_str(),
              static_cast<unsigned long long>(outcome.round.value),
              static_cast<unsigned long long>(outcome.version.value));
  return {};
}

}  // namespace

int main() {
  const auto session = tributary::MpiSession::start();
  if (!session.ok()) {
    std::fprintf(stderr, "hello_mpi: %s\n", session.status().message().c_str());
    return tributary::exit_code(session.status().code());
  }
  const tributary::Status status = run(**session);
  if (!status.ok() && (*session)->rank() == 0) { std::fprintf(stderr, "hello_mpi: %s\n", status.message().c_str()); }
  std::fflush(nullptr);
  return (*session)->end(status);
}
