#include <kindred/engine/tape.h>
#include <kindred/layers/concatenate/concatenate.h>
#include <kindred/losses/gathered/gathered.h>
#include <kindred/losses/supcon/shared.h>
#include <kindred/losses/supcon/steps.h>
#include <kindred/losses/widened.h>

#include <limits>

namespace kindred {
namespace {

using namespace supcon_steps;

// Contrasts that every process has. Undefined if there are none.
struct Queue {
  Tensor features, labels;
};

// The rows of all processes, and behind them the queue. Those of process r begin at r times their number, in
// the order in which it has them: so all of its rows are apart from their columns by the same offset, as the
// kernels expect.
SupConRows gathered_columns(const Communicator& processes, const Tensor& features, const Tensor& labels,
                            const Queue& queue) {
  const std::int64_t anchors = processes.size() * features.dim(0),
                     count = anchors + (queue.features.defined() ? queue.features.dim(0) : 0);
  const SupConRows columns{
      .features = Tensor::empty({count, features.dim(1)}, features.dtype(), features.device()),
      .labels = Tensor::empty({count}, DType::i32, features.device())};
  {
    const Communicator::Group group(processes);
    processes.all_gather(features, Output(columns.features.rows(0, anchors)));
    processes.all_gather(labels, Output(columns.labels.rows(0, anchors)));
  }
  if (queue.features.defined()) {
    columns.features.rows(anchors, count).copy_from(queue.features);
    columns.labels.rows(anchors, count).copy_from(queue.labels);
  }
  return columns;
}

SupConRows part_of(const SupConRows& columns, std::int64_t first, std::int64_t count) {
  return {.features = columns.features.rows(first, first + count),
          .labels = columns.labels.rows(first, first + count)};
}

// Fills `cap` of rows and columns. Which positives a cap leaves out depends on the order of the images of the
// whole batch, so all places are found in that order; the processes then exchange those of their own rows.
void place_on_ring(const Communicator& processes, const Tensor& labels, const SupConOptions& options,
                   SupConRows& rows, SupConRows& columns) {
  const std::int64_t own = labels.dim(0), all = own * processes.size(), images = own / options.views;
  const Device device = labels.device();
  const Tensor in_order = Tensor::empty({supcon_cap_count, all}, DType::i32, device);
  supcon_kernels(device).cap(gathered_views(processes, labels, options.views), {}, options.views,
                             options.positives_cap, Output(in_order));
  rows.cap = Tensor::empty({supcon_cap_count, own}, DType::i32, device);
  columns.cap = Tensor::empty({supcon_cap_count, all}, DType::i32, device);
  for (std::int64_t number = 0; number < supcon_cap_count; ++number)
    for (std::int64_t view = 0; view < options.views; ++view) {
      const std::int64_t first = (view * processes.size() + processes.rank()) * images;
      rows.cap.window(number * own + view * images, {images})
          .copy_from(in_order.window(number * all + first, {images}));
    }
  const Communicator::Group group(processes);
  for (std::int64_t number = 0; number < supcon_cap_count; ++number)
    processes.all_gather(rows.cap.rows(number, number + 1), Output(columns.cap.rows(number, number + 1)));
}

// Fills columns.terms, from the terms of each process's rows. A row of the queue gets those of a row that is
// no anchor. To be called within a group.
void gather_terms(const Communicator& processes, const Tensor& own, const SupConFormula& formula,
                  SupConRows& columns) {
  const std::int64_t count = columns.features.dim(0), anchors = processes.size() * own.dim(1);
  const auto share = static_cast<double>(no_share(pull_of(formula.variant, formula.denominator)));
  columns.terms = Tensor::empty({supcon_term_count, count}, own.dtype(), own.device());
  for (std::int64_t term = 0; term < supcon_term_count; ++term) {
    const Tensor of_all = columns.terms.rows(term, term + 1).reshape({count});
    processes.all_gather(own.rows(term, term + 1), Output(of_all.rows(0, anchors)));
    if (count > anchors)
      of_all.rows(anchors, count).fill(term == supcon_share ? share : std::numeric_limits<double>::infinity());
  }
}

// The statistics of all anchors, or only what the mean needs of them: losses and positives. To be called
// within a group.
SupConStatistics gather_statistics(const Communicator& processes, const SupConRows& rows, const Tensor& losses,
                                   const SupConOptions& options, bool whole) {
  const int views = options.contrast == SupConContrast::all ? options.views : 1;  // of the anchors
  const auto of_all = [&](const Tensor& own) {
    Tensor all = Tensor::empty({processes.size() * own.numel()}, own.dtype(), own.device());
    gather_views(processes, own, views, Output(all));
    return all;
  };
  SupConStatistics statistics;
  statistics.anchor_losses = of_all(losses);
  statistics.positives = of_all(rows.positives);
  if (whole) statistics.lse = of_all(rows.lse);
  if (whole) statistics.negatives = of_all(rows.negatives);
  return statistics;
}

// The queue may be undefined.
Tensor supcon_of_all(const Communicator& processes, const Tensor& features, const Tensor& labels,
                     const Queue& queue, const SupConOptions& options, SupConStatistics* statistics) {
  const std::int64_t own_rows = features.dim(0);
  SupConFormula formula = formula_of(options);
  formula.row_offset = processes.rank() * own_rows;
  SupConRows columns = gathered_columns(processes, features, labels, queue);
  const Tensor gathered = columns.features;  // in the features' type, which may be narrower
  columns.features = widened(gathered);
  SupConRows rows = part_of(columns, formula.row_offset, own_rows);
  if (options.positives_cap > 0) {
    formula.ring = own_rows * processes.size();
    place_on_ring(processes, labels, options, rows, columns);
  }
  const Tensor losses = anchor_losses(rows, &columns, formula, options);
  SupConStatistics of_all;
  {
    const Communicator::Group group(processes);
    gather_terms(processes, rows.terms, formula, columns);
    of_all = gather_statistics(processes, rows, losses, options, statistics != nullptr);
  }
  auto [loss, weight] = mean_of(of_all.anchor_losses, of_all.positives, options);
  if (statistics != nullptr) *statistics = of_all;

  if (Tape* tape = Tape::recording({&features}))
    tape->record(supcon_operation, {&features}, {&loss},
                 {gathered, columns.labels, columns.cap, columns.terms, rows.cap, rows.terms, weight},
                 [formula](BackwardStep& step) {
                   const auto [features_, labels_, cap, terms, own_cap, own_terms, weight_] = step.saved<7>();
                   const SupConRows all{
                       .features = widened(features_), .labels = labels_, .cap = cap, .terms = terms};
                   SupConRows own = part_of(all, formula.row_offset, own_terms.dim(1));
                   own.cap = own_cap;
                   own.terms = own_terms;
                   backward(own, all, formula, step.output_gradient(), weight_, step.input_gradient(0));
                 });
  return loss;
}

void check_no_gradient(const Tensor& contrasts) {
  check(!contrasts.requires_grad(), ExitCode::internal,
        "supcon: contrasts that all processes have get no gradient, and these of shape {} require one",
        contrasts.shape());
}

}  // namespace

Tensor supcon_shared(const Communicator& processes, const Tensor& features, const Tensor& labels,
                     const SupConOptions& options, SupConStatistics* statistics) {
  if (processes.is_alone()) return supcon(features, labels, options, statistics);
  check_features(features, options);
  check_labels(labels, features);
  return supcon_of_all(processes, features, labels, {}, options, statistics);
}

Tensor supcon_with_queue_shared(const Communicator& processes, const Tensor& features, const Tensor& labels,
                                const Tensor& queue_features, const Tensor& queue_labels,
                                const SupConOptions& options, SupConStatistics* statistics) {
  check_no_gradient(queue_features);
  if (processes.is_alone())
    return supcon_against(features, labels, concatenate(features, queue_features),
                          concatenate(labels, queue_labels), 0, options, statistics);
  check_features(features, options);
  check_labels(labels, features);
  check_contrasts(features, queue_features, queue_labels, options);
  check(queue_features.dtype() == features.dtype(), ExitCode::internal,
        "supcon: a queue of {} for features of {}; expected the same type", name(queue_features.dtype()),
        name(features.dtype()));
  return supcon_of_all(processes, features, labels, {queue_features, queue_labels}, options, statistics);
}

Tensor supcon_against_shared(const Communicator& processes, const Tensor& anchors, const Tensor& labels,
                             const Tensor& contrasts, const Tensor& contrast_labels,
                             const SupConOptions& options, SupConStatistics* statistics) {
  check_no_gradient(contrasts);
  if (processes.is_alone())
    return supcon_against(anchors, labels, contrasts, contrast_labels, contrasts.dim(0), options, statistics);
  check_features(anchors, options);
  check_labels(labels, anchors);
  check_contrasts(anchors, contrasts, contrast_labels, options);
  SupConFormula formula = formula_of(options);
  formula.row_offset = contrasts.dim(0);  // no anchor is among the contrasts
  SupConRows rows{.features = widened(anchors), .labels = labels};
  const SupConRows columns{.features = widened(contrasts), .labels = contrast_labels};
  const Tensor losses = anchor_losses(rows, &columns, formula, options);
  SupConStatistics of_all;
  {
    const Communicator::Group group(processes);
    of_all = gather_statistics(processes, rows, losses, options, statistics != nullptr);
  }
  auto [loss, weight] = mean_of(of_all.anchor_losses, of_all.positives, options);
  if (statistics != nullptr) *statistics = of_all;

  if (Tape* tape = Tape::recording({&anchors}))
    tape->record(supcon_operation, {&anchors}, {&loss},
                 {anchors, labels, contrasts, contrast_labels, rows.terms, weight},
                 [formula](BackwardStep& step) {
                   const auto [anchors_, labels_, contrasts_, their_labels, terms, weight_] = step.saved<6>();
                   const SupConRows own{.features = widened(anchors_), .labels = labels_, .terms = terms};
                   const SupConRows others{.features = widened(contrasts_), .labels = their_labels};
                   backward(own, others, formula, step.output_gradient(), weight_, step.input_gradient(0));
                 });
  return loss;
}

}  // namespace kindred
