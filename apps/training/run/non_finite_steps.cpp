#include <kindred/apps/training/diagnosis.h>
#include <kindred/apps/training/run/non_finite.h>
#include <kindred/apps/training/run/non_finite_steps.h>
#include <kindred/apps/training/run/shared/shared_source.h>
#include <kindred/apps/training/step_parts.h>

#include <utility>

namespace kindred {
namespace {

constexpr std::int64_t most_skipped_in_a_row = 50;
constexpr const char* list_name = "non_finite.json";

}  // namespace

NonFiniteSteps::NonFiniteSteps(const PretrainOptions& options, const Dataset& train, Learner& learner,
                               TrainingSteps& steps, const Communicator& processes,
                               std::function<bool(const std::string& name)> comes_back)
    : skip_(options.skips_nonfinite()),
      advice_(advice_on_non_finite(loss_options(options))),
      out_(options.out),
      train_(train),
      learner_(learner),
      steps_(steps),
      processes_(processes),
      comes_back_(std::move(comes_back)) {}

bool NonFiniteSteps::is_update(const StepResult& result, const RunState& at,
                               const std::vector<std::int64_t>& images) {
  if (result.non_finite == Optimizer::none) return true;
  const std::int64_t in_a_row = at.skipped_in_a_row + 1;
  const std::string what = describe(result, at, images, !skip_ || in_a_row >= most_skipped_in_a_row);
  check(skip_, ExitCode::non_finite, "{}; no update was made from it; {}, or --on-nonfinite skip", what,
        advice_);
  check(in_a_row < most_skipped_in_a_row, ExitCode::non_finite,
        "{}; {} steps in a row were skipped for this reason; {}", what, in_a_row, advice_);
  fmt::print("warning: {}; the step is skipped\n", what);
  learner_.take_back();
  learner_.optimizer().clear_non_finite();
  return false;
}

const char* NonFiniteSteps::name_of_list(bool ends) const {
  bool is_taken = ends && comes_back_ && comes_back_(list_name);
  if (ends && !processes_.is_alone())
    is_taken = processes_.sum(std::vector<double>{is_taken ? 1.0 : 0.0})[0] > 0;
  return is_taken ? non_finite_refused_name : list_name;
}

// Returns a text that names the step, the layer and the images, and writes the list in RUN with the details.
std::string NonFiniteSteps::describe(const StepResult& result, const RunState& at,
                                     const std::vector<std::int64_t>& images, bool ends) {
  NonFiniteStep step;
  step.step = at.steps_done + 1;
  step.epoch = at.epochs_done + 1;
  step.batch = at.batches_done + 1;
  step.loss = result.loss;
  step.parameter = first_non_finite(learner_.model().store);
  std::int64_t visits = 0;
  learner_.trace(steps_.inputs_of(result.step), [&](const Tape& tape, std::int64_t first, std::int64_t rows) {
    if (step.source.place < 0) {
      step.source = find_non_finite(tape, rows, first);
      if (step.source.place >= 0) step.source.place += visits << 32;  // no tape keeps that many tensors
    }
    ++visits;
  });
  step.source = first_source(processes_, step.source, static_cast<std::int64_t>(images.size()));
  for (const std::int64_t index : images) step.images.push_back(train_.name(index));
  return report_non_finite(step, out_ / name_of_list(ends), processes_.is_first());
}

}  // namespace kindred
