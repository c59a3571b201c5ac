#include <kindred/encoder/visit_features.h>
#include <kindred/engine/tape.h>

namespace kindred {

void visit_features(const ResNet& encoder, const Dataset& dataset, const FeatureInput& input,
                    const std::function<bool(const Batch&, const Tensor& features)>& visit,
                    std::vector<BadImage>* bad_images, const std::function<void(Batch&)>& change) {
  LoaderOptions loading;
  loading.batch_size = input.batch_size;
  loading.views = 1;
  loading.size = input.image_size;
  loading.recipe = recipe("none", input.image_size);
  loading.recipe.resize = input.resize;
  loading.workers = input.workers;
  loading.shuffle = false;
  loading.drop_last = false;
  loading.skip_bad = true;
  loading.cache_bytes = 0;  // each image is read once
  Loader loader(dataset, loading);

  const NoGrad no_grad;
  loader.start_epoch(0);
  for (Batch batch; loader.next(batch);) {
    if (change) change(batch);
    const std::int64_t side = input.image_size;
    const Tensor bytes = Tensor::from(batch.images, {batch.rows(), side, side, 3}, input.device);
    const Tensor features =
        encoder(normalize_images(bytes, input.pixels, input.precision), Mode::evaluate);  // [rows, dim]
    if (!visit(batch, features)) break;
  }
  if (bad_images) *bad_images = loader.bad_images();
}

}  // namespace kindred
