#include <kindred/apps/console/progress.h>
#include <kindred/apps/evaluation/features.h>
#include <kindred/data/sets/subset.h>
#include <kindred/engine/tape.h>

#include <algorithm>

namespace kindred {

void for_each_feature_batch(const ResNet& encoder, const Dataset& dataset, const FeatureOptions& options,
                            const std::function<void(const Batch&, const Tensor& features)>& visit,
                            std::vector<BadImage>* bad_images, const std::function<void(Batch&)>& change) {
  LoaderOptions loading;
  loading.batch_size = options.batch_size;
  loading.views = 1;
  loading.size = options.image_size;
  loading.recipe = recipe("none", options.image_size);
  loading.workers = options.workers;
  loading.shuffle = false;
  loading.drop_last = false;
  loading.skip_bad = true;
  loading.cache_bytes = 0;  // each image is read once
  Loader loader(options.limit > 0 ? evenly_spread(dataset, options.limit) : dataset, loading);

  const NoGrad no_grad;
  Progress progress(options.what, loader.batches_per_epoch(), "images");
  loader.start_epoch(0);
  for (Batch batch; loader.next(batch);) {
    if (change) change(batch);
    const std::int64_t side = options.image_size;
    const Tensor bytes = Tensor::from(batch.images, {batch.rows(), side, side, 3}, options.device);
    const Tensor features =
        encoder(normalize_images(bytes, options.pixels, options.precision), Mode::evaluate);  // [rows, dim]
    visit(batch, features);
    progress.advance(batch.rows(), "");
    if (options.stop && options.stop()) break;
  }
  if (bad_images) *bad_images = loader.bad_images();
}

FeatureTable extract_features(const ResNet& encoder, const Dataset& dataset, const FeatureOptions& options,
                              std::vector<BadImage>* bad_images) {
  FeatureTable table;
  table.dim = encoder.feature_dim;
  const auto keep = [&](const Batch& batch, const Tensor& features) {
    const std::vector<float> values = features.to_vector<float>();
    table.features.insert(table.features.end(), values.begin(), values.end());
    table.labels.insert(table.labels.end(), batch.labels.begin(), batch.labels.end());
  };
  for_each_feature_batch(encoder, dataset, options, keep, bad_images);
  return table;
}

}  // namespace kindred
