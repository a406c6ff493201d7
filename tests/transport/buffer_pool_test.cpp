// SPDX-License-Identifier: Apache-2.0
#include "wire/buffer_pool.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

namespace tributary::internal {
namespace {

// An element that knows how many of its kind there are: buffers that are kept keep theirs.
struct Counted {
  static inline std::atomic<std::int64_t> alive{0};
  Counted() { ++alive; }
  Counted(const Counted& /*other*/) { ++alive; }
  Counted& operator=(const Counted&) = default;
  ~Counted() { --alive; }
};
static_assert(sizeof(Counted) == 1);

TEST(BufferPool, ABufferHasTheSizeAskedFor) {
  BufferPool<float> pool(1U << 20U);

  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{1000}, std::size_t{990}}) {
    EXPECT_EQ(pool.take(size)->size(), size);
  }
}

TEST(BufferPool, ABufferThatCameBackIsUsedAgain) {
  BufferPool<float> pool(1U << 20U);
  const float* const first = pool.take(1000)->data();

  const auto same = pool.take(1000);
  const auto other = pool.take(1000);

  EXPECT_EQ(same->data(), first);
  EXPECT_NE(other->data(), first) << "it is held";
}

TEST(BufferPool, ASlightlyLargerBufferIsUsedAgainAndAMuchLargerOneIsNot) {
  BufferPool<float> pool(1U << 20U);
  const float* const first = pool.take(10'000)->data();

  const auto much_smaller = pool.take(1000);
  const auto larger = pool.take(10'001);
  const auto smaller = pool.take(9900);

  EXPECT_NE(much_smaller->data(), first);
  EXPECT_NE(larger->data(), first);
  EXPECT_EQ(smaller->data(), first);
  EXPECT_EQ(smaller->size(), 9900U);
}

TEST(BufferPool, KeepsAtMostAsManyBytesAsItMay) {
  BufferPool<Counted> pool(1000);

  std::vector<std::shared_ptr<std::vector<Counted>>> held;
  for (int i = 0; i < 10; ++i) { held.push_back(pool.take(300)); }
  held.clear();

  EXPECT_EQ(Counted::alive, 900);
}

TEST(BufferPool, TheOldestMakesRoom) {
  BufferPool<float> pool(2 * 1000 * sizeof(float));
  auto a = pool.take(1000);
  auto b = pool.take(1000);
  auto c = pool.take(1000);
  const std::array<const float*, 2> younger{b->data(), c->data()};
  a.reset();
  b.reset();
  c.reset();

  const auto first = pool.take(1000);
  const auto second = pool.take(1000);

  EXPECT_EQ(first->data(), younger[1]) << "the youngest is the warmest";
  EXPECT_EQ(second->data(), younger[0]);
}

TEST(BufferPool, ABufferTooLargeToKeepDisplacesNoOther) {
  BufferPool<Counted> pool(1000);
  pool.take(800).reset();

  pool.take(5000).reset();

  EXPECT_EQ(Counted::alive, 800);
}

TEST(BufferPool, APoolThatMayKeepNothingKeepsNothing) {
  BufferPool<Counted> pool(0);

  pool.take(10).reset();

  EXPECT_EQ(Counted::alive, 0);
}

TEST(BufferPool, BuffersOutliveThePool) {
  auto pool = std::make_optional<BufferPool<Counted>>(1000);
  auto held = pool->take(100);
  auto kept = pool->take(200);
  kept.reset();

  pool.reset();

  EXPECT_EQ(held->size(), 100U);
  EXPECT_EQ(Counted::alive, 300) << "the shelf stays for the buffer that will come back";
  held.reset();
  EXPECT_EQ(Counted::alive, 0);
}

TEST(BufferPool, ThreadsMayTakeAndDropTogether) {
  constexpr std::size_t kThreads = 4;
  constexpr int kTurns = 3000;
  constexpr std::size_t kKeep = 16 * 1024;
  struct Slot {
    std::mutex mutex;
    std::shared_ptr<std::vector<std::uint32_t>> buffer;
  };
  BufferPool<std::uint32_t> pool(kKeep);
  std::array<Slot, kThreads> slots;
  std::atomic<int> wrong{0};

  // Each thread fills its buffer, checks that nobody else wrote in it, and swaps it with one that another thread drops.
  const auto work = [&](std::size_t self) {
    for (int turn = 0; turn < kTurns; ++turn) {
      const auto mark = static_cast<std::uint32_t>(self * kTurns) + static_cast<std::uint32_t>(turn);
      auto buffer = pool.take(100 + mark % 50);
      std::fill(buffer->begin(), buffer->end(), mark);
      std::this_thread::yield();
      if (!std::all_of(buffer->begin(), buffer->end(), [mark](std::uint32_t value) { return value == mark; })) {
        ++wrong;
      }
      Slot& slot = slots[(self + static_cast<std::size_t>(turn)) % kThreads];
      const std::lock_guard lock(slot.mutex);
      std::swap(slot.buffer, buffer);
    }
  };
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < kThreads; ++i) { threads.emplace_back(work, i); }
  }

  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace tributary::internal
