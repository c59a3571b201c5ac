#include <kindred/apps/console/clock.h>
#include <kindred/apps/console/images/evaluated_on.h>
#include <kindred/apps/console/interrupt.h>
#include <kindred/apps/training/announcement.h>
#include <kindred/apps/training/learner.h>
#include <kindred/apps/training/run/phases/run_reports.h>
#include <kindred/apps/training/run/run_record.h>
#include <kindred/apps/training/run/sheet/projector.h>
#include <kindred/apps/training/run/verdict/verdict.h>
#include <kindred/apps/training/step_parts.h>

#include <fmt/core.h>

#include <cstdio>
#include <string>

namespace kindred {

RunReports::RunReports(const RunParts& run, const Schedule& schedule, Diagnosis& diagnosis)
    : run_(run),
      schedule_(schedule),
      diagnosis_(diagnosis),
      loss_(loss_options(run.options)),
      collapse_loss_(collapse_loss(loss_, run.options.batch_size, run.train.classes(),
                                   same_class_share(run.train.labels(), run.train.classes()))) {}

void RunReports::announce() const {
  announce_run(run_.options, run_.train, run_.batches, schedule_, run_.learner, loss_, collapse_loss_);
}

void RunReports::measure_untrained() {
  run_.record.set_untrained(
      measure_start(run_.learner, run_.options, run_.device, run_.train, run_.evaluation));
}

std::optional<Accuracies> RunReports::measure_epoch() {
  const PretrainOptions& o = run_.options;
  const double start = now_seconds();
  const std::int64_t epoch = run_.record.state().epochs_done + 1;
  const bool due = o.knn_every > 0 && (epoch % o.knn_every == 0 || epoch == o.epochs);
  const bool has_projector = run_.processes.is_first() && !o.no_tensorboard;
  Accuracies accuracies;
  if (run_.evaluation && due)
    accuracies = measure_accuracies(run_.learner, o, run_.device, run_.train, *run_.evaluation,
                                    most_images_measured, has_projector ? &measured_ : nullptr);
  if (agreed_interrupt_signal(run_.processes) != 0) return std::nullopt;
  if (run_.evaluation && due) run_.record.know_bad_evaluation(accuracies.bad_images);
  run_.record.add_seconds(now_seconds() - start);
  return accuracies;
}

bool RunReports::report_epoch(const Accuracies& accuracies) {
  RunRecord& record = run_.record;
  run_.batches.share_bad_images(run_.processes);
  record.share_times();

  const double rate = schedule_.at(record.state().steps_done - 1);
  EpochReport report = record.report(accuracies, rate, collapse_loss_, run_.learner.online_probe() != nullptr);
  if (const GradientSums* sums = run_.learner.gradient_sums()) {
    report.gradients = sums->figures().since(gradients_told_);
    gradients_told_ = sums->figures();
  }
  diagnosis_.finish_epoch(report.epoch, report.loss, collapse_loss_,
                          static_cast<double>(report.epoch) <= run_.options.warmup_epochs &&
                              is_above_chance(record.state(), report.neighbours, run_.evaluation));
  fmt::print("{}\n", report.to_string());
  if (!diagnosis_.line().empty()) fmt::print("  {}\n", diagnosis_.line());
  for (const std::string& warning : diagnosis_.warnings()) fmt::print("warning: {}\n", warning);
  std::fflush(stdout);

  EpochFigure figure = report.figure(run_.evaluation && run_.options.knn_every > 0);
  if (run_.evaluation && figure.kind != "loss") figure.measured_on = images_of_part(*run_.evaluation);
  if (record.has_diverged()) figure.score.reset();  // the model has not learned
  const bool is_best = record.end_epoch(report, figure);
  run_.draw_page(PageMoment::epoch);
  return is_best;
}

void RunReports::write_projector_files() const {
  if (!measured_.images) return;
  const PretrainOptions& o = run_.options;
  write_projector(o.out, *measured_.images, measured_.rows, measured_.features, o.resize,
                  static_cast<int>(o.workers), run_.record.state().epochs_done);
}

}  // namespace kindred
