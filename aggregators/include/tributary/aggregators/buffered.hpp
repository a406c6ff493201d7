// SPDX-License-Identifier: Apache-2.0
// The continuous tier policies: children work all the time, and the node commits whenever enough updates have come.
//
//   buffered       commits with every `buffer` updates (FedBuff, arXiv 2106.06639)
//   asynchronous   commits with every update (FedAsync, arXiv 1903.03934): a buffer of one. In the delta form by its
//                  change; in that of the paper the node's model W is mixed with the client's, x_i = b_i + D_i for a
//                  base b_i: W <- (1 - a s(tau)) W + a s(tau) x_i, with a = `mixing`.
//
// At most `concurrency` children work at a time, each from the model that was newest when it was asked. Who is asked is
// drawn at random among those that have nothing to do. A child counts at most once in a buffer, and is not asked again
// until that buffer has been committed.
//
// Discounts: an update whose model is tau versions old counts s(tau) times, the buffer's weight as it is: the step gets
//            smaller, and is not made larger again by dividing. s is rounded to multiples of 2^-12, a s(tau) to
//            multiples of 2^-16.
//              constant      1
//              inverse-root  (1 + tau)^(-1/2)
//              polynomial    (1 + tau)^(-a)
//              hinge         1 up to tau = b, then 1 / (a (tau - b) + 1)
//              exponential   exp(-a tau)
//              harmonic      1 / (1 + a tau)
// Rates:     who answers more often moves the model more often, so that it ends nearer to where the fast would have it.
//            With `rate_correction` R > 1 an update of child i counts max(1/R, g_i / g) times, where g_i is the mean
//            number of counted updates, of all children, from one of i to its next (an exponential mean, 0.2 for the
//            newest), and g the largest of them; and where each update is a commit, so that weights do not show in a
//            mean, n_i / n times too, n the largest weight so far. In the long run each child then moves the model by
//            its weight, however fast it is, as far as rates differ by no more than R, with the discount `constant`.
//            An update counts by what was known before it.
// Deadline:  `deadline_s` after a buffer was opened, what is in it is committed, or else the next update that comes. A
//            buffer that is not full moves the model by its share of a full one.
// Threads:   as TierPolicy.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>

#include "tributary/nodes/tier_policy.hpp"

namespace tributary {

class BufferedPolicy final : public TierPolicy {
 public:
  // `buffer`: of `settings`, or 1 for the policy "asynchronous".
  BufferedPolicy(const PolicySettings& settings, std::uint32_t buffer);

  Decision open(TierContext& context) override;
  Decision on_event(TierContext& context, const TierEvent& event) override;
  [[nodiscard]] std::uint32_t largest_target(std::uint32_t children) const noexcept override;
  [[nodiscard]] bool counts_all() const noexcept override { return false; }
  [[nodiscard]] bool continuous() const noexcept override { return true; }
  [[nodiscard]] std::uint32_t factor(const Arrival& arrival) const noexcept override;
  [[nodiscard]] Snapshot save() const override;
  Status restore(const Snapshot& snapshot) override;
  [[nodiscard]] int discount_bits() const noexcept override;
  [[nodiscard]] bool mixes() const noexcept override { return buffer_ == 1 && settings_.mixing.has_value(); }
  [[nodiscard]] double share(const RoundState& state) const noexcept override;

  // s(tau), in [0, 1].
  [[nodiscard]] double discount(double staleness) const noexcept;

  // What a child's updates count for, by how often they come, in (0, 1].
  [[nodiscard]] double rate_factor(std::uint32_t child, Weight weight) const noexcept;

 private:
  // When a child's update was counted last, by all that were, and how many come from one to the next.
  struct Rhythm {
    std::uint64_t last = 0;
    double gap = 0.0;
  };

  [[nodiscard]] bool corrects() const noexcept { return settings_.rate_correction > 1.0; }
  void note(const TierEvent& event);
  void set_gap(Rhythm& rhythm, double gap);
  Decision decide(TierContext& context) const;
  [[nodiscard]] std::optional<std::uint32_t> draw(const TierContext& context) const;

  PolicySettings settings_;
  std::uint32_t buffer_;
  std::uint64_t counted_ = 0;  // updates
  double heaviest_ = 0.0;
  std::map<std::uint32_t, Rhythm> rhythms_;  // by child
  std::multiset<double> gaps_;               // of all of them
};

}  // namespace tributary
