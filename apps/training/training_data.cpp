#include <kindred/apps/console/messages/positives_line.h>
#include <kindred/apps/console/process_memory.h>
#include <kindred/apps/training/accuracies.h>
#include <kindred/apps/training/step_parts.h>
#include <kindred/apps/training/training_data.h>
#include <kindred/engine/counted.h>
#include <kindred/models/resnet.h>

#include <algorithm>

namespace kindred {

LoaderOptions training_loader(const PretrainOptions& o, const Communicator& processes) {
  LoaderOptions loading;
  loading.batch_size = o.batch_size;
  loading.share = {processes.rank(), processes.size(), false};
  loading.groups = o.view_groups;
  loading.workers = static_cast<int>(o.workers);
  loading.seed = o.seed;
  loading.strict = o.strict;
  loading.sampling = o.sampling;
  loading.per_class = o.per_class;
  if (o.picture_cache) loading.cache_bytes = *o.picture_cache;
  return loading;
}

namespace {

std::int64_t feature_dim_of(const ResNetSpec& spec) {
  const std::int64_t widest = spec.width << (spec.depths.size() - 1);
  return spec.bottleneck ? widest * BottleneckBlock::expansion : widest;
}

// The batches that a loader holds, and the one that is being trained on.
std::size_t batches_in_memory(const LoaderOptions& loading) {
  return static_cast<std::size_t>(loading.prefetch_batches + 2);
}

}  // namespace

std::size_t memory_of_measuring(const PretrainOptions& o, std::int64_t training_images) {
  if (o.knn_every == 0) return 0;
  const std::int64_t images = std::min(training_images, most_images_measured);
  // Of the training images as they are collected, with what a growing list has in reserve, and as unit rows; and of the
  // evaluation images, which are fewer.
  constexpr std::int64_t copies = 4;
  constexpr std::int64_t compared_at_once = 256;  // evaluation images, with all those of the training
  const std::int64_t values = images * (copies * feature_dim_of(resnet_spec(o.model)) + compared_at_once);
  const std::int64_t batch = images_measured_at_once(o) * o.image_size * o.image_size * 3;
  return sizeof(float) * static_cast<std::size_t>(values) +
         batches_in_memory(LoaderOptions{}) * static_cast<std::size_t>(batch);
}

// Measured over models and flags: the code that oneDNN generates, and what the allocator keeps for each thread.
constexpr std::size_t growth_while_running = std::size_t{20} << 20;

std::size_t memory_of_decoding(const PretrainOptions& o, const PictureMemory& largest) {
  const auto threads = static_cast<std::size_t>(std::max<std::int64_t>(1, o.workers));
  return threads * (largest.peak() + (o.knn_every > 0 ? largest.kept() : 0));
}

std::size_t memory_of_kept_pictures(const PretrainOptions& o, const Dataset& train,
                                    const MemoryOfPictures& pictures) {
  return train.in_memory() ? 0 : std::min(pictures.all_pixels, training_loader(o).cache_bytes);
}

std::size_t picture_cache_within(std::size_t wanted, std::size_t room) {
  return wanted <= room ? wanted : room / 2;
}

std::size_t other_memory(const PretrainOptions& o, const Dataset& train, const PictureMemory& largest,
                         std::int64_t parameters) {
  const LoaderOptions loading = training_loader(o);
  const std::size_t batch = static_cast<std::size_t>(local_batch(o)) * pixels_of(o.view_groups) * 3;
  // The copy from which a checkpoint is written: parameters, momentum, and what else a run keeps.
  const std::int64_t copies = o.momentum_encoder > 0 ? 3 : 2;
  const std::size_t copy =
      sizeof(float) * static_cast<std::size_t>(copies * parameters + o.queue * projection_dim);
  return resident_bytes() + growth_while_running + batches_in_memory(loading) * batch +
         memory_of_decoding(o, largest) + copy + memory_of_measuring(o, train.size());
}

namespace {

Sampler training_sampler(const PretrainOptions& o, const Dataset& train) {
  return {train.labels(),
          train.classes(),
          {.shuffle = true,
           .sampling = o.sampling,
           .per_class = o.per_class,
           .batch_size = o.batch_size,
           .seed = o.seed}};
}

// A batch of all images has all the positives that there are, and a class of one image has none.
MorePositives more_positives(const PretrainOptions& o, const Dataset& train, const PositiveStatistics& now) {
  constexpr double worthwhile = 0.05;  // of the anchors
  std::vector<std::int64_t> images(static_cast<std::size_t>(train.classes()));
  for (const std::int32_t label : train.labels()) ++images[static_cast<std::size_t>(label)];
  std::int64_t with_others = 0;
  for (const std::int64_t count : images) with_others += count >= 2 ? count : 0;
  const double possible = static_cast<double>(with_others) / static_cast<double>(train.size());
  const bool helps = o.batch_size < train.size() && possible > 1 - now.alone + worthwhile;
  return {.per_class = helps && o.per_class == 1 && o.batch_size % 2 == 0, .batch_size = helps};
}

}  // namespace

std::int64_t steps_of_an_epoch(const PretrainOptions& o, const Dataset& train) {
  return training_sampler(o, train).epoch_size() / o.batch_size;
}

void check_training_set(const PretrainOptions& o, const Dataset& train) {
  check(train.size() >= o.batch_size, ExitCode::usage,
        "--batch-size {}: the data set has only {}; use a smaller batch", o.batch_size,
        counted(train.size(), "training image"));
  const LossOptions loss = loss_options(o);
  if (loss.by_image() || loss.classifies()) return;
  const auto views = static_cast<int>(o.views);
  const PositiveStatistics positives =
      expected_positives(training_sampler(o, train), train.labels(), o.batch_size, views);
  fmt::print("{}", describe(positives, views, more_positives(o, train, positives)));
}

}  // namespace kindred
