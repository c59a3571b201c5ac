// A part of a data set, as a data set.
#pragma once

#include <kindred/data/dataset.h>

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

namespace kindred {

// The samples at the given places of another set.
class SubsetSource : public SampleSource {
 public:
  SubsetSource(Dataset whole, std::vector<std::int64_t> chosen)
      : SampleSource(whole.source().limits()), whole_(std::move(whole)), chosen_(std::move(chosen)) {}
  std::string name(std::int64_t i) const override { return whole_.name(chosen_[static_cast<std::size_t>(i)]); }
  std::optional<Encoded> encoded(std::int64_t i, std::vector<std::uint8_t>& scratch) const override {
    return whole_.source().encoded(chosen_[static_cast<std::size_t>(i)], scratch);
  }
  void load(std::int64_t i, Decoded& out) const override {
    whole_.source().load(chosen_[static_cast<std::size_t>(i)], out);
  }

 private:
  Dataset whole_;
  std::vector<std::int64_t> chosen_;
};

// At most `count` samples at even distances, so that every class of a sorted set keeps its share; all when
// count is 0.
inline Dataset evenly_spread(const Dataset& whole, std::int64_t count) {
  if (count <= 0 || count >= whole.size()) return whole;
  std::vector<std::int64_t> chosen;
  std::vector<std::int32_t> labels;
  for (std::int64_t i = 0; i < count; ++i) {
    chosen.push_back(i * whole.size() / count);
    labels.push_back(whole.label(chosen.back()));
  }
  return Dataset(whole.class_names(), labels, std::make_shared<SubsetSource>(whole, chosen), whole.in_memory());
}

}  // namespace kindred
