#include <kindred/data/images/decode_formats.h>
#include <kindred/data/loading/sample_reader.h>
#include <kindred/engine/error.h>

#include <algorithm>
#include <utility>

namespace kindred {

SampleReader::SampleReader(Dataset dataset, std::size_t cache_bytes)
    : dataset_(std::move(dataset)),
      members_(static_cast<std::size_t>(dataset_.classes())),
      cache_(static_cast<std::size_t>(dataset_.size()), dataset_.in_memory() ? 0 : cache_bytes),
      known_ok_(static_cast<std::size_t>(dataset_.size())) {
  for (std::int64_t i = 0; i < dataset_.size(); ++i) {
    members_[static_cast<std::size_t>(dataset_.label(i))].push_back(i);
  }
}

// Decodes a sample that is not in the cache yet.
const Decoded* SampleReader::decode(std::size_t slot, WantedRegion& wanted, ReaderMemory& memory) const {
  const SampleSource& source = dataset_.source();
  const auto i = static_cast<std::int64_t>(slot);
  Decoded& decoded = memory.decoded;
  bool complete = true;
  if (const std::optional<Encoded> file = source.encoded(i, memory.bytes); !file) {
    source.load(i, decoded);
  } else if (!file->ok()) {
    detail::reject(decoded, file->reason);
  } else if (const ImageHeader& header = memory.decoder.open(file->bytes, source.limits()); !header.ok()) {
    detail::reject(decoded, header.reason);
  } else {
    const std::size_t pixels = std::size_t(header.height) * std::size_t(header.width) * 3;
    complete = cache_.has_room(pixels);
    if (complete) {
      memory.decoder.decode_whole(decoded);
    } else {
      decoded.image.pixels.reserve(pixels);  // the next part may be larger
      const bool known = known_ok_[slot].load(std::memory_order_relaxed);
      memory.decoder.decode(wanted.of(header.height, header.width), decoded,
                            known ? ReadTo::region_end : ReadTo::file_end);
      if (decoded.outcome == Outcome::ok) known_ok_[slot].store(true, std::memory_order_relaxed);
    }
  }
  if (!complete && decoded.outcome != Outcome::rejected) return &decoded;
  const Decoded* kept = cache_.keep(slot, decoded);
  return kept != nullptr ? kept : &decoded;
}

SampleReader::Sample SampleReader::read(std::int64_t i, WantedRegion& wanted, ReaderMemory& memory,
                                        std::vector<BadImage>& bad) const {
  const auto slot = static_cast<std::size_t>(i);
  const Decoded* decoded = cache_.find(slot);
  if (decoded == nullptr) decoded = decode(slot, wanted, memory);
  if (decoded->outcome != Outcome::ok) bad.push_back({i, dataset_.name(i), decoded->outcome, decoded->reason});
  if (decoded->outcome == Outcome::rejected) return {};
  wanted.of(decoded->picture_height, decoded->picture_width);
  return {i, decoded};
}

SampleReader::Sample SampleReader::read_or_substitute(std::int64_t i, WantedRegion& wanted,
                                                      ReaderMemory& memory, std::vector<BadImage>& bad) const {
  const std::int32_t label = dataset_.label(i);
  const std::vector<std::int64_t>& members = members_[static_cast<std::size_t>(label)];
  const auto first =
      static_cast<std::size_t>(std::lower_bound(members.begin(), members.end(), i) - members.begin());
  for (std::size_t step = 0; step < members.size(); ++step) {
    const Sample sample = read(members[(first + step) % members.size()], wanted, memory, bad);
    if (sample.decoded != nullptr) return sample;
  }
  fail(ExitCode::data, "class '{}': {} be decoded{}{}: {}",
       dataset_.class_names()[static_cast<std::size_t>(label)],
       members.size() == 1 ? "its only image cannot" : fmt::format("none of its {} images can", members.size()),
       members.size() == 1 ? ": " : "; one of them, ", bad.back().path, bad.back().reason);
}

}  // namespace kindred
