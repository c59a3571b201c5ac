#include <kindred/engine/tape.h>
#include <kindred/losses/gathered/gathered.h>

#include <array>
#include <span>

namespace kindred {
namespace {

const Operation all_rows_operation("all_rows");

// The number of elements of a view of a process's rows.
std::int64_t elements_of_view(const Tensor& own, int views) {
  check(own.shape().rank() >= 1 && views >= 1 && own.dim(0) % views == 0, ExitCode::internal,
        "rows of shape {} cannot be gathered as {} views; expected as many rows in each view", own.shape(),
        views);
  return own.numel() / views;
}

Tensor room_for_all(const Communicator& processes, const Tensor& own) {
  std::array<std::int64_t, Shape::max_rank> extents{};
  const auto rank = static_cast<std::size_t>(own.shape().rank());
  for (std::size_t axis = 0; axis < rank; ++axis) extents[axis] = own.dim(static_cast<int>(axis));
  extents[0] *= processes.size();
  return Tensor::empty(Shape(std::span<const std::int64_t>(extents.data(), rank)), own.dtype(), own.device());
}

}  // namespace

// A view of all is a gather of its own, in which the images come in the order of the ranks, which is theirs.
void gather_views(const Communicator& processes, const Tensor& own, int views, Output all) {
  const std::int64_t elements = elements_of_view(own, views), of_all = elements * processes.size();
  for (std::int64_t view = 0; view < views; ++view)
    processes.all_gather(own.window(view * elements, {elements}), Output(all.window(view * of_all, {of_all})));
}

Tensor gathered_views(const Communicator& processes, const Tensor& own, int views) {
  if (processes.is_alone()) return own.reshape(own.shape());
  elements_of_view(own, views);  // refuses what cannot be, before others are waited for
  const Tensor all = room_for_all(processes, own);
  const Communicator::Group group(processes);
  gather_views(processes, own, views, Output(all));
  return all;
}

Tensor all_rows(const Communicator& processes, const Tensor& own, int views) {
  elements_of_view(own, views);
  Tensor all = room_for_all(processes, own);
  {
    const Communicator::Group group(processes);
    gather_views(processes, own, views, Output(all));
  }
  if (Tape* tape = Tape::recording({&own}))
    tape->record(all_rows_operation, {&own}, {&all}, {},
                 [views, rank = processes.rank(), size = processes.size()](BackwardStep& step) {
                   const Tensor& of_all = step.output_gradient();
                   const Tensor gradient = step.input_gradient(0);
                   const std::int64_t elements = elements_of_view(gradient, views);
                   for (std::int64_t view = 0; view < views; ++view)
                     gradient.window(view * elements, {elements})
                         .copy_from(of_all.window((view * size + rank) * elements, {elements}));
                 });
  return all;
}

}  // namespace kindred
