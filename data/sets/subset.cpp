#include <kindred/data/sets/subset.h>
#include <kindred/engine/error.h>
#include <kindred/engine/random/philox.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <utility>

namespace kindred {
namespace {

class SubsetSource : public SampleSource {
 public:
  SubsetSource(Dataset whole, std::vector<std::int64_t> chosen)
      : SampleSource(whole.source().limits()), whole_(std::move(whole)), chosen_(std::move(chosen)) {}
  std::string name(std::int64_t i) const override { return whole_.name(chosen_[static_cast<std::size_t>(i)]); }
  std::string id(std::int64_t i) const override {
    return whole_.source().id(chosen_[static_cast<std::size_t>(i)]);
  }
  std::optional<Encoded> encoded(std::int64_t i, std::vector<std::uint8_t>& scratch) const override {
    return whole_.source().encoded(chosen_[static_cast<std::size_t>(i)], scratch);
  }
  std::optional<std::uint64_t> stored_bytes(std::int64_t i) const override {
    return whole_.source().stored_bytes(chosen_[static_cast<std::size_t>(i)]);
  }
  void load(std::int64_t i, Decoded& out) const override {
    whole_.source().load(chosen_[static_cast<std::size_t>(i)], out);
  }

 private:
  Dataset whole_;
  std::vector<std::int64_t> chosen_;
};

std::vector<std::vector<std::int64_t>> members_of_classes(const Dataset& set) {
  std::vector<std::vector<std::int64_t>> members(static_cast<std::size_t>(set.classes()));
  for (std::int64_t i = 0; i < set.size(); ++i) members[static_cast<std::size_t>(set.label(i))].push_back(i);
  return members;
}

}  // namespace

Dataset subset(const Dataset& whole, std::vector<std::int64_t> chosen) {
  std::vector<std::int32_t> labels;
  for (const std::int64_t i : chosen) labels.push_back(whole.label(i));
  Dataset part(whole.class_names(), std::move(labels), std::make_shared<SubsetSource>(whole, std::move(chosen)),
               whole.in_memory());
  for (const std::string& note : whole.notes()) part.add_note(note);
  part.set_origin(whole.origin());
  return part;
}

Dataset evenly_spread(const Dataset& whole, std::int64_t count) {
  if (count <= 0 || count >= whole.size()) return whole;
  std::vector<std::int64_t> chosen;
  for (std::int64_t i = 0; i < count; ++i) chosen.push_back(i * whole.size() / count);
  return subset(whole, std::move(chosen));
}

Dataset first_of_each_class(const Dataset& whole, std::int64_t count) {
  std::vector<std::int64_t> chosen, kept(static_cast<std::size_t>(whole.classes()));
  for (std::int64_t i = 0; i < whole.size(); ++i)
    if (kept[static_cast<std::size_t>(whole.label(i))]++ < count) chosen.push_back(i);
  return subset(whole, std::move(chosen));
}

std::int64_t held_out_of_class(std::int64_t images, double fraction) {
  if (images < 2) return 0;
  return std::clamp<std::int64_t>(std::llround(fraction * static_cast<double>(images)), 1, images - 1);
}

Dataset held_out_split(const Dataset& whole, Split split, double fraction, std::uint64_t seed) {
  std::vector<std::int64_t> chosen, divided;
  std::uint32_t label = 0;
  bool any_held = false;
  for (std::vector<std::int64_t>& members : members_of_classes(whole)) {
    RandomStream random(seed, Purpose::split, 0, label++);
    const auto size = static_cast<std::int64_t>(members.size());
    const std::int64_t held = held_out_of_class(size, fraction);
    divided.push_back(size);
    any_held |= held > 0;
    for (std::int64_t i = 0; i < held; ++i)  // the first `held` elements of a shuffle
      std::swap(members[static_cast<std::size_t>(i)],
                members[static_cast<std::size_t>(i + random.below(static_cast<std::uint32_t>(size - i)))]);
    const auto border = members.begin() + held;
    if (split == Split::evaluation)
      chosen.insert(chosen.end(), members.begin(), border);
    else
      chosen.insert(chosen.end(), border, members.end());
  }
  check(any_held, ExitCode::usage,
        "validation fraction {}: no class has two images, so none can be held out and trained on as well",
        fraction);
  std::sort(chosen.begin(), chosen.end());
  Dataset part = subset(whole, std::move(chosen));
  Origin origin = whole.origin();
  if (split == Split::evaluation) origin.part = "held out";
  HeldOutShare share{fraction, seed};
  if (const auto& earlier = origin.held_out; earlier) {
    share.before = earlier->before;
    share.before.emplace_back(earlier->fraction, earlier->seed);
  }
  origin.held_out = std::move(share);
  origin.divided = std::move(divided);
  origin.is_undivided = false;
  part.set_origin(std::move(origin));
  return part;
}

}  // namespace kindred
