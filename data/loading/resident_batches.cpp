#include <kindred/data/loading/resident_batches.h>
#include <kindred/data/views/view_stream.h>
#include <kindred/engine/cpu/parallel.h>

#include <algorithm>
#include <atomic>

namespace kindred {
namespace {

// The views of an image, if all of them are of one kind.
std::optional<ViewGroup> only_group(const LoaderOptions& options) {
  if (options.groups.empty()) return ViewGroup{options.recipe, options.size, options.views};
  if (options.groups.size() > 1) return std::nullopt;
  return options.groups.front();
}

// Tests the recipe by example: every operation that it can draw occurs among a few hundred views.
bool recipe_fits(const ViewGroup& group, int height, int width) {
  // The kernel does not fill what a picture leaves free.
  if (!group.recipe.crop && group.recipe.resize == ResizeMode::pad && height != width) return false;
  for (std::uint32_t trial = 0; trial < 512; ++trial) {
    RandomStream random(0, Purpose::augment, 0, trial);
    if (!resident_view(0, draw_view(height, width, group.recipe, group.size, random))) return false;
  }
  return true;
}

}  // namespace

std::optional<Shape> resident_size(const Dataset& dataset, const LoaderOptions& options,
                                   std::size_t most_bytes) {
  const std::optional<ViewGroup> group = only_group(options);
  if (!group) return std::nullopt;
  const Decoded first = dataset.load(0);
  if (first.outcome != Outcome::ok) return std::nullopt;
  const Image& image = first.image;
  if (!fits_resident_views(image.height, image.width, group->size) ||
      image.pixels.size() * static_cast<std::size_t>(dataset.size()) > most_bytes ||
      !recipe_fits(*group, image.height, image.width))
    return std::nullopt;
  return Shape{image.height, image.width};
}

std::optional<ResidentPictures> resident_pictures(const Dataset& dataset, const LoaderOptions& options,
                                                  std::size_t most_bytes) {
  const std::optional<Shape> size = resident_size(dataset, options, most_bytes);
  if (!size) return std::nullopt;
  ResidentPictures pictures;
  pictures.height = static_cast<int>((*size)[0]);
  pictures.width = static_cast<int>((*size)[1]);
  const auto each = static_cast<std::size_t>(size->numel() * 3);
  pictures.bytes.resize(each * static_cast<std::size_t>(dataset.size()));
  std::atomic<bool> all_fit{true};
  parallel_for(dataset.size(), 64, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end && all_fit; ++i) {
      const Decoded one = dataset.load(i);
      if (one.outcome != Outcome::ok || one.image.height != pictures.height ||
          one.image.width != pictures.width)
        all_fit = false;
      else
        std::copy(one.image.pixels.begin(), one.image.pixels.end(),
                  pictures.bytes.begin() + static_cast<std::ptrdiff_t>(each) * i);
    }
  });
  if (!all_fit) return std::nullopt;
  return pictures;
}

ResidentBatches::ResidentBatches(const Dataset& dataset, LoaderOptions options, int height, int width)
    : dataset_(dataset),
      options_(std::move(options)),
      group_(only_group(options_).value()),
      height_(height),
      width_(width),
      sampler_(dataset.labels(), dataset.classes(),
               {options_.shuffle, options_.sampling, options_.per_class, options_.batch_size, options_.seed}) {}

void ResidentBatches::start_epoch(std::uint32_t epoch, std::int64_t first_batch) {
  epoch_ = epoch;
  done_ = first_batch;
  sampler_.draw(epoch, order_);
}

bool ResidentBatches::next(ResidentBatch& batch) {
  if (done_ == batches_per_epoch()) return false;
  const std::int64_t first_row = options_.share.first_row(options_.batch_size);
  const std::int64_t own_rows = options_.share.end_row(options_.batch_size) - first_row;
  const std::int64_t first = done_ * options_.batch_size + first_row;  // in the order
  const auto rows = static_cast<std::size_t>(own_rows), views = static_cast<std::size_t>(group_.count);
  batch.views.resize(views * rows);
  batch.labels.resize(rows);
  batch.indices.resize(rows);
  parallel_for(own_rows, 128, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      const auto at = static_cast<std::size_t>(row);
      const Draw draw = order_[static_cast<std::size_t>(first + row)];
      batch.labels[at] = dataset_.label(draw.sample);
      batch.indices[at] = draw.sample;
      for (std::size_t view = 0; view < views; ++view) {
        RandomStream random = view_stream(options_.seed, epoch_, draw.sample, draw.repeat, views, view);
        const auto drawn =
            resident_view(draw.sample, draw_view(height_, width_, group_.recipe, group_.size, random));
        check(drawn.has_value(), ExitCode::internal, "a view has an operation that the GPU does not support");
        batch.views[view * rows + at] = *drawn;
      }
    }
  });
  ++done_;
  return true;
}

}  // namespace kindred
