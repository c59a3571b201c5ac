// Samples of a data set, decoded, with a rule for those that cannot be.
#pragma once

#include <kindred/data/dataset.h>
#include <kindred/data/image_cache.h>

#include <atomic>
#include <string>
#include <vector>

namespace kindred {

// An image that was not perfectly well. Damaged ones are used, rejected ones are not.
struct BadImage {
  std::int64_t index = 0;  // in the data set
  std::string path;
  Outcome outcome = Outcome::rejected;
  std::string reason;
};

// Tells what of a picture is wanted, once its size is known.
class WantedRegion {
 public:
  virtual ~WantedRegion() = default;
  virtual Region of(int height, int width) = 0;  // within the picture, not empty
};

// What a thread keeps from sample to sample.
struct ReaderMemory {
  std::vector<std::uint8_t> bytes;
  Decoder decoder;
  Decoded decoded;
};

// Decodes samples: whole as long as the cache has room for them, beyond that the wanted part. The first reading
// of a file goes to its end, so that its outcome is known; a file that was ok is later read as far as its part
// goes. None of this changes a pixel of what is wanted. Thread-safe.
class SampleReader {
 public:
  // Keeps up to `cache_bytes` of decoded pixels; the data set is shared, not copied.
  SampleReader(Dataset dataset, std::size_t cache_bytes);

  const Dataset& dataset() const { return dataset_; }

  struct Sample {
    std::int64_t index = -1;           // the sample that `decoded` shows; -1: none
    const Decoded* decoded = nullptr;  // in the cache or in `memory`; holds the wanted region
  };

  // Sample i, or none if it is rejected. If it is not ok, an entry is added to `bad`. The last size that
  // `wanted` is asked about is that of the picture which is returned.
  Sample read(std::int64_t i, WantedRegion& wanted, ReaderMemory& memory, std::vector<BadImage>& bad) const;

  // Sample i, or if it is rejected the next sample of its class in data set order (after the last comes the
  // first) that is not: a rule that knows nothing of timing, and that keeps the label. Every image found to be
  // bad on the way adds an entry to `bad`. Error(data) when no image of the class can be decoded.
  Sample read_or_substitute(std::int64_t i, WantedRegion& wanted, ReaderMemory& memory,
                            std::vector<BadImage>& bad) const;

 private:
  const Decoded* decode(std::size_t slot, WantedRegion& wanted, ReaderMemory& memory) const;

  Dataset dataset_;
  std::vector<std::vector<std::int64_t>> members_;  // [classes]: the samples of each class, ascending
  mutable ImageCache cache_;
  mutable std::vector<std::atomic<bool>> known_ok_;  // [samples]: its file was read to the end, and is ok
};

}  // namespace kindred
