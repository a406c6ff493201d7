// SPDX-License-Identifier: Apache-2.0
// Which samples belong to which client.
//
// Sources: FedAvg shards (arXiv 1602.05629), class-wise label Dirichlet (2102.02079), natural ids (LEAF, 1812.01097).
// Threads: immutable after creation; const calls may run together.
// Cost:    O(samples + clients) to make, except draw(), which is O(1) and computes a client's samples when asked.
// Seeds:   the same arguments give the same partition, on every machine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "tributary/base/digest.hpp"
#include "tributary/base/ids.hpp"
#include "tributary/base/status.hpp"

namespace tributary {

class Partition {
 public:
  // Shuffled and split evenly: sizes differ by at most one. All makers: kInvalidArgument if clients == 0, if there are
  // fewer samples than clients * min_samples, or if an argument is outside the range named.
  static Result<Partition> iid(std::size_t samples, std::uint32_t clients, std::uint64_t seed);

  // For each class, shares drawn from Dirichlet(alpha) cut its shuffled samples (largest remainder). alpha > 0.
  // Clients below min_samples are filled, one sample at a time, from the largest client.
  static Result<Partition> label_dirichlet(std::span<const std::int32_t> labels, std::int32_t classes,
                                           std::uint32_t clients, double alpha, std::size_t min_samples,
                                           std::uint64_t seed);

  // Sizes from Dirichlet(beta), labels mixed evenly. beta > 0.
  static Result<Partition> count_dirichlet(std::size_t samples, std::uint32_t clients, double beta,
                                           std::size_t min_samples, std::uint64_t seed);

  // Sorted by label, cut into shards_per_client * clients shards, dealt at random.
  static Result<Partition> shards(std::span<const std::int32_t> labels, std::uint32_t clients,
                                  std::uint32_t shards_per_client, std::uint64_t seed);

  // One client per distinct id, ids ascending; with more ids than clients, ids are dealt in turn and never split.
  static Result<Partition> natural(std::span<const std::int64_t> ids, std::uint32_t clients);

  // Sample i belongs to client owners[i]. Requires owners[i] < clients.
  static Partition by_owner(std::span<const std::uint32_t> owners, std::uint32_t clients);

  // Every client draws `per_client` distinct samples of the whole, by its own seed: clients may overlap.
  static Result<Partition> draw(std::size_t samples, std::uint32_t clients, std::uint32_t per_client,
                                std::uint64_t seed);

  // From now on each client holds `share`, in [0, 1), of its samples out of training, chosen by `seed`: rounded to
  // whole samples, but one at least is trained on.
  void hold_out(double share, std::uint64_t seed) noexcept;

  [[nodiscard]] std::uint32_t clients() const noexcept { return clients_; }
  // What a client trains on: how many samples, and their numbers.
  [[nodiscard]] std::size_t count(ClientIndex client) const;
  [[nodiscard]] std::vector<std::uint32_t> samples(ClientIndex client) const;
  // What it holds out.
  [[nodiscard]] std::size_t held_out_count(ClientIndex client) const;
  [[nodiscard]] std::vector<std::uint32_t> held_out(ClientIndex client) const;
  // Label counts of one client, `classes` long.
  [[nodiscard]] std::vector<std::uint32_t> histogram(ClientIndex client, std::span<const std::int32_t> labels,
                                                     std::int32_t classes) const;
  // Of the whole assignment (of its parameters, for draw()).
  [[nodiscard]] Digest digest() const;

 private:
  [[nodiscard]] std::size_t count_all(ClientIndex client) const;
  [[nodiscard]] std::vector<std::uint32_t> all_samples(ClientIndex client) const;
  [[nodiscard]] std::vector<bool> marks(ClientIndex client) const;

  std::uint32_t clients_ = 0;
  std::vector<std::uint32_t> samples_;  // all clients' sample numbers, one after the other
  std::vector<std::uint64_t> offsets_;  // clients + 1 entries into samples_
  std::size_t population_ = 0;          // of draw()
  std::uint32_t per_client_ = 0;        // of draw(); 0 for all others
  std::uint64_t seed_ = 0;
  double held_out_share_ = 0.0;
  std::uint64_t holdout_seed_ = 0;
};

}  // namespace tributary
