#include <kindred/apps/console/process_memory.h>
#include <kindred/apps/console/progress.h>
#include <kindred/apps/training/dry_run/address_space.h>
#include <kindred/apps/training/dry_run/memory_check.h>
#include <kindred/apps/training/dry_run/memory_prediction.h>
#include <kindred/apps/training/step_parts.h>
#include <kindred/apps/training/training_data.h>
#include <kindred/engine/counted.h>
#include <kindred/engine/cpu/parallel.h>
#include <kindred/engine/device_kernels.h>
#include <kindred/engine/memory.h>

#include <algorithm>
#include <functional>
#include <limits>
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

// Bytes of memory and of addresses: what a run takes in addition to what the process has already, or what there is.
struct Room {
  std::size_t memory = 0;
  std::size_t addresses = 0;
  bool holds(const Room& needed) const { return needed.memory <= memory && needed.addresses <= addresses; }
};

constexpr std::size_t without_limit = std::numeric_limits<std::size_t>::max();

std::optional<Room> room_on_host() {
  const std::optional<std::size_t> memory = available_memory();
  if (!memory) return std::nullopt;
  return Room{*memory, available_addresses().value_or(without_limit)};
}

// Of a run's threads and stacks. The threads that run now are some of them.
Reservation reserved_for_threads(const PretrainOptions& o) {
  Reservation reservation;
  reservation.threads = threads_of_run(o, compute_threads()) - (running_threads() - 1);
  reservation.stack = stack_of_thread();
  return reservation;
}

using NeededRoom = std::function<Room(const PretrainOptions&)>;

NeededRoom needed_room(Device device, const Dataset& train) {
  return [device, &train](const PretrainOptions& o) {
    const MemoryPrediction prediction = predict_few_micro_batches(o, device, train.classes());
    if (device == Device::cuda) return Room{prediction.on_gpu(), 0};
    const std::size_t of_process = prediction.step_peak + other_memory(o, train, prediction.parameters);
    Reservation reservation = reserved_for_threads(o);
    reservation.pool_held = prediction.pool_peak;
    reservation.pool_in_use = prediction.step_peak;
    const std::size_t memory = of_process - std::min(of_process, resident_bytes());
    return Room{memory, memory + addresses_beyond_memory(reservation)};
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

FittingSizes fitting_sizes(const PretrainOptions& options, const Room& available, const NeededRoom& needed) {
  const auto fits = [&](std::int64_t batch, std::int64_t micro_batch) {
    PretrainOptions o = options;
    o.batch_size = batch;
    o.micro_batch = micro_batch;
    try {
      return available.holds(needed(o));
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

std::string advice_about_sizes(const PretrainOptions& options, const Room& available,
                               const NeededRoom& needed) {
  const FittingSizes sizes = fitting_sizes(options, available, needed);
  if (sizes.batch > 0 && sizes.micro_batch > 0)
    return fmt::format("--batch-size {} or --micro-batch {} should fit", sizes.batch, sizes.micro_batch);
  if (sizes.batch > 0) return fmt::format("--batch-size {} should fit", sizes.batch);
  if (sizes.micro_batch > 0) return fmt::format("--micro-batch {} should fit", sizes.micro_batch);
  return fmt::format(
      "not even a batch of {} fits with {} at {} pixels: a smaller --image-size or --model is needed",
      std::max(least_batch(options), options.per_class), options.model, options.image_size);
}

// Throws Error(device) if the threads of a run get no stacks, which no smaller batch would change.
void check_stacks(const PretrainOptions& options, std::size_t addresses) {
  check_threads_start();  // otherwise a loop would, later, and say how many threads there can be
  const Reservation reservation = reserved_for_threads(options);
  const std::size_t bytes = addresses_of_stacks(reservation);
  check(bytes <= addresses, ExitCode::device, Cause::out_of_threads,
        "the stacks of {} need {} of addresses, and ulimit -v leaves {}",
        counted(reservation.threads, "thread"), format_bytes(static_cast<double>(bytes)),
        format_bytes(static_cast<double>(addresses)));
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
  const std::optional<Room> available = room_on_host();
  if (!available) return;
  if (available->addresses != without_limit) check_stacks(options, available->addresses);
  const NeededRoom needed = needed_room(device, train);
  const Room of_run = needed(options);
  if (available->holds(of_run)) return;
  const auto shown = [](std::size_t bytes) { return format_bytes(static_cast<double>(bytes)); };
  const std::string help = advice_about_sizes(options, *available, needed);
  check(of_run.addresses <= available->addresses, ExitCode::device,
        "this run needs {} of addresses ({} of memory; the rest is stacks of threads and free blocks), and "
        "ulimit -v leaves {}; {}",
        shown(of_run.addresses), shown(of_run.memory), shown(available->addresses), help);
  fail(ExitCode::device, "this run needs {} of memory, and {} are available; {}", shown(of_run.memory),
       shown(available->memory), help);
}

void explain_out_of_memory(const OutOfMemory& error, const PretrainOptions& options, Device device,
                           const Dataset& train) {
  memory_pool(device).trim();
  std::optional<Room> available;
  if (device == Device::cuda) {
    std::size_t free = 0, total = 0;
    gpu().free_and_total(free, total);
    available = Room{free, without_limit};
  } else {
    available = room_on_host();
  }
  if (!available) throw OutOfMemory(error);
  fail(ExitCode::device, "{}; {}", error.what(),
       advice_about_sizes(options, *available, needed_room(device, train)));
}

}  // namespace kindred
