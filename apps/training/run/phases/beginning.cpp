#include <kindred/apps/training/learner.h>
#include <kindred/apps/training/run/phases/beginning.h>
#include <kindred/apps/training/run/run_record.h>
#include <kindred/apps/training/run/shared/shared_start.h>
#include <kindred/apps/training/run/sheet/views_sheet.h>
#include <kindred/apps/training/run/start.h>

#include <nlohmann/json.hpp>

#include <utility>

namespace kindred {
namespace {

// Weights from a file replace the random initial weights.
Beginning begin_new_run(const RunParts& run) {
  Beginning beginning;
  run.record.begin();
  if (run.options.weights.empty()) return beginning;
  InitialWeights weights = load_initial_weights(run.options, run.learner.model().store, run.evaluation);
  beginning.trained_before = std::move(weights.trained_before);
  beginning.weights_checksum = std::move(weights.checksum);
  run.learner.weights_changed();
  return beginning;
}

Beginning resume_run(const RunParts& run, const Checkpoint& checkpoint) {
  checkpoint.restore(run.learner.model().store, run.learner.state());
  run.learner.restored();
  run.record.resume(checkpoint.run());
  return {.continues = true, .trained_before = checkpoint.trained_before()};
}

void share_beginning(const RunParts& run) {
  share_tensors(run.processes, run.learner.model().store, run.learner.state());
  const RunState state = state_of_first(run.processes, run.record.state());
  if (run.processes.is_first()) return;
  run.learner.restored();
  run.record.resume(state);
}

}  // namespace

Beginning begin_run(const RunParts& run, const nlohmann::json& facts) {
  const nlohmann::json config = config_of_run(run.options, run.train, run.evaluation, run.record.state().data);
  check_same_everywhere(run.processes, config);
  Beginning beginning;
  first_alone(run.processes, [&] {
    RunStart start(run.options, run.folder);
    const Checkpoint* const checkpoint = start.checkpoint(config);
    beginning = checkpoint != nullptr ? resume_run(run, *checkpoint) : begin_new_run(run);
    nlohmann::json written = facts;
    if (!beginning.weights_checksum.empty()) written[weights_checksum] = beginning.weights_checksum;
    start.done(config, written);
    if (!run.record.is_finished())
      write_views_sheet(run.options.out, run.train, run.options.view_groups, run.options.seed);
  });
  share_beginning(run);
  return beginning;
}

}  // namespace kindred
