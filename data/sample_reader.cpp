#include <kindred/data/sample_reader.h>
#include <kindred/engine/error.h>

#include <algorithm>
#include <utility>

namespace kindred {

SampleReader::SampleReader(Dataset dataset, std::size_t cache_bytes)
    : dataset_(std::move(dataset)),
      members_(static_cast<std::size_t>(dataset_.classes())),
      cache_(static_cast<std::size_t>(dataset_.size()), dataset_.in_memory() ? 0 : cache_bytes) {
  for (std::int64_t i = 0; i < dataset_.size(); ++i) {
    members_[static_cast<std::size_t>(dataset_.label(i))].push_back(i);
  }
}

SampleReader::Sample SampleReader::read(std::int64_t i, Decoded& storage, std::vector<BadImage>& bad) const {
  const auto slot = static_cast<std::size_t>(i);
  const Decoded* decoded = cache_.find(slot);
  if (decoded == nullptr) {
    dataset_.source().load(i, storage);
    decoded = cache_.keep(slot, storage);
    if (decoded == nullptr) decoded = &storage;
  }
  if (decoded->outcome != Outcome::ok) bad.push_back({i, dataset_.name(i), decoded->outcome, decoded->reason});
  if (decoded->outcome == Outcome::rejected) return {};
  return {i, decoded};
}

SampleReader::Sample SampleReader::read_or_substitute(std::int64_t i, Decoded& storage,
                                                      std::vector<BadImage>& bad) const {
  const std::int32_t label = dataset_.label(i);
  const std::vector<std::int64_t>& members = members_[static_cast<std::size_t>(label)];
  const auto first =
      static_cast<std::size_t>(std::lower_bound(members.begin(), members.end(), i) - members.begin());
  for (std::size_t step = 0; step < members.size(); ++step) {
    const Sample sample = read(members[(first + step) % members.size()], storage, bad);
    if (sample.decoded != nullptr) return sample;
  }
  fail(ExitCode::data, "class '{}': none of its {} images can be decoded; one of them, {}: {}",
       dataset_.class_names()[static_cast<std::size_t>(label)], members.size(), bad.back().path,
       bad.back().reason);
}

}  // namespace kindred
