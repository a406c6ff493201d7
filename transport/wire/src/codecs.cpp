// SPDX-License-Identifier: Apache-2.0
#include "tributary/wire/codecs.hpp"

#include "half_codec.hpp"

namespace tributary {

void register_builtin_codecs(ExtensionRegistry& registry) {
  registry.add_codec("fp16", "half the bytes: values rounded to 11 bits",
                     [] { return std::make_unique<internal::HalfCodec>(); });
}

}  // namespace tributary
