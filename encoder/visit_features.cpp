#include <kindred/data/loading/bad_images_of_all.h>
#include <kindred/encoder/visit_features.h>
#include <kindred/engine/tape.h>

#include <utility>

namespace kindred {
namespace {

LoaderOptions unaugmented(const FeatureInput& input) {
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
  return loading;
}

// Features of a batch, [rows, dim].
Tensor features_of_batch(const ResNet& encoder, Batch& batch, const FeatureInput& input,
                         const std::function<void(Batch&)>& change) {
  if (change) change(batch);
  const std::int64_t side = input.image_size;
  const Tensor bytes = Tensor::from(batch.images, {batch.rows(), side, side, 3}, input.device);
  return encoder(normalize_images(bytes, input.pixels, input.precision), Mode::evaluate);
}

// One batch of each process. Every process gives its own, or none, and then has those of all.
class RoundOfBatches {
 public:
  RoundOfBatches(const Communicator& processes, std::int64_t most_rows, std::int64_t dim)
      : processes_(processes),
        most_rows_(most_rows),
        dim_(dim),
        facts_(Tensor::zeros({facts_of_batch + facts_of_row * most_rows}, DType::f64, Device::cpu)),
        all_facts_(Tensor::zeros({processes.size(), facts_.numel()}, DType::f64, Device::cpu)),
        features_(Tensor::zeros({most_rows, dim}, DType::f32, Device::cpu)),
        all_features_(Tensor::zeros({processes.size(), most_rows, dim}, DType::f32, Device::cpu)) {}

  // `features` [batch.rows(), dim], undefined if this process has no batch in this round.
  void exchange(const Batch& batch, const Tensor& features, bool stops) {
    const std::int64_t rows = features.defined() ? batch.rows() : 0;
    double* fact = facts_.data<double>();  // f64 holds every index of an image exactly
    *fact++ = static_cast<double>(rows);
    *fact++ = stops ? 1 : 0;
    for (std::size_t i = 0; i < static_cast<std::size_t>(rows); ++i) {
      *fact++ = static_cast<double>(batch.labels[i]);
      *fact++ = static_cast<double>(batch.indices[i]);
      *fact++ = static_cast<double>(batch.drawn[i]);
    }
    if (rows > 0) features_.rows(0, rows).copy_from(features);
    const Communicator::Group together(processes_);
    processes_.all_gather(facts_, Output(all_facts_));
    processes_.all_gather(features_, Output(all_features_));
  }

  bool one_stops() const {
    bool stops = false;
    for (int rank = 0; rank < processes_.size(); ++rank) stops = stops || facts_of(rank)[1] != 0;
    return stops;
  }
  // The batch of process `rank`, without images; it may have no rows.
  Batch batch_of(int rank) const {
    const double* fact = facts_of(rank);
    const auto rows = static_cast<std::int64_t>(*fact);
    fact += facts_of_batch;
    Batch batch;
    for (std::int64_t i = 0; i < rows; ++i) {
      batch.labels.push_back(static_cast<std::int32_t>(*fact++));
      batch.indices.push_back(static_cast<std::int64_t>(*fact++));
      batch.drawn.push_back(static_cast<std::int64_t>(*fact++));
    }
    return batch;
  }
  // A copy, because the next round overwrites the values.
  Tensor features_of(int rank, std::int64_t rows) const {
    return all_features_.window(rank * most_rows_ * dim_, {rows, dim_}).to(Device::cpu, DType::f32);
  }

 private:
  static constexpr std::int64_t facts_of_batch = 2, facts_of_row = 3;

  const double* facts_of(int rank) const { return all_facts_.data<double>() + rank * facts_.numel(); }

  const Communicator& processes_;
  std::int64_t most_rows_, dim_;
  Tensor facts_;      // the number of rows, whether this process stops, and for each row: label, index, drawn
  Tensor all_facts_;  // [processes, as above]
  Tensor features_;   // [most_rows, dim]
  Tensor all_features_;  // [processes, most_rows, dim]
};

using Visit = std::function<bool(const Batch&, const Tensor& features)>;

// In round k process r embeds batch k * size + r. The rounds keep the processes together: none waits longer than a
// batch takes, and the memory is that of a batch of each.
void visit_together(const ResNet& encoder, const Dataset& dataset, const FeatureInput& input,
                    const Visit& visit, std::vector<BadImage>* bad_images,
                    const std::function<void(Batch&)>& change, const Communicator& processes) {
  LoaderOptions loading = unaugmented(input);
  loading.share = {processes.rank(), processes.size(), true};
  Loader loader(dataset, loading);
  const std::int64_t batches = (dataset.size() + input.batch_size - 1) / input.batch_size;
  const std::int64_t rounds = (batches + processes.size() - 1) / processes.size();
  RoundOfBatches round(processes, input.batch_size, encoder.feature_dim);

  const NoGrad no_grad;
  loader.start_epoch(0);
  Batch own;
  bool is_there = loader.next(own), stops = false;
  for (std::int64_t k = 0; k < rounds; ++k) {
    // A batch without rows was skipped by the loader, so its round may not have come yet.
    const bool is_turn = is_there && loader.position().batch == k + 1;
    round.exchange(own, is_turn ? features_of_batch(encoder, own, input, change) : Tensor(), stops);
    if (round.one_stops()) break;  // all processes see this in the same round
    for (int rank = 0; rank < processes.size(); ++rank) {
      const Batch batch = round.batch_of(rank);
      if (batch.rows() > 0 && !visit(batch, round.features_of(rank, batch.rows()))) stops = true;
    }
    if (is_turn) is_there = loader.next(own);
  }
  if (bad_images) *bad_images = bad_images_of_all(processes, loader.bad_images());
}

}  // namespace

void visit_features(const ResNet& encoder, const Dataset& dataset, const FeatureInput& input,
                    const std::function<bool(const Batch&, const Tensor& features)>& visit,
                    std::vector<BadImage>* bad_images, const std::function<void(Batch&)>& change,
                    const Communicator& processes) {
  if (!processes.is_alone())
    return visit_together(encoder, dataset, input, visit, bad_images, change, processes);
  Loader loader(dataset, unaugmented(input));
  const NoGrad no_grad;
  loader.start_epoch(0);
  for (Batch batch; loader.next(batch);)
    if (!visit(batch, features_of_batch(encoder, batch, input, change))) break;
  if (bad_images) *bad_images = loader.bad_images();
}

}  // namespace kindred
