#include <kindred/data/loading/picture_memory.h>
#include <kindred/engine/seconds_since.h>

#include <chrono>
#include <functional>
#include <numeric>
#include <optional>
#include <utility>
#include <vector>

namespace kindred {
namespace {

class TimeLimit {
 public:
  explicit TimeLimit(double seconds) : seconds_(seconds) {}
  bool is_over() const { return seconds_since(start_) >= seconds_; }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  double seconds_;
};

// Names each of `count` pictures once, in an order of which every beginning is spread over the whole set: by steps of
// about the golden ratio of the count.
class SpreadOrder {
 public:
  explicit SpreadOrder(std::int64_t count)
      : count_(count),
        step_(std::max<std::int64_t>(1, static_cast<std::int64_t>(0.618 * static_cast<double>(count)))) {
    while (std::gcd(step_, count_) != 1) ++step_;
  }
  std::int64_t operator[](std::int64_t k) const { return k * step_ % count_; }

 private:
  std::int64_t count_, step_;
};

// The samples with the most stored bytes among those that are looked at.
std::vector<std::int64_t> samples_of_most_bytes(const Dataset& set, const SpreadOrder& order,
                                                const LookLimits& limits) {
  const TimeLimit time(limits.seconds_for_each);
  std::vector<std::pair<std::uint64_t, std::int64_t>> sizes;
  for (std::int64_t k = 0; k < std::min(set.size(), limits.sizes) && (k == 0 || !time.is_over()); ++k) {
    const std::optional<std::uint64_t> bytes = set.source().stored_bytes(order[k]);
    if (!bytes) return {};
    sizes.emplace_back(*bytes, order[k]);
  }
  const auto count = static_cast<std::ptrdiff_t>(
      std::min(sizes.size(), static_cast<std::size_t>(std::max<std::int64_t>(0, limits.largest_files))));
  std::partial_sort(sizes.begin(), sizes.begin() + count, sizes.end(), std::greater<>());
  std::vector<std::int64_t> samples;
  for (auto size = sizes.begin(); size != sizes.begin() + count; ++size) samples.push_back(size->second);
  return samples;
}

// Looks at headers and adds up what they say.
class HeaderReader {
 public:
  explicit HeaderReader(const Dataset& set) : set_(set), seen_(static_cast<std::size_t>(set.size())) {}

  void look_at(std::int64_t i) {
    if (seen_[static_cast<std::size_t>(i)]) return;
    seen_[static_cast<std::size_t>(i)] = true;
    ++count_;
    const PictureMemory memory = memory_of(i);
    pixels_ += memory.pixels;
    if (memory.peak() > largest_.peak()) largest_ = memory;
  }

  std::int64_t count() const { return count_; }
  std::size_t pixels() const { return pixels_; }  // of those that were looked at, in bytes
  const PictureMemory& largest() const { return largest_; }

 private:
  PictureMemory memory_of(std::int64_t i) {
    PictureMemory memory;
    const std::optional<Encoded> file = set_.source().encoded(i, bytes_);
    if (!file) {  // the source has the pixels
      const Decoded picture = set_.load(i);
      memory.height = picture.image.height;
      memory.width = picture.image.width;
      memory.pixels = picture.image.pixels.size();
      return memory;
    }
    if (!file->ok()) return memory;
    memory.file = bytes_.size();  // none if the source has them
    const ImageHeader& header = decoder_.open(file->bytes, set_.source().limits());
    if (!header.ok()) return memory;
    memory.height = header.height;
    memory.width = header.width;
    memory.pixels = 3 * static_cast<std::size_t>(header.height) * static_cast<std::size_t>(header.width);
    memory.decoder = header.decoder_bytes;
    return memory;
  }

  const Dataset& set_;
  std::vector<bool> seen_;  // [samples]
  std::int64_t count_ = 0;
  std::size_t pixels_ = 0;
  PictureMemory largest_;
  std::vector<std::uint8_t> bytes_;
  Decoder decoder_;
};

}  // namespace

MemoryOfPictures memory_of_pictures(const Dataset& set, const LookLimits& limits) {
  if (set.size() == 0) return {};
  HeaderReader headers(set);
  const SpreadOrder order(set.size());
  const TimeLimit time(limits.seconds_for_each);
  for (std::int64_t k = 0; k < std::min(set.size(), limits.headers) && (k == 0 || !time.is_over()); ++k)
    headers.look_at(order[k]);
  // The mean size is that of pictures which were not chosen by their size.
  const double mean =
      static_cast<double>(headers.pixels()) / static_cast<double>(std::max<std::int64_t>(1, headers.count()));
  if (headers.count() < set.size()) {
    const std::vector<std::int64_t> samples = samples_of_most_bytes(set, order, limits);
    const TimeLimit time_of_files(limits.seconds_for_each);
    for (std::size_t k = 0; k < samples.size() && (k == 0 || !time_of_files.is_over()); ++k)
      headers.look_at(samples[k]);
  }
  const auto others = static_cast<double>(set.size() - headers.count());
  return {headers.largest(), headers.pixels() + static_cast<std::size_t>(mean * others)};
}

}  // namespace kindred
