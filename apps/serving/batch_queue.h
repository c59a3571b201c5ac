// Images of many requests, computed together: the threads of requests put images in, and one thread takes them out in batches.
//
// Whoever waits gets its own images' results, in its own order. If a batch fails, its images are computed one by one, so that an
// error reaches only the request whose image causes it. Missing memory is such an error too: it never ends the worker.
#pragma once

#include <kindred/apps/serving/image_result.h>

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <future>
#include <list>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

namespace kindred {

using PreparedPixels = std::vector<std::uint8_t>;  // [side, side, 3], as the encoder takes them

struct BatchRules {
  std::int64_t most_images = 32;          // of a batch
  std::int64_t most_waiting = 256;        // images
  std::chrono::milliseconds patience{3};  // how long the first image of a batch waits for others
};

class BatchQueue {
 public:
  // pixels: [images, side, side, 3]. Returns a result for each image, or throws.
  using Compute =
      std::function<std::vector<ImageResult>(std::span<const std::uint8_t> pixels, std::int64_t images)>;
  using Results = std::vector<std::future<ImageResult>>;

  BatchQueue(const BatchRules& rules, Compute compute);

  // All of these images, which have the same size, or none of them: empty if there is no room. The futures give the results, or
  // throw what `compute` threw. To be called from any thread. Throws std::bad_alloc.
  std::optional<Results> put(std::vector<PreparedPixels> images);
  std::size_t waiting() const;
  std::size_t most_waiting() const { return static_cast<std::size_t>(rules_.most_waiting); }

  // Computes what is put in, until is_over() returns true and nothing waits. is_over() is called at least ten times a second,
  // unless a batch takes longer; after it has returned true nothing may be put in. To be called by one thread.
  void work(const std::function<bool()>& is_over);
  // Nothing more is taken in, and who waits gets std::future_error: for a worker that ends early.
  void close();

  // The number of images of the next batch, 1 or more: the largest power of two that is neither above `waiting` nor above `most`.
  // Fewer sizes mean fewer plans for a GPU to measure and fewer primitives to make, and no row is computed for nothing.
  static std::int64_t next_batch(std::int64_t waiting, std::int64_t most);

 private:
  struct Waiting {
    PreparedPixels pixels;
    std::promise<ImageResult> result;
    std::chrono::steady_clock::time_point since;
  };

  // Lists, because moving their nodes takes no memory.
  using Batch = std::list<Waiting>;

  Batch next();
  void compute(Batch& batch) const;
  void compute_each(Batch& batch) const;

  const BatchRules rules_;
  const Compute compute_;
  mutable std::mutex mutex_;
  std::condition_variable came_;
  Batch waiting_;
  bool closed_ = false;
};

}  // namespace kindred
