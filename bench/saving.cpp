// The cost of saving a checkpoint: how long training pauses (the copy), and how long the writing takes
// meanwhile, as shares of the default time between two checkpoints. The writing is counted in full, as if
// training paused for it too.
#include <kindred/apps/console/clock.h>
#include <kindred/apps/console/command_line.h>
#include <kindred/apps/console/device_report.h>
#include <kindred/apps/console/main.h>
#include <kindred/apps/console/progress.h>
#include <kindred/apps/training/learner.h>
#include <kindred/apps/training/run/checkpoint_writer.h>
#include <kindred/apps/training/run/saver.h>

#include <algorithm>

namespace kindred {
namespace {

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

int bench(int argc, char** argv) {
  CommandLine line("What saving a checkpoint costs.", "bench_saving");
  PretrainOptions o;
  o.model = "resnet50";
  o.optimizer = OptimizerKind::sgd;
  o.momentum = 0.9;
  o.pixels = "imagenet";
  o.temperature = 0.1;
  o.image_size = 224;
  o.lr = 0.1;
  std::string device_name = "auto", folder;
  int repeats = 5;
  line.add("FOLDER", folder, "on the disk that is to be measured; what is written there is removed").required();
  line.add("--model", o.model).shows_default();
  line.add("--device", device_name, device_help).shows_default();
  line.add("--repeats", repeats).shows_default();
  if (const auto done = line.parse(argc, argv)) return *done;
  check(repeats >= 1, ExitCode::usage, "--repeats {}: expected 1 or more", repeats);

  const Device device = choose_device(device_name).device;
  Learner learner(o, device, 1000);
  const std::filesystem::path run = std::filesystem::path(folder) / "bench_saving";
  std::filesystem::create_directories(run);
  std::vector<double> copying, writing;
  {
    CheckpointWriter writer(run, EncoderInfo{o.model, o.stem, o.image_size, o.pixel_statistics()}, 2);
    for (int repeat = 0; repeat < repeats; ++repeat) {
      const double start = now_seconds();
      RunState state;
      state.steps_done = repeat;
      Checkpoint checkpoint(learner.model().store, learner.state(), state);
      copying.push_back(now_seconds() - start);
      writer.submit(std::move(checkpoint), false);
      writer.wait();
      writing.push_back(writer.last_seconds());
    }
    if (const auto failure = writer.take_failure()) fail(ExitCode::io, "{}", *failure);
  }
  const auto bytes = static_cast<double>(std::filesystem::file_size(run / "checkpoint.safetensors"));
  std::filesystem::remove_all(run);
  const double stop = median(copying), write = median(writing);
  const double copied = stop / most_seconds_between_saves, in_all = (stop + write) / most_seconds_between_saves;
  fmt::print("{}, checkpoint of {} and its encoder, medians of {}\n", o.model, format_bytes(bytes), repeats);
  fmt::print("training stands still: {:6.0f} ms, {:.3f} % of the {:.0f} s between checkpoints\n", stop * 1e3,
             copied * 100, most_seconds_between_saves);
  fmt::print("written beside it:     {:6.0f} ms, {:.3f} % with both\n", write * 1e3, in_all * 100);
  return 0;
}

}  // namespace
}  // namespace kindred

int main(int argc, char** argv) {
  return kindred::run_main(argc, argv, kindred::bench);
}
