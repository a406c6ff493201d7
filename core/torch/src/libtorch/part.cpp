// SPDX-License-Identifier: Apache-2.0
// What this library offers to the one that loads it.
#include "libtorch_part.hpp"

extern "C" __attribute__((visibility("default"))) const tributary::internal::LibtorchPart* tributary_libtorch_part();
const tributary::internal::LibtorchPart* tributary_libtorch_part() {
  static const tributary::internal::LibtorchPart part{.plan_network = tributary::internal::plan_torch_network,
                                                      .cuda_available = tributary::internal::cuda_available,
                                                      .use_one_thread = tributary::internal::use_one_libtorch_thread,
                                                      .info = tributary::internal::libtorch_info};
  return &part;
}
