#include <kindred/apps/analysis/image_table.h>
#include <kindred/apps/console/interrupt.h>
#include <kindred/apps/evaluation/encoder_flags.h>
#include <kindred/apps/evaluation/features.h>
#include <kindred/data/images/shrink.h>
#include <kindred/data/sets/subset.h>
#include <kindred/engine/error.h>

#include <algorithm>
#include <limits>
#include <map>
#include <utility>

namespace kindred {
namespace {

// The classes of all parts by name: parts of one set may lack some.
class ClassesOfParts {
 public:
  explicit ClassesOfParts(const std::vector<Dataset>& parts) {
    for (const Dataset& part : parts) {
      auto& numbers = numbers_.emplace_back();
      for (const std::string& name : part.class_names()) {
        const auto [known, is_new] = by_name_.try_emplace(name, static_cast<std::int32_t>(names_.size()));
        if (is_new) names_.push_back(name);
        numbers.push_back(known->second);
      }
    }
  }
  std::int32_t number(std::size_t part, std::int32_t label) const {
    return numbers_[part][static_cast<std::size_t>(label)];
  }
  const std::vector<std::string>& names() const { return names_; }

 private:
  std::map<std::string, std::int32_t> by_name_;
  std::vector<std::string> names_;
  std::vector<std::vector<std::int32_t>> numbers_;  // [parts][labels of the part]
};

// Which of `images` have a thumbnail: at most `most`, evenly spread.
struct ThumbnailChoice {
  std::int64_t images = 0, most = 0;  // most 0: all
  bool has(std::int64_t image) const {
    if (most <= 0 || most >= images) return true;
    return (image + 1) * most / images > image * most / images;  // both are below 2^31
  }
};

Image thumbnail_of(const Batch& batch, std::int64_t row, int image_side, int side) {
  Image image(image_side, image_side);
  const auto bytes = image.pixels.size();
  check(batch.images.size() == static_cast<std::size_t>(batch.rows()) * bytes, ExitCode::internal,
        "thumbnails: {} bytes of {} images", batch.images.size(), batch.rows());
  std::copy_n(batch.images.begin() + static_cast<std::ptrdiff_t>(static_cast<std::size_t>(row) * bytes), bytes,
              image.pixels.begin());
  return shrink_to(image, side);
}

}  // namespace

ImageTable embed_images(const std::vector<Dataset>& parts, FrozenEncoder& frozen, const TableOptions& options,
                        std::vector<BadImage>* bad) {
  std::vector<Dataset> used;
  for (const Dataset& part : parts)
    used.push_back(frozen.features.limit > 0 ? evenly_spread(part, frozen.features.limit) : part);
  std::int64_t images = 0;
  for (const Dataset& part : used) images += part.size();
  check(images > 0 && images <= std::numeric_limits<std::int32_t>::max(), ExitCode::data,
        "{} images: expected 1 to {}", images, std::numeric_limits<std::int32_t>::max());

  const ClassesOfParts classes(used);
  const bool has_classes =
      std::ranges::all_of(used, [](const Dataset& part) { return part.origin().has_classes(); });
  ImageTable table{.dim = frozen.encoder->feature_dim};
  table.features.reserve(static_cast<std::size_t>(images * table.dim));
  if (has_classes) table.classes = classes.names();
  table.parts.clear();
  const ThumbnailChoice choice{images, options.most_thumbnails};
  std::vector<BadImage> not_ok;
  std::int64_t before = 0;  // images of the parts before
  for (std::size_t p = 0; p < used.size(); ++p) {
    const Dataset& part = used[p];
    table.parts.push_back(part.origin().part.empty() ? "all" : part.origin().part);
    FeatureOptions features = frozen.features;
    features.limit = 0;
    features.what = used.size() > 1 ? fmt::format("{} ({})", options.what, table.parts.back()) : options.what;
    features.stop = [&] {
      end_if_interrupted(options.stopped);
      return false;
    };
    const auto keep = [&](const Batch& batch, const Tensor& values) {
      const Tensor rows = finite_on_host(values);
      table.features.insert(table.features.end(), rows.data<float>(), rows.data<float>() + rows.numel());
      for (std::int64_t row = 0; row < batch.rows(); ++row) {
        const std::int64_t image = batch.indices[static_cast<std::size_t>(row)];
        table.paths.push_back(part.name(image));
        table.parts_of.push_back(static_cast<std::int32_t>(p));
        if (has_classes) table.labels.push_back(classes.number(p, part.label(image)));
        if (options.thumbnail_side > 0)
          table.thumbnails.push_back(choice.has(before + image)
                                         ? thumbnail_of(batch, row, features.image_size, options.thumbnail_side)
                                         : Image());
      }
    };
    for_each_feature_batch(*frozen.encoder, part, features, keep, &not_ok);
    before += part.size();
  }
  std::erase_if(not_ok, [](const BadImage& image) { return image.outcome != Outcome::rejected; });
  check(table.rows() > 0, ExitCode::data, "{}: not one image could be read{}", used.front().origin().folder,
        not_ok.empty() ? "" : fmt::format(", for example {}: {}", not_ok[0].path, not_ok[0].reason));
  if (bad != nullptr) *bad = std::move(not_ok);
  return table;
}

}  // namespace kindred
