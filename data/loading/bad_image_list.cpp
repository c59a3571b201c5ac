#include <kindred/data/loading/bad_image_list.h>
#include <kindred/engine/counted.h>
#include <kindred/engine/error.h>

#include <utility>

namespace kindred {

void BadImageList::add(BadImage&& image) {
  if (const BadImage* added = list(std::move(image))) check_accepted(*added);
}

void BadImageList::add_all(std::vector<BadImage> images) {
  const BadImage* newest = nullptr;
  for (BadImage& image : images)
    if (const BadImage* added = list(std::move(image))) newest = added;
  if (newest != nullptr) check_accepted(*newest);
}

std::vector<BadImage> BadImageList::images() const {
  std::vector<BadImage> images;
  for (const auto& [index, image] : by_index_) images.push_back(image);
  return images;
}

const BadImage* BadImageList::list(BadImage&& image) {
  const bool is_rejected = image.outcome == Outcome::rejected;
  const auto [entry, added] = by_index_.try_emplace(image.index, std::move(image));
  if (added) rejected_ += is_rejected;
  return added ? &entry->second : nullptr;
}

void BadImageList::check_accepted(const BadImage& newest) const {
  check(!strict_, ExitCode::data, Cause::bad_image, "{}: {} ({}), and no bad image is accepted", newest.path,
        newest.reason, outcome_name(newest.outcome));
  check(max_bad_ < 0 || rejected_ <= max_bad_, ExitCode::data, Cause::bad_images,
        "{} could not be decoded, more than the limit of {}; the last, {}: {}", counted(rejected_, "image"),
        max_bad_, newest.path, newest.reason);
}

}  // namespace kindred
