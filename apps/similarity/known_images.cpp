#include <kindred/apps/console/interrupt.h>
#include <kindred/apps/similarity/known_images.h>
#include <kindred/engine/error.h>
#include <kindred/engine/files/json_text.h>

#include <xxhash.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <system_error>
#include <utility>

namespace kindred {
namespace {

// As a line of the index has it: bytes that are not UTF-8 are U+FFFD there.
std::string as_in_lines(const std::string& path) {
  return parse_json(json_text(path)).get<std::string>();
}

bool are_same_features(std::span<const float> a, std::span<const float> b) {
  if (std::ranges::equal(a, b)) return true;  // zeros have no direction
  double cosine = 0;
  for (std::size_t i = 0; i < a.size(); ++i) cosine += double(a[i]) * double(b[i]);
  return cosine >= KnownImages::least_same_cosine;
}

}  // namespace

KnownImages::KnownImages(std::vector<std::shared_ptr<const OpenSegment>> segments, const std::string& stopped)
    : segments_(std::move(segments)) {
  std::error_code ignored;
  here_ = std::filesystem::current_path(ignored);  // empty: nothing is changed below
  for (std::size_t segment = 0; segment < segments_.size(); ++segment)
    for (std::int64_t row = 0; row < segments_[segment]->rows(); ++row) {
      if (row % 65536 == 0) end_if_interrupted(stopped);
      rows_.push_back({hash_of(segments_[segment]->image(row).path), static_cast<std::int32_t>(segment),
                       static_cast<std::int32_t>(row)});
    }
  std::sort(rows_.begin(), rows_.end());
}

std::uint64_t KnownImages::hash_of(const std::string& path) const {
  const std::string whole = (here_ / path).lexically_normal().string();
  return XXH3_64bits(whole.data(), whole.size());
}

// Of paths with the same hash by chance the features differ.
bool KnownImages::has(const IndexedImage& image, std::span<const float> values) {
  const auto [first, last] =
      std::equal_range(rows_.begin(), rows_.end(), KnownRow{hash_of(as_in_lines(image.path))});
  for (auto known = first; known != last; ++known) {
    const std::span<const float> all = segments_[static_cast<std::size_t>(known->segment)]->features();
    if (are_same_features(values,
                          all.subspan(static_cast<std::size_t>(known->row) * values.size(), values.size())))
      return true;
  }
  changed_ += first != last;
  return false;
}

void KnownImages::remove_known(std::vector<float>& rows, std::vector<IndexedImage>& images,
                               std::vector<std::vector<std::uint8_t>>& jpegs) {
  if (rows_.empty() || images.empty()) return;
  const std::size_t dim = rows.size() / images.size();
  std::size_t kept = 0;
  for (std::size_t i = 0; i < images.size(); ++i) {
    const auto values = std::span(rows).subspan(i * dim, dim);
    if (has(images[i], values)) {
      if (removed_++ == 0) example_ = images[i].path;
      continue;
    }
    if (kept != i) {
      std::ranges::copy(values, rows.begin() + static_cast<std::ptrdiff_t>(kept * dim));
      images[kept] = std::move(images[i]);
      if (!jpegs.empty()) jpegs[kept] = std::move(jpegs[i]);
    }
    ++kept;
  }
  rows.resize(kept * dim);
  images.resize(kept);
  if (!jpegs.empty()) jpegs.resize(kept);
}

}  // namespace kindred
