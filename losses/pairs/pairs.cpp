#include <kindred/engine/kernels/select.h>
#include <kindred/losses/pairs/kernels.h>
#include <kindred/losses/widened.h>

#include <algorithm>

namespace kindred {
namespace {

constexpr std::int64_t block_elements = std::int64_t{1} << 21;  // distances at a time: 8 MiB of f32

// Calls body(first, distances) for blocks of rows.
template <typename Body>
void for_each_block(const Tensor& features, Body&& body) {
  const std::int64_t rows = features.dim(0), block = std::clamp<std::int64_t>(block_elements / rows, 1, rows);
  const Tensor room = Tensor::empty({block, rows}, features.dtype(), features.device());
  for (std::int64_t first = 0; first < rows; first += block) {
    const Tensor distances = room.rows(0, std::min(block, rows - first));
    pairs_kernels(features.device()).distances(features, first, Output(distances));
    body(first, distances);
  }
}

}  // namespace

const PairsKernels& pairs_kernels(Device device) {
  return select_kernels("pairs", device, pairs_reference, pairs_cpu, pairs_cuda, pairs_plan);
}

void check_pair_labels(const Tensor& features, const Tensor& labels, const char* what) {
  check(labels.dtype() == DType::i32, ExitCode::internal, "{}: the labels are {}; expected i32", what,
        name(labels.dtype()));
  check_shape(labels, {features.dim(0)}, "the labels of the loss");
  check_same_device(features, labels, what);
  if (!is_host(labels.device())) return;
  const std::int32_t* label = labels.data<std::int32_t>();
  for (std::int64_t row = 0; row < labels.numel(); ++row)
    check(label[row] >= 0, ExitCode::data, "{}: row {} has the label {}; labels are 0 or more", what, row,
          label[row]);
}

Tensor pair_loss(const Operation& operation, const Tensor& features, std::vector<Tensor> saved,
                 const MakePairTerms& make_terms, PairStatistics* statistics) {
  check(features.shape().rank() == 2 && features.dim(0) > 0, ExitCode::internal,
        "{}: the features have the shape {}; expected [rows, dim] with at least one row", operation.name(),
        features.shape());
  check(features.dtype() != DType::u8 && features.dtype() != DType::i32, ExitCode::internal,
        "{}: the features are {}; expected f32, bf16 or f16", operation.name(), name(features.dtype()));
  const Tensor z = widened(features);  // [M, D]
  const std::int64_t rows = z.dim(0);
  const Tensor losses = Tensor::empty({rows}, z.dtype(), z.device()), counts = Tensor::empty_like(losses);
  const Tensor weight = Tensor::empty({}, z.dtype(), z.device());
  Tensor loss = Tensor::empty({}, z.dtype(), z.device());
  const PairTerms terms = make_terms(saved);
  const TapeLabel label(operation.name());
  for_each_block(z, [&](std::int64_t first, const Tensor& distances) {
    const std::int64_t end = first + distances.dim(0);
    terms(first, Output(distances), false, Output(losses.rows(first, end)), Output(counts.rows(first, end)));
  });
  pairs_kernels(z.device()).mean(losses, counts, Output(loss), Output(weight));
  if (statistics != nullptr) *statistics = {losses, counts};

  if (Tape* tape = Tape::recording({&features})) {
    saved.push_back(features);
    saved.push_back(weight);
    tape->record(operation, {&features}, {&loss}, std::move(saved), [make_terms](BackwardStep& step) {
      const std::vector<Tensor>& all = step.saved();  // those of the terms, the features and the weight
      const PairTerms again = make_terms({all.begin(), all.end() - 2});
      const Tensor wide = widened(all[all.size() - 2]);
      const Tensor& weight_of_terms = all.back();
      const Tensor& upstream = step.output_gradient();
      Tensor gradient = step.input_gradient(0);
      Tensor d_features = gradient.dtype() == wide.dtype() ? gradient : Tensor::empty_like(wide);
      d_features.fill(0);
      const Tensor unused = Tensor::empty({wide.dim(0)}, wide.dtype(), wide.device());
      for_each_block(wide, [&](std::int64_t first, const Tensor& distances) {
        const Tensor ignored = unused.rows(0, distances.dim(0));
        again(first, Output(distances), true, Output(ignored), Output(ignored));
        pairs_kernels(wide.device())
            .add_gradient(wide, first, distances, upstream, weight_of_terms, Output(d_features));
      });
      if (gradient.dtype() != wide.dtype()) gradient.copy_from(d_features);
    });
  }
  return loss;
}

}  // namespace kindred
