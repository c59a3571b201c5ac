#include <kindred/apps/training/loss.h>
#include <kindred/losses/cross_entropy/cross_entropy.h>
#include <kindred/losses/gathered/gathered.h>
#include <kindred/losses/n_pairs/n_pairs.h>
#include <kindred/losses/supcon/shared.h>

#include <algorithm>

namespace kindred {

Tensor loss_of(const Communicator& processes, const Tensor& features, const Tensor& labels,
               const LossOptions& options, SupConStatistics* statistics) {
  const int views = options.supcon.views;
  // Losses that every process computes whole: beside a network their cost is small.
  const auto of_all_rows = [&](auto&& loss) {
    if (processes.is_alone()) return loss(features, labels);
    const Tensor all = all_rows(processes, features, views);
    return loss(all, gathered_views(processes, labels, views));
  };
  switch (options.kind) {
    case LossKind::supcon:
    case LossKind::nt_xent:  // its labels are image indices
      return supcon_shared(processes, features, labels, options.supcon, statistics);
    case LossKind::triplet:
      return of_all_rows([&](const Tensor& z, const Tensor& y) { return triplet(z, y, options.triplet); });
    case LossKind::n_pairs:
      return of_all_rows([&](const Tensor& z, const Tensor& y) {
        return n_pairs(z, y, {.temperature = options.supcon.temperature});
      });
    case LossKind::max_margin:
      return of_all_rows(
          [&](const Tensor& z, const Tensor& y) { return max_margin(z, y, options.max_margin); });
    case LossKind::cross_entropy:
      return cross_entropy_shared(processes, features, labels, options.label_smoothing);
  }
  fail(ExitCode::internal, "an unknown loss");
}

Tensor loss_of(const Tensor& features, const Tensor& labels, const LossOptions& options,
               SupConStatistics* statistics) {
  return loss_of(Communicator(), features, labels, options, statistics);
}

double collapse_loss(const LossOptions& options, std::int64_t batch, int classes, double same_class) {
  const auto views = static_cast<double>(options.supcon.views);
  const double others = static_cast<double>(batch) - 1, rows = views * static_cast<double>(batch);
  const auto queue = static_cast<double>(options.queue);
  const double seen = options.compares_keys ? views - 1 : views;  // per image
  const double negatives = (seen * others + queue) * (options.by_image() ? 1 : 1 - same_class);
  switch (options.kind) {
    case LossKind::supcon:
    case LossKind::nt_xent: {
      double contrasts = seen * static_cast<double>(batch) + queue - (options.compares_keys ? 0 : 1);
      if (const auto cap = static_cast<double>(options.supcon.positives_cap); cap > 0)
        contrasts = negatives + std::min(cap, contrasts - negatives);
      return collapse_value(contrasts, negatives, options.supcon);
    }
    case LossKind::triplet:
      return triplet_collapse_value(options.triplet);
    case LossKind::n_pairs:
      return n_pairs_collapse_value(others * (1 - same_class));
    case LossKind::max_margin:
      return rows > 1 ? max_margin_collapse_value(options.max_margin, negatives / (rows - 1)) : 0;
    case LossKind::cross_entropy:
      return cross_entropy_collapse_value(classes);
  }
  return 0;
}

double same_class_share(const std::vector<std::int32_t>& labels, int classes) {
  std::vector<double> shares(static_cast<std::size_t>(classes), 0.0);
  for (const std::int32_t label : labels) shares[static_cast<std::size_t>(label)] += 1.0 / labels.size();
  double sum = 0;
  for (const double share : shares) sum += share * share;
  return sum;
}

}  // namespace kindred
