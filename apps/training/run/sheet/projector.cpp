#include <kindred/apps/console/interrupt.h>
#include <kindred/apps/console/progress.h>
#include <kindred/apps/metrics/event_folder.h>
#include <kindred/apps/training/run/sheet/projector.h>
#include <kindred/apps/training/run/sheet/tiles.h>
#include <kindred/data/images/jpeg_writer.h>
#include <kindred/data/sets/subset.h>
#include <kindred/engine/error.h>

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <exception>
#include <span>
#include <utility>

namespace kindred {
namespace {

std::vector<std::int64_t> rows_projected(std::int64_t rows) {
  const std::int64_t count = std::min(rows, most_projected);
  std::vector<std::int64_t> chosen;
  for (std::int64_t i = 0; i < count; ++i) chosen.push_back(i * rows / count);
  return chosen;
}

void add_unit_row(std::vector<float>& all, std::span<const float> row) {
  double squares = 0;
  for (const float value : row) squares += double(value) * value;
  const double scale = squares > 0 ? 1 / std::sqrt(squares) : 1;
  for (const float value : row) all.push_back(static_cast<float>(value * scale));
}

LoaderOptions loader_of_thumbnails(ResizeMode resize, int workers) {
  LoaderOptions loading;
  loading.batch_size = 64;
  loading.views = 1;
  loading.size = projected_side;
  loading.recipe = recipe("none", projected_side);
  loading.recipe.resize = resize;
  loading.workers = workers;
  loading.shuffle = false;
  loading.drop_last = false;
  loading.skip_bad = true;
  loading.cache_bytes = 0;
  return loading;
}

// Row by row in a square.
std::string sprite_of(const Dataset& images, ResizeMode resize, int workers) {
  const auto count = static_cast<int>(images.size());
  const auto across = static_cast<int>(std::ceil(std::sqrt(double(count))));
  Image sprite((count + across - 1) / across * projected_side, across * projected_side);
  std::fill(sprite.pixels.begin(), sprite.pixels.end(), std::uint8_t{225});
  const std::size_t bytes = std::size_t(projected_side) * projected_side * 3;
  Loader loader(images, loader_of_thumbnails(resize, workers));
  loader.start_epoch(0);
  Image thumbnail(projected_side, projected_side);
  for (Batch batch; interrupt_signal() == 0 && loader.next(batch);)
    for (std::size_t i = 0; i < batch.indices.size(); ++i) {
      std::copy_n(batch.images.begin() + static_cast<std::ptrdiff_t>(i * bytes), bytes,
                  thumbnail.pixels.begin());
      const auto place = static_cast<int>(batch.indices[i]);
      put_tile(sprite, place / across * projected_side, place % across * projected_side, projected_side,
               thumbnail);
    }
  const std::vector<std::uint8_t> jpeg = encode_jpeg(sprite, 90);
  return std::string(jpeg.begin(), jpeg.end());
}

}  // namespace

ProjectorImages projected_images(const Dataset& set, const std::vector<std::int64_t>& rows,
                                 const FeatureTable& features, ResizeMode resize, int workers) {
  check(static_cast<std::int64_t>(rows.size()) == features.rows(), ExitCode::internal,
        "{} images with {} features", rows.size(), features.rows());
  ProjectorImages images;
  images.dim = features.dim;
  std::vector<std::int64_t> chosen;  // in the set
  for (const std::int64_t row : rows_projected(features.rows())) {
    const std::int64_t i = rows[static_cast<std::size_t>(row)];
    chosen.push_back(i);
    images.classes.push_back(set.class_names()[static_cast<std::size_t>(set.label(i))]);
    images.paths.push_back(set.name(i));
    add_unit_row(images.features, std::span(features.features)
                                      .subspan(static_cast<std::size_t>(row * features.dim),
                                               static_cast<std::size_t>(features.dim)));
  }
  if (chosen.empty()) return images;
  images.sprite = sprite_of(subset(set, std::move(chosen)), resize, workers);
  images.thumbnail_side = projected_side;
  return images;
}

void write_projector(const std::filesystem::path& run, const Dataset& set,
                     const std::vector<std::int64_t>& rows, const FeatureTable& features, ResizeMode resize,
                     int workers, std::int64_t epoch) {
  if (!writes_events() || rows.empty()) return;
  const std::filesystem::path folder = run / event_folder_name;
  try {
    const ProjectorImages images = projected_images(set, rows, features, resize, workers);
    if (interrupt_signal() == 0) write_projector_files(folder, images, epoch);
  } catch (const std::exception& error) {  // also if there is no memory
    fmt::print("warning: {} has no features for the projector: {}\n", one_line(folder.string()),
               one_line(error.what()));
  }
}

}  // namespace kindred
