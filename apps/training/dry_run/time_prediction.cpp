#include <kindred/apps/console/progress.h>
#include <kindred/apps/training/dry_run/memory_check.h>
#include <kindred/apps/training/dry_run/planned_steps.h>
#include <kindred/apps/training/dry_run/time_prediction.h>
#include <kindred/apps/training/run/run_folder.h>
#include <kindred/apps/training/training_data.h>
#include <kindred/apps/training/training_steps.h>
#include <kindred/data/loading/resident_batches.h>
#include <kindred/data/loading/resident_views.h>
#include <kindred/engine/communicator/communicator.h>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>

namespace kindred {
namespace {

// One step as training_steps.cpp makes it: the rates that arrive with the batch, a copy of the state if the
// step may be undone, the batch, the step, and three numbers that the host reads.
void run_step(PlannedSteps& steps, const Tensor& pictures, bool remembers) {
  Learner& learner = steps.learner();
  const Tensor number = Tensor::empty({1}, DType::f32, Device::plan);
  const TapeLabel label("numbers of the step");
  learner.set_rates(Tensor::empty({Learner::rate_count}, DType::f32, Device::plan));
  if (remembers) learner.remember();
  StepOutputs outputs;
  {
    const TapeLabel none("");
    outputs = learner.step(steps.inputs(pictures));
  }
  Tensor(number).copy_from(outputs.loss.reshape({1}));
  Tensor(number).copy_from(learner.optimizer().non_finite_flag());
  if (outputs.probe_loss.defined()) Tensor(number).copy_from(outputs.probe_loss.reshape({1}));
}

template <typename Row>
Row& row_called(std::vector<Row>& rows, std::string_view name) {
  const auto found = std::find_if(rows.begin(), rows.end(), [&](const Row& row) { return row.name == name; });
  if (found != rows.end()) return *found;
  rows.emplace_back().name = name;
  return rows.back();
}

// At least three digits, never in scientific notation.
std::string three_digits(double value) {
  const int decimals = value > 0 ? std::clamp(2 - static_cast<int>(std::floor(std::log10(value))), 0, 9) : 0;
  return fmt::format("{:.{}f}", value, decimals);
}

double milliseconds(double seconds) {
  return 1e3 * seconds;
}

std::string layer_table(const TimePrediction& times, const MemoryPrediction& memory) {
  const char* const head = "{:24} {:>22} {:>11} {:>10} {:>12} {:>12}\n";
  std::string text =
      fmt::format(fmt::runtime(head), "layer", "output", "parameters", "kept for", "forward", "backward");
  text += fmt::format(fmt::runtime(head), "", "", "", "backward", "ms", "ms");
  for (const LayerTime& layer : times.layers) {
    const auto found = std::find_if(memory.layers.begin(), memory.layers.end(),
                                    [&](const LayerMemory& each) { return each.name == layer.name; });
    const bool is_layer = found != memory.layers.end();
    text += fmt::format("{:24} {:>22} {:>11} {:>10} {:>12.3f} {:>12.3f}\n", layer.name,
                        is_layer ? found->output.to_string() : "",
                        is_layer ? std::to_string(found->parameters) : "",
                        is_layer ? format_bytes(static_cast<double>(found->activations)) : "",
                        milliseconds(layer.forward), milliseconds(layer.backward));
  }
  return text;
}

std::string kind_table(const TimePrediction& times) {
  std::string text = fmt::format("{:30} {:>9} {:>12} {:>12} {:>12} {:>8}\n", "kind of work", "launches",
                                 "GB moved", "TFLOP", "ms", "share");
  for (const KindTime& kind : times.kinds)
    text += fmt::format("{:30} {:>9} {:>12.3f} {:>12.4f} {:>12.3f} {:>6.1f} %\n", kind.name, kind.launches,
                        static_cast<double>(kind.read + kind.written) / 1e9, kind.operations / 1e12,
                        milliseconds(kind.seconds), 100 * kind.seconds / times.kernels);
  return text;
}

bool gpu_holds(const MemoryPrediction& memory, const GpuRates& rates) {
  return static_cast<double>(memory.on_gpu()) <= rates.memory;
}

}  // namespace

TimePrediction predict_time(const PretrainOptions& options, const GpuRates& rates, int classes,
                            std::int64_t epoch_steps, const Shape& pictures) {
  PlannedSteps steps(options, Device::cuda, classes);
  steps.take_batch();
  const bool resident = pictures.rank() > 0;
  const Tensor images = resident ? Tensor::empty(pictures, DType::u8, Device::plan) : Tensor();
  // The second step starts with what the first one left, as every later one does.
  run_step(steps, images, options.skips_nonfinite());
  WorkLog log;
  run_step(steps, images, options.skips_nonfinite());

  TimePrediction times;
  std::int64_t launches = 0;
  for (const WorkLog::Entry& entry : log.entries()) {
    const double seconds = rates.seconds(*entry.kind, entry.work, options.precision);
    LayerTime& layer = row_called(times.layers, entry.layer);
    (entry.backward ? layer.backward : layer.forward) += seconds;
    KindTime& kind = row_called(times.kinds, entry.kind->name());
    kind.launches += entry.work.launches;
    kind.read += entry.work.read;
    kind.written += entry.work.written;
    kind.operations += entry.work.operations;
    kind.seconds += seconds;
    times.kernels += seconds;
    launches += entry.work.launches;
  }
  std::stable_sort(times.kinds.begin(), times.kinds.end(),
                   [](const KindTime& a, const KindTime& b) { return a.seconds > b.seconds; });
  // A run that skips non-finite steps starts every kernel separately; all other runs start one recording at a
  // time.
  times.starting = options.skips_nonfinite()
                       ? std::max(0.0, static_cast<double>(launches) * rates.call - times.kernels)
                       : rates.recording / static_cast<double>(steps_of_a_launch(options));
  times.views = options.views * options.batch_size;
  const double batch = resident ? static_cast<double>(times.views / options.processes) * sizeof(ResidentView)
                                : static_cast<double>(steps.batch_bytes());
  times.copies = batch / rates.host_link;
  times.steps = options.epochs * epoch_steps;
  return times;
}

std::string describe(const TimePrediction& times, const MemoryPrediction& memory, const GpuRates& rates,
                     const std::string& advice) {
  std::string text = layer_table(times, memory) + "\n" + kind_table(times);
  text += describe_totals(memory, 0, Device::cuda);
  text += fmt::format("{:52} {:>14}\n", "memory of the GPU", format_bytes(rates.memory));
  if (!gpu_holds(memory, rates)) text += fmt::format("it does not fit the {}: {}\n", rates.gpu, advice);
  const auto line = [&](const char* what, double seconds) {
    text += fmt::format("{:52} {:>11} ms\n", what, three_digits(milliseconds(seconds)));
  };
  text += "\n";
  line("kernels of a step", times.kernels);
  line("starting them, beyond that", times.starting);
  line("batches on their way to the GPU, meanwhile", times.copies);
  text += fmt::format("predicted: {} ms a step, {} views/s, {} h for the run\n",
                      three_digits(milliseconds(times.step_seconds())), three_digits(times.views_per_second()),
                      three_digits(times.run_hours()));
  return text;
}

nlohmann::json to_json(const TimePrediction& times, const MemoryPrediction& memory, const GpuRates& rates) {
  nlohmann::json json = {{"gpu", rates.gpu},
                         {"step_ms", milliseconds(times.step_seconds())},
                         {"kernels_ms", milliseconds(times.kernels)},
                         {"starting_ms", milliseconds(times.starting)},
                         {"copies_ms", milliseconds(times.copies)},
                         {"views", times.views},
                         {"views_per_s", times.views_per_second()},
                         {"steps", times.steps},
                         {"run_h", times.run_hours()},
                         {"peak_bytes", memory.on_gpu()},
                         {"gpu_bytes", rates.memory},
                         {"fits", gpu_holds(memory, rates)},
                         {"layers", nlohmann::json::array()},
                         {"kinds", nlohmann::json::array()}};
  for (const LayerTime& layer : times.layers)
    json["layers"].push_back({{"name", layer.name},
                              {"forward_ms", milliseconds(layer.forward)},
                              {"backward_ms", milliseconds(layer.backward)}});
  for (const KindTime& kind : times.kinds)
    json["kinds"].push_back({{"name", kind.name},
                             {"launches", kind.launches},
                             {"read_bytes", kind.read},
                             {"written_bytes", kind.written},
                             {"operations", kind.operations},
                             {"ms", milliseconds(kind.seconds)}});
  return json;
}

void predict(const PretrainOptions& options, const Dataset& train) {
  const GpuRates rates = gpu_rates(options.gpu);
  std::optional<Shape> size;
  if (!options.skips_nonfinite()) size = resident_size(train, training_loader(options), most_resident_bytes);
  const Shape pictures = size ? Shape{train.size(), (*size)[0], (*size)[1], 3} : Shape{};
  MemoryPrediction memory = predict_memory(options, Device::cuda, train.classes());
  if (size) memory.resident_bytes = static_cast<std::size_t>(pictures.numel());
  const TimePrediction times =
      predict_time(options, rates, train.classes(), steps_of_an_epoch(options, train), pictures);
  std::string advice;
  if (!gpu_holds(memory, rates)) {
    const auto room = static_cast<std::size_t>(rates.memory) -
                      std::min(static_cast<std::size_t>(rates.memory), memory.resident_bytes);
    const std::int64_t batch = largest_batch(options, Device::cuda, room, train.classes());
    advice = batch > 0 ? fmt::format("--batch-size {} should, or a --micro-batch", batch)
                       : fmt::format("not even one image of {} pixels does", options.image_size);
  }
  const std::int64_t together = steps_of_a_launch(options);
  fmt::print("for {} ({}), {}, {}\n", rates.gpu, options.gpu, name(options.precision),
             options.skips_nonfinite() ? "kernel by kernel"
             : together == 1           ? "a step a launch"
                                       : fmt::format("{} steps a launch", together));
  if (size) fmt::print("the training images stay on the GPU, which makes the views\n");
  if (options.processes > 1)
    fmt::print(
        "one of {} processes, with {} of a batch's {} images; what they send each other takes time too\n",
        options.processes, options.batch_size / options.processes, options.batch_size);
  if (!options.prediction.empty() && world().is_first())
    write_json(options.prediction, to_json(times, memory, rates));
  fmt::print("{}", describe(times, memory, rates, advice));
}

}  // namespace kindred
