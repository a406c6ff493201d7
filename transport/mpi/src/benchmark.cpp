// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <functional>

#include "endpoint.hpp"
#include "session_state.hpp"
#include "tributary/mpi/benchmark.hpp"
#include "wire/node_message.hpp"

namespace tributary {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : 0.5 * (values[middle - 1] + values[middle]);
}

// Keeps the last letter.
class Inbox final : public internal::LetterReceiver {
 public:
  void on_letter(int /*from*/, std::span<const std::byte> control, std::span<Payload> payloads) override {
    ++letters;
    if (decode) {
      Result<internal::NodeMessage> letter = internal::decode_letter(control, limits);
      const Status whole = letter.ok() ? internal::attach(*letter, payloads) : letter.status();
      if (!whole.ok()) { trouble = whole.message(); }
    }
  }
  void on_sent(std::uint64_t /*token*/) override {}
  void on_trouble(int /*peer*/, std::string what) override { trouble = std::move(what); }

  std::uint64_t letters = 0;
  bool decode = false;
  std::string trouble;
  internal::LetterLimits limits;
};

// As many round trips as take some milliseconds.
std::uint32_t trips_of(std::size_t bytes) {
  if (bytes <= 4096) { return 2000; }
  if (bytes <= std::size_t{64} << 10U) { return 500; }
  return static_cast<std::uint32_t>(std::max<std::size_t>(2, (std::size_t{64} << 20U) / bytes));
}

// A round trip, from either side: rank 0 sends first. Only who waits in `receive` or `flush` moves letters.
double time_trips(int rank, std::uint32_t trips, MPI_Comm communicator, const std::function<void()>& send,
                  const std::function<void()>& receive, const std::function<void()>& flush) {
  MPI_Barrier(communicator);
  const auto start = Clock::now();
  for (std::uint32_t trip = 0; trip < trips; ++trip) {
    if (rank == 0) {
      send();
      receive();
    } else {
      receive();
      send();
      flush();
    }
  }
  return seconds_since(start) / (2.0 * trips);
}

class TransferBench {
 public:
  explicit TransferBench(MpiSession& session)
      : rank_(session.rank()), peer_(1 - rank_), endpoint_(control_.get(), data_.get(), settings(), inbox_) {}
  ~TransferBench() {
    // The communicators are left to the end of MPI, whether or not all has arrived.
    static_cast<void>(endpoint_.close(std::chrono::seconds(10)));
  }
  TransferBench(const TransferBench&) = delete;
  TransferBench& operator=(const TransferBench&) = delete;

  Result<TransferMeasurement> measure(std::size_t bytes, std::uint32_t repeats) {
    const std::size_t values = std::max<std::size_t>(1, bytes / sizeof(float));
    inbox_.limits.elements = values;
    const auto content = std::make_shared<const std::vector<float>>(values, 1.0F);
    const std::vector<Payload> payloads{Payload::floats(content)};
    std::vector<float> landing(values);
    const auto size = static_cast<int>(values * sizeof(float));
    const std::array<std::byte, 4> tag{};

    UpdateMessage update;
    update.update.contributors = 1;
    update.update.segments.push_back({std::string(kDeltaSegment), payloads.front()});
    update.update.scalars["loss"].add(0.5, Weight::from_units(1));
    const Message message(update);

    std::uint64_t expected = inbox_.letters;
    const auto receive = [&] {
      ++expected;
      while (inbox_.letters < expected) { endpoint_.progress(); }
    };
    const auto flush = [&] {
      while (endpoint_.sending()) { endpoint_.progress(); }
    };
    TransferMeasurement result{.bytes = bytes};
    std::vector<double> plain;
    std::vector<double> letter;
    std::vector<double> whole;
    std::vector<double> letter_ratios;
    std::vector<double> message_ratios;
    const std::uint32_t trips = trips_of(bytes);
    for (std::uint32_t repeat = 0; repeat <= repeats; ++repeat) {
      plain.push_back(time_trips(
          rank_, trips, plain_.get(), [&] { MPI_Send(content->data(), size, MPI_BYTE, peer_, 0, plain_.get()); },
          [&] { MPI_Recv(landing.data(), size, MPI_BYTE, peer_, 0, plain_.get(), MPI_STATUS_IGNORE); }, [] {}));
      inbox_.decode = false;
      letter.push_back(
          time_trips(rank_, trips, plain_.get(), [&] { endpoint_.send(peer_, tag, payloads); }, receive, flush));
      inbox_.decode = true;
      whole.push_back(time_trips(
          rank_, trips, plain_.get(),
          [&] {
            const std::vector<Payload> carried = internal::payloads_of(message);
            const std::array<std::uint64_t, 1> id{1};
            const std::vector<std::byte> control = internal::encode_letter(NodeId{1}, NodeId{0}, message, carried, id);
            endpoint_.send(peer_, control, carried);
          },
          receive, flush));
      letter_ratios.push_back(letter.back() / plain.back());
      message_ratios.push_back(whole.back() / plain.back());
      if (repeat == 0) {  // brings pages in
        for (auto* values_so_far : {&plain, &letter, &whole, &letter_ratios, &message_ratios}) {
          values_so_far->clear();
        }
      }
    }
    if (!inbox_.trouble.empty()) { return internal_error("a letter of the benchmark was damaged: " + inbox_.trouble); }
    result.plain_seconds = median(plain);
    result.letter_seconds = median(letter);
    result.message_seconds = median(whole);
    result.letter_ratio = median(letter_ratios);
    result.message_ratio = median(message_ratios);
    return result;
  }

 private:
  static internal::EndpointSettings settings() {
    internal::EndpointSettings settings;
    settings.staging_bytes = std::size_t{600} << 20U;
    return settings;
  }

  int rank_;
  int peer_;
  internal::Communicator plain_;
  internal::Communicator control_;
  internal::Communicator data_;
  Inbox inbox_;
  internal::Endpoint endpoint_;
};

}  // namespace

Result<std::vector<TransferMeasurement>> measure_transfers(MpiSession& session, const std::vector<std::size_t>& sizes,
                                                           std::uint32_t repeats) {
  if (session.size() != 2) {
    return invalid_argument("this is measured between two ranks: mpirun -n 2 tributary bench transport --driver mpi");
  }
  TransferBench bench(session);
  std::vector<TransferMeasurement> all;
  for (const std::size_t bytes : sizes) {
    TRIBUTARY_ASSIGN_OR_RETURN(const TransferMeasurement one, bench.measure(bytes, repeats));
    all.push_back(one);
  }
  return all;
}

}  // namespace tributary
