// Reads and decodes samples of a data set, with a rule for those that cannot be decoded.
#pragma once

#include <kindred/data/images/image_cache.h>
#include <kindred/data/sets/dataset.h>

#include <atomic>
#include <string>
#include <vector>

namespace kindred {

// An image that was not ok. Damaged images are used, rejected ones are not.
struct BadImage {
  std::int64_t index = 0;  // in the data set
  std::string path;
  Outcome outcome = Outcome::rejected;
  std::string reason;
};

// Decides which part of a picture is wanted, once its size is known.
class WantedRegion {
 public:
  virtual ~WantedRegion() = default;
  virtual Region of(int height, int width) = 0;  // within the picture, not empty
};

// Memory that a thread keeps from sample to sample.
struct ReaderMemory {
  std::vector<std::uint8_t> bytes;
  Decoder decoder;
  Decoded decoded;
};

// Decodes samples: whole pictures while the cache has room for them, afterwards only the wanted part. A file is
// read to its end the first time, so that its outcome is known. A file that was ok is later read only as far as
// the wanted part reaches. None of this changes a wanted pixel. Thread-safe.
class SampleReader {
 public:
  // Keeps up to `cache_bytes` of decoded pixels. The data set is shared, not copied.
  SampleReader(Dataset dataset, std::size_t cache_bytes);

  const Dataset& dataset() const { return dataset_; }

  struct Sample {
    std::int64_t index = -1;           // the sample in `decoded`; -1: none
    const Decoded* decoded = nullptr;  // in the cache or in `memory`; contains the wanted region
  };

  // Reads sample i, or returns no sample if it is rejected. If it is not ok, an entry is added to `bad`. The
  // last size for which `wanted` is called is the size of the returned picture.
  Sample read(std::int64_t i, WantedRegion& wanted, ReaderMemory& memory, std::vector<BadImage>& bad) const;

  // Reads sample i. If it is rejected, reads the next sample of its class in data set order that is not
  // rejected (after the last sample comes the first). This rule does not depend on timing and keeps the label.
  // Every bad image found on the way adds an entry to `bad`. Throws Error(data) if no image of the class can be
  // decoded.
  Sample read_or_substitute(std::int64_t i, WantedRegion& wanted, ReaderMemory& memory,
                            std::vector<BadImage>& bad) const;

 private:
  const Decoded* decode(std::size_t slot, WantedRegion& wanted, ReaderMemory& memory) const;

  Dataset dataset_;
  std::vector<std::vector<std::int64_t>> members_;  // [classes]: the samples of each class, ascending
  mutable ImageCache cache_;
  mutable std::vector<std::atomic<bool>> known_ok_;  // [samples]: the file was read to its end and is ok
};

}  // namespace kindred
