// SPDX-License-Identifier: Apache-2.0
// Libraries with which something is wrong, one thing per definition.
#include <cstdint>

#include "tributary/training/library_trainer.hpp"

#if defined(TRIBUTARY_TEST_OTHER_ABI)
extern "C" {
extern const std::uint32_t tributary_trainer_abi;
const std::uint32_t tributary_trainer_abi = 9999;
void tributary_register_trainer(tributary::TrainerRegistry&);
void tributary_register_trainer(tributary::TrainerRegistry& /*registry*/) {}
}
#elif defined(TRIBUTARY_TEST_NO_TRAINER)
TRIBUTARY_TRAINER_LIBRARY(registry) {
  static_cast<void>(registry);
}
#else
extern "C" int tributary_test_nothing_here();
int tributary_test_nothing_here() {
  return 0;
}
#endif
