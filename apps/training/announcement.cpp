#include <kindred/apps/training/announcement.h>
#include <kindred/apps/training/diagnosis.h>
#include <kindred/engine/counted.h>

#include <fmt/core.h>

#include <string>

namespace kindred {

std::string processes_in_words(const PretrainOptions& o) {
  if (o.processes <= 1) return "";
  const std::int64_t share = o.batch_size / o.processes;
  std::string text = fmt::format("each of {} processes trains on {} of a batch's {} images\n", o.processes,
                                 share, o.batch_size);
  const bool sees_part =
      o.micro_batch > 0 && o.micro_batch < share && o.batch_norm_scope == BatchNormScope::micro;
  if (!o.sync_batch_norm)
    text += fmt::format(
        "--sync-batch-norm off: a batch norm sees {} of its own process, so what is learned depends on the "
        "number of processes\n",
        sees_part ? counted(o.micro_batch, "image") : "the " + counted(share, "image"));
  else if (sees_part)
    text += fmt::format(
        "--micro-batch {}: a batch norm sees {} at a time, {} of each process, as with --micro-batch {} in one "
        "process; with --batch-norm-scope full it would see the whole batch\n",
        o.micro_batch, counted(o.processes * o.micro_batch, "image"), o.micro_batch,
        o.processes * o.micro_batch);
  return text;
}

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
  fmt::print("{}", processes_in_words(o));
  if (batches.stays_on_gpu()) fmt::print("the training images stay on the GPU, which makes the views\n");
}

}  // namespace kindred
