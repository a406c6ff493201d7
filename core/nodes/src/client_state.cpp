// SPDX-License-Identifier: Apache-2.0
#include "tributary/nodes/client_state.hpp"

#include <algorithm>
#include <utility>

namespace tributary {

ClientState::ClientState(std::uint64_t epoch, std::uint64_t next, std::uint64_t last_settled,
                         std::vector<double> settled, std::vector<Undecided> undecided)
    : epoch_(epoch),
      next_(next),
      last_settled_(last_settled),
      settled_(std::move(settled)),
      undecided_(std::move(undecided)) {}

std::vector<double> ClientState::current() const {
  std::vector<double> sum = settled_;
  for (const Undecided& part : undecided_) {
    sum.resize(part.increment->size(), 0.0);
    for (std::size_t i = 0; i < sum.size(); ++i) { sum[i] += static_cast<double>((*part.increment)[i]); }
  }
  return sum;
}

void ClientState::begin(std::uint64_t epoch) {
  *this = ClientState{next_};
  epoch_ = epoch;
}

void ClientState::add(Increment increment) {
  undecided_.push_back({next_++, std::move(increment)});
}

void ClientState::settle(std::span<const SequenceFate> fates) {
  for (const SequenceFate& known : fates) {
    const auto found = std::ranges::find(undecided_, known.sequence, &Undecided::sequence);
    if (found == undecided_.end() || known.fate == Fate::kHeld) { continue; }
    if (known.fate == Fate::kCounted) {
      last_settled_ = std::max(last_settled_, known.sequence);
      settled_.resize(found->increment->size(), 0.0);
      for (std::size_t i = 0; i < settled_.size(); ++i) { settled_[i] += static_cast<double>((*found->increment)[i]); }
    }
    undecided_.erase(found);
  }
}

}  // namespace tributary
