// An image that a client sent, as the encoder takes it: prepared as `classify` and `embed` prepare a file.
#pragma once

#include <kindred/apps/serving/batch_queue.h>
#include <kindred/apps/serving/gate.h>
#include <kindred/data/images/decode.h>
#include <kindred/models/encoder_file.h>

#include <cstdint>
#include <span>
#include <string>

namespace kindred {

struct PreparedImage {
  PreparedPixels pixels{};  // [side, side, 3]; empty: it could not be read
  std::string problem{};    // why it could not be read, or what is damaged; "" if nothing
};

// Thread-safe. The threads together take no more memory than the gate allows, or that of one picture; they are let in in the
// order in which they come.
class ImagePreparer {
 public:
  // workers: pictures that are decoded at once, 1 or more.
  ImagePreparer(const EncoderInfo& info, std::int64_t workers, std::uint64_t most_pixels);

  // The bytes are those of a file, and hostile. `check` may end the wait for other pictures. Throws std::bad_alloc, and what
  // `check` throws.
  PreparedImage prepare(
      std::span<const std::uint8_t> bytes, const WantedCheck& check = [] {});

  int side() const { return side_; }

 private:
  const int side_;
  const ResizeMode resize_;
  DecodeLimits limits_;
  Gate gate_;
};

}  // namespace kindred
