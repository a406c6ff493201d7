// SPDX-License-Identifier: Apache-2.0
// The MPI driver under the contract of all drivers. Run with any number of ranks.
#include <memory>

#include "contract/driver_contract.hpp"
#include "mpi_main.hpp"
#include "tributary/topology/place_nodes.hpp"

namespace tributary::testing {
namespace {

class MpiUnderTest final : public DriverUnderTest {
 public:
  explicit MpiUnderTest(MpiDriverSettings settings) : driver_(session(), std::move(settings)) {}

  [[nodiscard]] bool holds_root() const override { return session().rank() == 0; }
  Status run(const AgreedPlan& plan, const TrainerFactory& factory, RunObserver& observer) override {
    return holds_root() ? driver_.run(plan, factory, observer) : driver_.serve(plan, factory);
  }
  [[nodiscard]] const DriverStatistics& statistics() const override { return driver_.statistics(); }

 private:
  MpiDriver driver_;
};

DriverCase mpi(std::string name, std::uint32_t threads, std::size_t chunk_bytes) {
  return {.name = std::move(name),
          .make =
              [threads, chunk_bytes](const ComputeTime& /*compute_time*/) {
                // Sanitizers and many ranks on few cores make ranks slow, not silent.
                return std::make_unique<MpiUnderTest>(MpiDriverSettings{.threads = threads,
                                                                        .silence = std::chrono::minutes(2),
                                                                        .place = node_placer(),
                                                                        .chunk_bytes = chunk_bytes});
              },
          .deadline = std::chrono::milliseconds(600)};
}

// Small chunks: every payload above a frame is cut into many.
INSTANTIATE_TEST_SUITE_P(Mpi, DriverContract, ::testing::Values(mpi("OneThread", 1, 0), mpi("TwoThreads", 2, 16384)),
                         case_name);

}  // namespace
}  // namespace tributary::testing
