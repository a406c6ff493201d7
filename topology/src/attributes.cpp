// SPDX-License-Identifier: Apache-2.0
#include "attributes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <span>

#include "text.hpp"
#include "tributary/base/printable.hpp"
#include "tributary/topology/errors.hpp"

namespace tributary::internal {
namespace {

std::string text_problem(std::string_view text, std::size_t least) {
  if (text.size() < least || text.size() > TopologyLimits::kTextBytes) {
    return fmt::format("must have {} to {} bytes, got {}", least, TopologyLimits::kTextBytes, text.size());
  }
  if (!is_printable_text(text)) { return fmt::format("must be printable UTF-8, got {}", quoted(text)); }
  return {};
}

std::string word_problem(std::string_view word, std::span<const std::string_view> known) {
  if (std::find(known.begin(), known.end(), word) != known.end()) { return {}; }
  return fmt::format("must be {}, got {}{}", one_of(known), quoted(word), did_you_mean(word, known));
}

std::string prefixed(std::string_view key, const std::string& problem) {
  return problem.empty() ? problem : fmt::format("{} {}", key, problem);
}

}  // namespace

std::string site_problem(std::string_view site) {
  return text_problem(site, 1);
}
std::string address_problem(std::string_view address) {
  return text_problem(address, 1);
}

std::string device_problem(std::string_view device) {
  static constexpr std::array<std::string_view, 3> kDevices{"cpu", "cuda", "auto"};
  // One letter from "cpu", and yet not meant so.
  if (device == "gpu") { return "must be cpu, cuda or auto, got \"gpu\"; did you mean \"cuda\"?"; }
  return word_problem(device, kDevices);
}

std::string transport_problem(std::string_view transport) {
  static constexpr std::array<std::string_view, 4> kTransports{"auto", "in-process", "mpi", "tls"};
  return word_problem(transport, kTransports);
}

std::string rank_problem(std::uint64_t rank) {
  if (rank <= TopologyLimits::kRank) { return {}; }
  return fmt::format("must be a whole number from 0 to {}, got {}", TopologyLimits::kRank, rank);
}

std::string rate_problem(double bytes_per_second) {
  const bool unlimited = bytes_per_second == 0.0;
  if (unlimited || (bytes_per_second >= kLeastRate && bytes_per_second <= kLargestRate)) { return {}; }
  return fmt::format("must be 1 B/s to 1e15 B/s, or 0 for unlimited, got {} B/s", bytes_per_second);
}

std::string latency_problem(std::chrono::nanoseconds latency) {
  if (latency.count() >= 0 && latency <= kLargestLatency) { return {}; }
  return fmt::format("must be 0 s to 3600 s, got {}", format_duration(latency));
}

std::string extra_key_problem(std::string_view key) {
  return text_problem(key, 1);
}
std::string extra_value_problem(std::string_view value) {
  return text_problem(value, 0);
}

std::string attributes_problem(const NodeAttributes& attributes) {
  const auto unless_empty = [](std::string_view text, std::string (*problem)(std::string_view)) {
    return text.empty() ? std::string{} : problem(text);
  };
  std::array<std::string, 7> problems{
      prefixed("site", unless_empty(attributes.site, site_problem)),
      prefixed("address", unless_empty(attributes.address, address_problem)),
      prefixed("device", unless_empty(attributes.device, device_problem)),
      prefixed("transport", unless_empty(attributes.transport, transport_problem)),
      prefixed("rank", rank_problem(attributes.rank.value_or(0))),
      prefixed("link.bandwidth", rate_problem(attributes.link.bytes_per_second)),
      prefixed("link.latency", latency_problem(attributes.link.latency)),
  };
  for (std::string& problem : problems) {
    if (!problem.empty()) { return std::move(problem); }
  }
  if (attributes.extra.size() > TopologyLimits::kExtras) {
    return fmt::format("extra must have at most {} keys, got {}", TopologyLimits::kExtras, attributes.extra.size());
  }
  for (const auto& [key, value] : attributes.extra) {
    if (const std::string problem = extra_key_problem(key); !problem.empty()) {
      return fmt::format("a key of extra {}", problem);
    }
    if (const std::string problem = extra_value_problem(value); !problem.empty()) {
      return fmt::format("extra.{} {}", key, problem);
    }
  }
  return {};
}

bool says_something(const NodeAttributes& attributes) {
  return !attributes.site.empty() || !attributes.device.empty() || !attributes.transport.empty() ||
         !attributes.address.empty() || attributes.rank || attributes.link != Link{} || !attributes.extra.empty();
}

}  // namespace tributary::internal
