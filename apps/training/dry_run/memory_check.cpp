#include <kindred/apps/console/advice.h>
#include <kindred/apps/console/process_memory.h>
#include <kindred/apps/console/progress.h>
#include <kindred/apps/training/dry_run/address_space.h>
#include <kindred/apps/training/dry_run/fitting_sizes.h>
#include <kindred/apps/training/dry_run/memory_check.h>
#include <kindred/apps/training/dry_run/memory_prediction.h>
#include <kindred/apps/training/training_data.h>
#include <kindred/engine/counted.h>
#include <kindred/engine/cpu/parallel.h>
#include <kindred/engine/device_kernels.h>
#include <kindred/engine/memory.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <optional>
#include <string>

namespace kindred {
namespace {

// As predict_memory(), but quick for any number of micro-batches: beyond the first few, each one adds as much.
MemoryPrediction predict_few_micro_batches(PretrainOptions o, Device device, int classes) {
  constexpr std::int64_t few = 8;
  const std::int64_t of_all = o.processes * o.micro_batch;  // images of a micro-batch in every process
  const std::int64_t count = o.micro_batch > 0 ? o.batch_size / of_all : 1;
  if (count <= few) return predict_memory(o, device, classes);
  o.batch_size = few / 2 * of_all;
  const MemoryPrediction half = predict_memory(o, device, classes);
  o.batch_size = few * of_all;
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
  // What is left of both, where this room holds what is needed.
  std::size_t left_beside(const Room& needed) const {
    return std::min(memory - needed.memory, addresses - needed.addresses);
  }
  bool holds(const Room& needed) const { return needed.memory <= memory && needed.addresses <= addresses; }
};

constexpr std::size_t without_limit = std::numeric_limits<std::size_t>::max();

// Of one of `sharing` processes that take as much as this one. A limit of addresses is each process's own.
std::optional<Room> room_on_host(int sharing) {
  const std::optional<std::size_t> memory = available_memory();
  if (!memory) return std::nullopt;
  const std::optional<MemoryLimit> addresses = limit_of_addresses();
  return Room{*memory / static_cast<std::size_t>(sharing), addresses ? addresses->left : without_limit};
}

// Of a run's threads and stacks. The threads that run now are some of them.
Reservation reserved_for_threads(const PretrainOptions& o) {
  Reservation reservation;
  reservation.threads = threads_of_run(o, compute_threads()) - (running_threads() - 1);
  reservation.stack = stack_of_thread();
  return reservation;
}

using NeededRoom = std::function<Room(const PretrainOptions&)>;

// Without the pictures that are kept, because their number is chosen for the room. `largest` is the largest picture.
NeededRoom needed_room(Device device, const Dataset& train, const PictureMemory& largest) {
  return [device, &train, largest](const PretrainOptions& o) {
    const MemoryPrediction prediction = predict_few_micro_batches(o, device, train.classes());
    if (device == Device::cuda) return Room{prediction.on_gpu(), 0};
    const std::size_t of_process =
        prediction.step_peak + other_memory(o, train, largest, prediction.parameters);
    Reservation reservation = reserved_for_threads(o);
    reservation.pool_held = prediction.pool_peak;
    reservation.pool_in_use = prediction.step_peak;
    const std::size_t memory = of_process - std::min(of_process, resident_bytes());
    return Room{memory, memory + addresses_beyond_memory(reservation)};
  };
}

FitsIntoMemory fits_into(const Room& available, const NeededRoom& needed) {
  return [&available, needed](const PretrainOptions& o) { return available.holds(needed(o)); };
}

// The room that a run needs, and what of it for what.
std::function<NeededParts(const PretrainOptions&)> needed_parts(Device device, const Dataset& train,
                                                                const PictureMemory& largest) {
  return [device, &train, largest](const PretrainOptions& o) {
    const MemoryPrediction prediction = predict_few_micro_batches(o, device, train.classes());
    const Room all = needed_room(device, train, largest)(o);
    NeededParts parts;
    parts.model = prediction.parameter_bytes;
    parts.activations = prediction.step_peak - std::min(prediction.step_peak, parts.model);
    parts.pictures = is_host(device) ? memory_of_decoding(o, largest) : 0;
    const std::size_t named = parts.model + parts.activations + parts.pictures;
    const std::size_t needed = std::max(all.memory, limit_of_addresses() ? all.addresses : 0);
    parts.others = needed - std::min(needed, named);
    return parts;
  };
}

std::string advice_about_room(const PretrainOptions& options, Device device, const Dataset& train,
                              const PictureMemory& largest, const Room& available,
                              const std::optional<MemoryLimit>& limit) {
  return advice_about_sizes(options,
                            {.fits = fits_into(available, needed_room(device, train, largest)),
                             .fits_without_pictures = fits_into(available, needed_room(device, train, {})),
                             .largest = largest,
                             .parts = needed_parts(device, train, largest),
                             .limit = advice_about_limit(limit)});
}

// Throws Error(device) if the threads of a run get no stacks, which no smaller batch would change.
void check_stacks(const PretrainOptions& options, const MemoryLimit& addresses) {
  check_threads_start();  // otherwise a loop would, later, and say how many threads there can be
  const Reservation reservation = reserved_for_threads(options);
  const std::size_t bytes = addresses_of_stacks(reservation);
  check(bytes <= addresses.left, ExitCode::device, Cause::out_of_threads,
        "the stacks of {} need {} of addresses, and {} leaves {}", counted(reservation.threads, "thread"),
        format_bytes(static_cast<double>(bytes)), addresses.name,
        format_bytes(static_cast<double>(addresses.left)));
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

std::optional<std::size_t> check_memory(const PretrainOptions& options, Device device, const Dataset& train,
                                        int sharing) {
  if (!is_host(device)) return std::nullopt;
  const MemoryOfPictures pictures = memory_of_pictures(train);
  const std::optional<Room> available = room_on_host(sharing);
  if (!available) return std::nullopt;
  const std::optional<MemoryLimit> addresses = limit_of_addresses();
  if (addresses) check_stacks(options, *addresses);
  const Room of_run = needed_room(device, train, pictures.largest)(options);
  const auto shown = [](std::size_t bytes) { return format_bytes(static_cast<double>(bytes)); };
  if (available->holds(of_run)) {
    const std::size_t wanted = memory_of_kept_pictures(options, train, pictures);
    const std::size_t kept = picture_cache_within(wanted, available->left_beside(of_run));
    if (kept == wanted) return std::nullopt;
    fmt::print(
        "{} of decoded pictures are kept, not {}, because memory is short: the others are decoded in every "
        "epoch\n",
        shown(kept), shown(wanted));
    return kept;
  }
  const bool has_addresses = of_run.addresses <= available->addresses;
  const std::string help = advice_about_room(options, device, train, pictures.largest, *available,
                                             has_addresses ? limit_of_memory() : addresses);
  check(has_addresses, ExitCode::device,
        "this run needs {} of addresses ({} of memory; the rest is stacks of threads and free blocks), and "
        "{} leaves {}; {}",
        shown(of_run.addresses), shown(of_run.memory), addresses ? addresses->name : "",
        shown(available->addresses), help);
  fail(ExitCode::device, "this run needs {} of memory{}, and {} are available; {}", shown(of_run.memory),
       sharing > 1 ? fmt::format(" in each of {} processes", sharing) : "", shown(available->memory), help);
}

void explain_out_of_memory(const OutOfMemory& error, const PretrainOptions& options, Device device,
                           const Dataset& train, int sharing) {
  std::optional<MemoryLimit> limit = limit_of_addresses();
  if (!limit) limit = limit_of_memory();
  if (error.cause() == Cause::other)  // it says itself what helps
    fail(ExitCode::device, "{}", with_last_way_out(error.what(), advice_about_limit(limit)));
  if (error.cause() == Cause::out_of_memory_loading)
    fail(ExitCode::device, "{}; {}", error.what(), advice_about_loading(options, advice_about_limit(limit)));
  memory_pool(device).trim();
  std::optional<Room> available;
  if (device == Device::cuda) {
    std::size_t free = 0, total = 0;
    gpu().free_and_total(free, total);
    available = Room{free, without_limit};
    limit.reset();  // of the host
  } else {
    available = room_on_host(sharing);
  }
  if (!available) throw OutOfMemory(error);
  const PictureMemory largest = is_host(device) ? memory_of_pictures(train).largest : PictureMemory();
  PretrainOptions expected = options;
  // Fewer workers are no help to a step that found no memory although there was room for all of them.
  if (available->holds(needed_room(device, train, largest)(options))) expected.workers = 0;
  fail(ExitCode::device, "{}; {}", error.what(),
       advice_about_room(expected, device, train, largest, *available, limit));
}

}  // namespace kindred
