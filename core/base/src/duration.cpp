// SPDX-License-Identifier: Apache-2.0
#include "tributary/base/duration.hpp"

namespace tributary {

using std::chrono::nanoseconds;

nanoseconds to_nanoseconds(double seconds) noexcept {
  const double exact = seconds * 1e9;
  if (!(exact > 0.0)) { return nanoseconds{0}; }
  // The largest double that an int64 can still hold is 2^63 - 1024.
  if (exact >= 0x1p63) { return kEndOfTime; }
  return nanoseconds{static_cast<std::int64_t>(exact)};
}

nanoseconds later_by(nanoseconds time, nanoseconds by) noexcept {
  return by > kEndOfTime - time ? kEndOfTime : time + by;
}

}  // namespace tributary
