#include <kindred/apps/console/process_memory.h>
#include <kindred/apps/console/progress.h>
#include <kindred/apps/training/dry_run/memory_check.h>
#include <kindred/apps/training/dry_run/memory_prediction.h>
#include <kindred/apps/training/step_parts.h>
#include <kindred/apps/training/training_data.h>
#include <kindred/engine/device_kernels.h>
#include <kindred/engine/memory.h>

#include <algorithm>
#include <functional>
#include <numeric>
#include <optional>
#include <string>

namespace kindred {
namespace {

// As predict_memory(), but quick for any number of micro-batches: beyond the first few, each one adds as much.
MemoryPrediction predict_few_micro_batches(PretrainOptions o, Device device, int classes) {
  constexpr std::int64_t few = 8;
  const std::int64_t count = o.micro_batch > 0 ? o.batch_size / o.micro_batch : 1;
  if (count <= few) return predict_memory(o, device, classes);
  o.batch_size = few / 2 * o.micro_batch;
  const MemoryPrediction half = predict_memory(o, device, classes);
  o.batch_size = few * o.micro_batch;
  MemoryPrediction memory = predict_memory(o, device, classes);
  const auto beyond = [&](std::size_t of_few, std::size_t of_half) {
    const std::size_t of_one = (of_few - std::min(of_few, of_half)) / static_cast<std::size_t>(few / 2);
    return of_one * static_cast<std::size_t>(count - few);
  };
  // What the pool holds grows in steps, by slabs.
  const std::size_t in_use = beyond(memory.step_peak, half.step_peak);
  memory.step_peak += in_use;
  memory.pool_peak += in_use;
  memory.input_bytes += beyond(memory.input_bytes, half.input_bytes);
  return memory;
}

// The bytes that a run takes in addition to those that the process has already.
using NeededMemory = std::function<std::size_t(const PretrainOptions&)>;

NeededMemory needed_memory(Device device, const Dataset& train) {
  return [device, &train](const PretrainOptions& o) {
    const MemoryPrediction memory = predict_few_micro_batches(o, device, train.classes());
    if (device == Device::cuda) return memory.on_gpu();
    const std::size_t of_process = memory.step_peak + other_memory(o, train, memory.parameters);
    return of_process - std::min(of_process, resident_bytes());
  };
}

// The largest multiple of `unit` from `least` on and below `below` that fits; 0 if there is none. Exact up to a
// 64th.
std::int64_t largest_multiple(std::int64_t unit, std::int64_t least, std::int64_t below,
                              const std::function<bool(std::int64_t)>& fits) {
  const std::int64_t first = (least + unit - 1) / unit;  // units, as all that follows
  // `low` fits or is less than the first; `high` does not fit or is too many.
  std::int64_t low = first - 1, high = std::max(first, (below + unit - 1) / unit);
  for (std::int64_t count = first; count < high; count *= 2) {
    if (fits(count * unit))
      low = count;
    else
      high = count;
  }
  while (high - low > std::max<std::int64_t>(1, low / 64)) {
    const std::int64_t middle = low + (high - low) / 2;
    (fits(middle * unit) ? low : high) = middle;
  }
  return low < first ? 0 : low * unit;
}

// What must divide a batch.
std::int64_t unit_of_batch(const PretrainOptions& o) {
  return std::lcm(o.per_class, std::max<std::int64_t>(1, o.micro_batch));
}

std::int64_t in_eights(std::int64_t batch) {
  return batch >= 8 ? batch / 8 * 8 : batch;
}

// A loss that compares images needs two of them, and so may a batch norm with one view of each.
std::int64_t least_batch(const PretrainOptions& o) {
  return loss_options(o).classifies() && o.views > 1 ? 1 : 2;
}

// What would fit, one change at a time. 0: nothing.
struct FittingSizes {
  std::int64_t batch = 0;
  std::int64_t micro_batch = 0;  // of the batch size that was given
};

FittingSizes fitting_sizes(const PretrainOptions& options, std::size_t available, const NeededMemory& needed) {
  const auto fits = [&](std::int64_t batch, std::int64_t micro_batch) {
    PretrainOptions o = options;
    o.batch_size = batch;
    o.micro_batch = micro_batch;
    try {
      return needed(o) <= available;
    } catch (const Error& error) {
      if (error.cause() != Cause::small_batch) throw;
      return false;  // too few images for the statistics of a batch norm
    }
  };
  const std::int64_t now = options.micro_batch > 0 ? options.micro_batch : options.batch_size;
  const std::int64_t least = least_batch(options), unit = unit_of_batch(options);
  const std::int64_t at_once =
      largest_multiple(1, least, now, [&](std::int64_t batch) { return fits(batch, 0); });
  FittingSizes sizes;
  sizes.batch = unit == 1 ? in_eights(at_once)
                          : largest_multiple(unit, least, options.batch_size, [&](std::int64_t batch) {
                              return fits(batch, options.micro_batch);
                            });
  // A micro-batch takes at least as much as a batch of its size.
  std::int64_t micro_batch = std::min(std::max<std::int64_t>(1, at_once), now - 1);
  while (micro_batch > 0 && (options.batch_size % micro_batch != 0 || !fits(options.batch_size, micro_batch)))
    --micro_batch;
  sizes.micro_batch = micro_batch;
  return sizes;
}

std::string advice_about_sizes(const PretrainOptions& options, std::size_t available,
                               const NeededMemory& needed) {
  const FittingSizes sizes = fitting_sizes(options, available, needed);
  if (sizes.batch > 0 && sizes.micro_batch > 0)
    return fmt::format("--batch-size {} or --micro-batch {} should fit", sizes.batch, sizes.micro_batch);
  if (sizes.batch > 0) return fmt::format("--batch-size {} should fit", sizes.batch);
  if (sizes.micro_batch > 0) return fmt::format("--micro-batch {} should fit", sizes.micro_batch);
  return fmt::format(
      "not even a batch of {} fits with {} at {} pixels: a smaller --image-size or --model is needed",
      std::max(least_batch(options), options.per_class), options.model, options.image_size);
}

}  // namespace

std::int64_t largest_batch(PretrainOptions options, Device device, std::size_t bytes, int classes) {
  const std::int64_t unit = unit_of_batch(options);
  const std::int64_t batch = largest_multiple(unit, 1, std::int64_t{1} << 20, [&](std::int64_t images) {
    options.batch_size = images;
    return predict_few_micro_batches(options, device, classes).on_gpu() <= bytes;
  });
  return unit == 1 ? in_eights(batch) : batch;
}

void check_memory(const PretrainOptions& options, Device device, const Dataset& train) {
  if (!is_host(device)) return;
  const std::optional<std::size_t> available = available_memory();
  if (!available) return;
  const NeededMemory needed = needed_memory(device, train);
  const std::size_t bytes = needed(options);
  if (bytes <= *available) return;
  fail(ExitCode::device, "this run needs {} of memory, and {} are available; {}",
       format_bytes(static_cast<double>(bytes)), format_bytes(static_cast<double>(*available)),
       advice_about_sizes(options, *available, needed));
}

void explain_out_of_memory(const OutOfMemory& error, const PretrainOptions& options, Device device,
                           const Dataset& train) {
  memory_pool(device).trim();
  std::optional<std::size_t> available;
  if (device == Device::cuda) {
    std::size_t free = 0, total = 0;
    gpu().free_and_total(free, total);
    available = free;
  } else {
    available = available_memory();
  }
  if (!available) throw OutOfMemory(error);
  fail(ExitCode::device, "{}; {}", error.what(),
       advice_about_sizes(options, *available, needed_memory(device, train)));
}

}  // namespace kindred
