#include <kindred/engine/kernels/dispatch.h>
#include <kindred/losses/max_margin/kernels.h>
#include <kindred/losses/max_margin/pair.h>

namespace kindred {
namespace {

template <typename T>
void terms(const Tensor& labels, double margin, std::int64_t first, Output distances, bool derive,
           Output losses, Output counts) {
  const std::int64_t rows = distances.dim(1);
  const std::int32_t* label = labels.data<std::int32_t>();
  for (std::int64_t i = 0; i < distances.dim(0); ++i) {
    T* q = distances.data<T>() + i * rows;
    T loss = 0;
    for (std::int64_t j = 0; j < rows; ++j) {
      max_margin_pair::Term<T> pair{0, 0};
      if (j != first + i)
        pair = max_margin_pair::term(q[j], label[j] == label[first + i], static_cast<T>(margin));
      loss += pair.loss;
      if (derive) q[j] = pair.derivative;
    }
    losses.data<T>()[i] = loss;
    counts.data<T>()[i] = static_cast<T>(rows - 1);
  }
}

}  // namespace

const MaxMarginKernels max_margin_reference = {
    [](const Tensor& labels, double margin, std::int64_t first, Output distances, bool derive, Output losses,
       Output counts) {
      dispatch_reference("max_margin", distances.dtype(), [&]<typename T>(T) {
        terms<T>(labels, margin, first, distances, derive, losses, counts);
      });
    },
};

}  // namespace kindred
