#include <kindred/apps/analysis/neighbours.h>
#include <kindred/apps/console/interrupt.h>
#include <kindred/apps/evaluation/features.h>
#include <kindred/apps/similarity/all_parts.h>
#include <kindred/apps/similarity/embed_parts.h>
#include <kindred/data/images/jpeg_writer.h>
#include <kindred/data/images/shrink.h>
#include <kindred/engine/cpu/parallel.h>
#include <kindred/engine/error.h>

#include <algorithm>

namespace kindred {
namespace {

constexpr int thumbnail_quality = 80;

std::vector<std::vector<std::uint8_t>> jpegs_of(const Batch& batch, int image_size, int side) {
  if (side == 0) return {};
  const std::vector<Image> pictures = pictures_of(batch, image_size, side);
  std::vector<std::vector<std::uint8_t>> jpegs(pictures.size());
  parallel_for(std::ssize(pictures), 8, [&](std::int64_t from, std::int64_t to) {
    for (std::int64_t i = from; i < to; ++i)
      jpegs[static_cast<std::size_t>(i)] =
          encode_jpeg(pictures[static_cast<std::size_t>(i)], thumbnail_quality);
  });
  return jpegs;
}

std::vector<IndexedImage> indexed_images_in(const Batch& batch, const Dataset& part) {
  const bool has_classes = part.origin().has_classes();
  std::vector<IndexedImage> images;
  for (const std::int64_t i : batch.indices)
    images.push_back({part.name(i),
                      has_classes ? part.class_names()[static_cast<std::size_t>(part.label(i))] : "",
                      name_of_part(part)});
  return images;
}

}  // namespace

std::vector<Image> pictures_of(const Batch& batch, int image_size, int side) {
  const std::size_t bytes = 3 * static_cast<std::size_t>(image_size) * static_cast<std::size_t>(image_size);
  std::vector<Image> pictures;
  for (std::size_t at = 0; at + bytes <= batch.images.size(); at += bytes) {
    Image whole(image_size, image_size);
    std::copy_n(batch.images.data() + at, bytes, whole.pixels.data());
    pictures.push_back(shrink_to(whole, side));
  }
  return pictures;
}

void embed_parts(const std::vector<Dataset>& parts, FrozenEncoder& frozen, int kept_side,
                 const std::string& stopped, KnownImages& known, SegmentWriter& segment,
                 std::vector<BadImage>& bad) {
  const std::int64_t dim = frozen.encoder->feature_dim;
  FeatureOptions& options = frozen.features;
  for (const Dataset& part : parts) {
    options.what = parts.size() > 1 ? "embedding " + name_of_part(part) : "embedding";
    const auto keep = [&](const Batch& batch, const Tensor& features) {
      end_if_interrupted(stopped);
      const Tensor rows = finite_on_host(features);
      const std::span<const float> values(rows.data<float>(), static_cast<std::size_t>(rows.numel()));
      std::vector<float> unit = unit_rows(values, dim);
      std::vector<IndexedImage> images = indexed_images_in(batch, part);
      std::vector<std::vector<std::uint8_t>> jpegs = jpegs_of(batch, options.image_size, kept_side);
      known.remove_known(unit, images, jpegs);
      segment.append(unit, images, jpegs);
    };
    for_each_feature_batch(*frozen.encoder, part, options, keep, &bad);
  }
  std::erase_if(bad, [](const BadImage& image) { return image.outcome != Outcome::rejected; });
}

}  // namespace kindred
