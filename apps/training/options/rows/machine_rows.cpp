#include <kindred/apps/console/choice.h>
#include <kindred/apps/processes/start.h>
#include <kindred/apps/training/options/rows/option_parts.h>
#include <kindred/engine/names.h>

#include <algorithm>
#include <thread>

namespace kindred {
namespace {

constexpr Named<DType> gradient_wire_names[] = {{DType::f32, "f32"}, {DType::bf16, "bf16"}};

}  // namespace

std::vector<AnyOptionRow> option_parts::machine_rows() {
  return {
      Switch("--deterministic", "deterministic", "on a GPU: the same bits in every run, at some cost",
             &O::deterministic),
      Count("-j,--workers", "workers", "threads that load images", &O::workers)
          .otherwise(std::max(1u, std::thread::hardware_concurrency()))
          .shown()
          .must_be("0 to 1024", within<0, 1024>),
      Count("--steps-per-launch", "steps_per_launch",
            "on a GPU: steps that are started together (0: 4 of images up to 64 pixels, else 1)",
            &O::steps_a_launch)
          .shown()
          .must_be("0 to 64", within<0, 64>),
      // A run goes on with any number of processes, so their number is no setting of it.
      Count("--processes", nullptr, processes_help, &O::processes)
          .preset(&G::processes)
          .otherwise(1)
          .must_be("1 to 65536", number_of_processes),
      Count("--gpus", nullptr, gpus_help, &O::gpus)
          .preset(&G::gpus)
          .otherwise(0)
          .must_be("1 to 65536", number_of_processes),
      Number("--timeout", nullptr, timeout_help, &O::timeout)
          .shown()
          .must_be("1 to 1000000 seconds", [](const double& v) { return v >= 1 && v <= most_timeout; }),
      Switch(
          "--sync-batch-norm", "sync_batch_norm",
          "with several processes: statistics of batch norms are of the images of all of them (on), as in one "
          "process, or of its own in each (off)",
          &O::sync_batch_norm)
          .preset(&G::sync_batch_norm)
          .otherwise(true)
          .recorded_if([](const O& o) { return !o.sync_batch_norm; }),
      OptionRow<DType>(
          "--gradient-wire", "gradient_wire",
          "with several processes: gradients travel in f32, or rounded to bf16 in half the bytes (f32)",
          &O::gradient_wire)
          .preset(&G::gradient_wire)
          .otherwise("f32")
          .text([](const std::string& text) { return choice("--gradient-wire", text, gradient_wire_names); },
                name_text<DType>)
          .recorded_if([](const O& o) { return o.gradient_wire != DType::f32; })};
}

}  // namespace kindred
