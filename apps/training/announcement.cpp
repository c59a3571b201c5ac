#include <kindred/apps/training/announcement.h>
#include <kindred/apps/training/diagnosis.h>
#include <kindred/engine/counted.h>

#include <fmt/core.h>

#include <string>

namespace kindred {

void announce_run(const PretrainOptions& o, const Dataset& train, const BatchSource& batches,
                  const Schedule& schedule, const Learner& learner, const LossOptions& loss,
                  double loss_of_equals) {
  fmt::print("{} in {}, {} an epoch, learning rate {}\n", counted(train.size(), "image"),
             counted(train.classes(), "class"), counted(batches.batches_per_epoch(), "step"),
             schedule.to_string());
  fmt::print("{}: {} parameters; {:.3f} is the loss of {}\n", o.model, learner.model().store.parameter_count(),
             loss_of_equals, loss.classifies() ? "equal scores" : "features that are all the same");
  if (!o.freeze_until.empty())
    fmt::print("frozen up to {}: {} parameters learn\n", o.freeze_until, learner.learning_parameters());
  for (const std::string& warning : warnings_at_start(loss, train.labels(), o.precision.compute != DType::f32))
    fmt::print("warning: {}\n", warning);
  if (o.processes > 1)
    fmt::print("each of {} processes trains on {} of a batch's {} images\n", o.processes,
               o.batch_size / o.processes, o.batch_size);
  if (o.processes > 1 && !o.sync_batch_norm)
    fmt::print(
        "--sync-batch-norm off: a batch norm sees the {} of its own process, so what is learned depends on the "
        "number of processes\n",
        counted(o.batch_size / o.processes, "image"));
  if (batches.stays_on_gpu()) fmt::print("the training images stay on the GPU, which makes the views\n");
}

}  // namespace kindred
