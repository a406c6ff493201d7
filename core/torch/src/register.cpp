// SPDX-License-Identifier: Apache-2.0
// What the core looks up in this library after loading it.
#include <string>

#include "tributary/torch/torch_trainer.hpp"
#include "tributary/training/library_trainer.hpp"

TRIBUTARY_TRAINER_LIBRARY(registry) {
  // Refused only if the registry has a trainer of that name already: then that one counts.
  static_cast<void>(
      registry.add("torch", tributary::make_torch_factory, "libtorch: built-in models and TorchScript files"));
}

// JSON text, valid until this thread's next call.
extern "C" __attribute__((visibility("default"))) const char* tributary_torch_info(int measure);
const char* tributary_torch_info(int measure) {
  thread_local std::string text;
  text = tributary::torch_info(measure != 0);
  return text.c_str();
}
