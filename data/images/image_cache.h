// Keeps decoded images in memory, so that small ones are decoded once per run instead of once per epoch.
#pragma once

#include <kindred/data/images/decode.h>

#include <atomic>
#include <memory>
#include <vector>

namespace kindred {

// One slot per sample. The cache takes up to `capacity` bytes of pixels, in the order in which images arrive,
// and never evicts any. The result of loading a sample does not depend on whether it is cached, so batches do
// not depend on it either. Rejected images have no pixels and are always kept, so that no file is read twice
// only to be rejected. Thread-safe and lock-free.
class ImageCache {
 public:
  ImageCache(std::size_t samples, std::size_t capacity) : slots_(samples), capacity_(capacity) {}
  ImageCache(const ImageCache&) = delete;
  ImageCache& operator=(const ImageCache&) = delete;
  ~ImageCache() {
    for (auto& slot : slots_) delete slot.load(std::memory_order_relaxed);
  }

  // The cached image, or null. Valid as long as the cache exists.
  const Decoded* find(std::size_t sample) const { return slots_[sample].load(std::memory_order_acquire); }

  // Returns true if there is room for this many bytes now. Another thread may use it first.
  bool has_room(std::size_t bytes) const { return used_.load(std::memory_order_relaxed) + bytes <= capacity_; }

  // Stores `decoded` (a whole picture or a rejected one) if there is room, and returns the stored copy.
  // Otherwise returns null and leaves `decoded` unchanged.
  const Decoded* keep(std::size_t sample, Decoded& decoded) {
    const std::size_t bytes = decoded.image.pixels.size();
    if (used_.fetch_add(bytes, std::memory_order_relaxed) + bytes > capacity_ && bytes > 0) {
      used_.fetch_sub(bytes, std::memory_order_relaxed);
      return nullptr;
    }
    // A buffer that held a larger picture before would stay as large for as long as the cache exists.
    if (decoded.image.pixels.capacity() / 2 > bytes) decoded.image.pixels.shrink_to_fit();
    auto entry = std::make_unique<const Decoded>(std::move(decoded));
    const Decoded* nobody = nullptr;
    if (slots_[sample].compare_exchange_strong(nobody, entry.get(), std::memory_order_acq_rel)) {
      return entry.release();
    }
    used_.fetch_sub(bytes, std::memory_order_relaxed);
    return nobody;  // another worker stored the same pixels first
  }

 private:
  std::vector<std::atomic<const Decoded*>> slots_;  // [samples], owned
  std::size_t capacity_;
  std::atomic<std::size_t> used_{0};
};

}  // namespace kindred
