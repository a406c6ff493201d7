// SPDX-License-Identifier: Apache-2.0
// Memory that arriving payloads are received into, used again as soon as nobody holds the last one: fresh memory costs
// as much time in page faults as the transfer itself.
//
// Threads:   internally synchronised; a payload may be dropped by any thread.
// Ownership: a buffer may outlive the pool.
// Memory:    keeps unused buffers up to `keep_bytes`, and gives the rest back.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace tributary::internal {

template <typename T>
class BufferPool {
 public:
  explicit BufferPool(std::size_t keep_bytes) : shelf_(std::make_shared<Shelf>(keep_bytes)) {}

  // A buffer of exactly `size` elements with arbitrary content.
  std::shared_ptr<std::vector<T>> take(std::size_t size) {
    std::unique_ptr<std::vector<T>> buffer;
    {
      const std::lock_guard lock(shelf_->mutex);
      for (auto kept = shelf_->free.rbegin(); kept != shelf_->free.rend(); ++kept) {
        // A payload's size hardly ever changes; a much larger buffer would be memory wasted.
        if ((*kept)->capacity() >= size && (*kept)->capacity() <= size + size / 8 + 64) {
          buffer = std::move(*kept);
          shelf_->room += buffer->capacity() * sizeof(T);
          shelf_->free.erase(std::next(kept).base());
          break;
        }
      }
    }
    if (!buffer) { buffer = std::make_unique<std::vector<T>>(); }
    buffer->resize(size);
    return std::shared_ptr<std::vector<T>>(buffer.release(), [shelf = shelf_](std::vector<T>* used) {
      shelf->put(std::unique_ptr<std::vector<T>>(used));
    });
  }

 private:
  struct Shelf {
    explicit Shelf(std::size_t keep_bytes) : keep(keep_bytes), room(keep_bytes) {}

    const std::size_t keep;
    std::mutex mutex;
    std::vector<std::unique_ptr<std::vector<T>>> free;
    std::size_t room;

    void put(std::unique_ptr<std::vector<T>> used) {
      const std::size_t bytes = used->capacity() * sizeof(T);
      if (bytes > keep) { return; }
      std::vector<std::unique_ptr<std::vector<T>>> dropped;  // freed after the lock
      const std::lock_guard lock(mutex);
      // The oldest make room: sizes change when another model is trained.
      while (bytes > room) {
        room += free.front()->capacity() * sizeof(T);
        dropped.push_back(std::move(free.front()));
        free.erase(free.begin());
      }
      room -= bytes;
      free.push_back(std::move(used));
    }
  };
  std::shared_ptr<Shelf> shelf_;
};

}  // namespace tributary::internal
