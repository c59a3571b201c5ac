// Decoded images kept in memory, so that small ones are decoded once a run and not once an epoch.
#pragma once

#include <kindred/data/decode.h>

#include <atomic>
#include <memory>
#include <vector>

namespace kindred {

// One slot a sample; fills up to `capacity` bytes of pixels, in the order in which images come, and then keeps
// what it has. What a sample's load gives does not depend on whether it is cached, so neither does any batch.
// Rejected images take no pixels and are always kept: nobody reads them twice. Thread-safe, without locks.
class ImageCache {
 public:
  ImageCache(std::size_t samples, std::size_t capacity) : slots_(samples), capacity_(capacity) {}
  ImageCache(const ImageCache&) = delete;
  ImageCache& operator=(const ImageCache&) = delete;
  ~ImageCache() {
    for (auto& slot : slots_) delete slot.load(std::memory_order_relaxed);
  }

  // The cached image, or null. Valid as long as the cache.
  const Decoded* find(std::size_t sample) const { return slots_[sample].load(std::memory_order_acquire); }

  // Whether pixels of this size would be kept now; another thread may take the room.
  bool has_room(std::size_t bytes) const { return used_.load(std::memory_order_relaxed) + bytes <= capacity_; }

  // Keeps `decoded` (a whole picture, or a rejected one) if there is room and says where; null, and `decoded`
  // untouched, if there is none.
  const Decoded* keep(std::size_t sample, Decoded& decoded) {
    const std::size_t bytes = decoded.image.pixels.size();
    if (used_.fetch_add(bytes, std::memory_order_relaxed) + bytes > capacity_ && bytes > 0) {
      used_.fetch_sub(bytes, std::memory_order_relaxed);
      return nullptr;
    }
    auto entry = std::make_unique<const Decoded>(std::move(decoded));
    const Decoded* nobody = nullptr;
    if (slots_[sample].compare_exchange_strong(nobody, entry.get(), std::memory_order_acq_rel)) {
      return entry.release();
    }
    used_.fetch_sub(bytes, std::memory_order_relaxed);
    return nobody;  // another worker was first, with the same pixels
  }

 private:
  std::vector<std::atomic<const Decoded*>> slots_;  // [samples], owned
  std::size_t capacity_;
  std::atomic<std::size_t> used_{0};
};

}  // namespace kindred
