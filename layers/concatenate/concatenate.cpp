#include <kindred/engine/error.h>
#include <kindred/engine/tape.h>
#include <kindred/layers/concatenate/concatenate.h>

namespace kindred {
namespace {

const Operation concatenate_operation("concatenate");

}  // namespace

Tensor concatenate(const Tensor& a, const Tensor& b) {
  check(a.dtype() == b.dtype(), ExitCode::internal, "concatenate: the parts are {} and {}; expected one type",
        name(a.dtype()), name(b.dtype()));
  check_same_device(a, b, "concatenate");
  const int rank = a.shape().rank();
  std::array<std::int64_t, Shape::max_rank> extents{};
  bool fit = rank >= 1 && rank == b.shape().rank();
  for (int axis = 0; fit && axis < rank; ++axis) {
    extents[static_cast<std::size_t>(axis)] = a.shape()[axis];
    fit = axis == 0 || a.shape()[axis] == b.shape()[axis];
  }
  check(fit, ExitCode::internal,
        "concatenate: the parts are {} and {}; expected the same axes except the first", a.shape(), b.shape());
  const std::int64_t first = a.shape()[0], rows = first + b.shape()[0];
  extents[0] = rows;
  Tensor joined =
      Tensor::empty(Shape(std::span(extents).first(static_cast<std::size_t>(rank))), a.dtype(), a.device());
  const TapeLabel label(concatenate_operation.name());
  joined.rows(0, first).copy_from(a);
  joined.rows(first, rows).copy_from(b);
  if (Tape* tape = Tape::recording({&a, &b})) {
    tape->record(concatenate_operation, {&a, &b}, {&joined}, {}, [first, rows](BackwardStep& step) {
      const Tensor& dy = step.output_gradient();
      if (step.wants(0)) step.pass_gradient(0, dy.rows(0, first));
      if (step.wants(1)) step.pass_gradient(1, dy.rows(first, rows));
    });
  }
  return joined;
}

}  // namespace kindred
