#include <kindred/apps/console/advice.h>
#include <kindred/apps/console/progress.h>
#include <kindred/apps/training/dry_run/fitting_sizes.h>
#include <kindred/apps/training/step_parts.h>
#include <kindred/engine/error.h>

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <bit>
#include <numeric>
#include <vector>

namespace kindred {
namespace {

// A loss that compares images needs two of them, and so may a batch norm with one view of each.
std::int64_t least_batch(const PretrainOptions& o) {
  return loss_options(o).classifies() && o.views > 1 ? 1 : 2;
}

bool fits_or_is_too_small(const PretrainOptions& options, const FitsIntoMemory& fits) {
  try {
    return fits(options);
  } catch (const Error& error) {
    if (error.cause() != Cause::small_batch && error.cause() != Cause::small_image) throw;
    return false;  // too few values for the statistics of a batch norm
  }
}

// Fewer workers, if that is enough.
std::optional<std::int64_t> fitting_workers(const PretrainOptions& options, const FitsIntoMemory& fits) {
  const auto fits_with = [&](std::int64_t workers) {
    PretrainOptions o = options;
    o.workers = workers;
    return fits_or_is_too_small(o, fits);
  };
  if (options.workers == 0 || !fits_with(0)) return std::nullopt;
  return largest_multiple(1, 1, options.workers, fits_with);
}

// "--batch-size 8 or --micro-batch 4"; empty if nothing fits.
std::string named_sizes(const FittingSizes& sizes) {
  std::vector<std::string> ways;
  if (sizes.workers) ways.push_back(fmt::format("--workers {}", *sizes.workers));
  if (sizes.batch > 0) ways.push_back(fmt::format("--batch-size {}", sizes.batch));
  if (sizes.micro_batch > 0) ways.push_back(fmt::format("--micro-batch {}", sizes.micro_batch));
  return alternatives(ways);
}

// The smallest run with this model and images of this size.
PretrainOptions smallest_run(const PretrainOptions& options) {
  PretrainOptions smallest = options;
  smallest.workers = 0;
  smallest.micro_batch = 0;
  smallest.batch_size = std::max(least_batch(options), options.per_class);
  if (const std::int64_t rest = smallest.batch_size % options.processes; rest != 0)
    smallest.batch_size += options.processes - rest;
  return smallest;
}

PretrainOptions with_image_size(PretrainOptions o, int side) {
  for (ViewGroup& group : o.view_groups) group.size = std::min(group.size, side);
  o.image_size = side;
  return o;
}

// What can be smaller about a run whose batch is the smallest, as bits of a set.
constexpr unsigned smaller_pictures = 1, smaller_images = 2, smaller_network = 4;
constexpr std::array<std::pair<unsigned, const char*>, 3> names_of_reductions{
    {{smaller_pictures, "smaller copies of the largest pictures"},
     {smaller_images, "a smaller --image-size"},
     {smaller_network, "a smaller --model"}}};

unsigned possible_reductions(const PretrainOptions& o, const PictureMemory& largest) {
  const bool has_model_of_file = !o.weights.empty() || o.resume;
  return (largest.peak() > 0 ? smaller_pictures : 0) |
         (o.image_size > smallest_image_size ? smaller_images : 0) |
         (o.model != smallest_model && !has_model_of_file ? smaller_network : 0);
}

// Whether the run fits if all of these are as small as can be.
bool fits_with(unsigned reductions, PretrainOptions o, const RoomForRun& room) {
  const FitsIntoMemory& fits = (reductions & smaller_pictures) != 0 ? room.fits_without_pictures : room.fits;
  if ((reductions & smaller_network) != 0) o.model = smallest_model;
  if ((reductions & smaller_images) == 0) return fits_or_is_too_small(o, fits);
  // The smallest images are too small for some networks.
  for (int side = smallest_image_size; side < o.image_size; side *= 2)
    if (fits_or_is_too_small(with_image_size(o, side), fits)) return true;
  return false;
}

// The fewest that are enough: "a smaller --image-size and a smaller --model". Empty if all of them are not.
std::string reductions_that_help(const PretrainOptions& smallest, const RoomForRun& room) {
  const unsigned possible = possible_reductions(smallest, room.largest), all = (1U << 3) - 1;
  std::vector<std::string> ways;
  for (int count = 1; count <= 3 && ways.empty(); ++count) {
    for (unsigned set = 1; set <= all; ++set) {
      if (std::popcount(set) != count || (set & ~possible) != 0 || !fits_with(set, smallest, room)) continue;
      std::string& way = ways.emplace_back();
      for (const auto& [bit, name] : names_of_reductions)
        if ((set & bit) != 0) way += (way.empty() ? "" : " and ") + std::string(name);
    }
  }
  return alternatives(ways);
}

// "68.7 MiB for loading the largest picture, of 4000 x 3000 pixels, and 95.7 MiB for threads, buffers and free blocks": what
// takes the most of that which may be smaller, and what cannot.
std::string named_parts(const NeededParts& parts, const PictureMemory& largest) {
  std::pair<std::size_t, std::string> most{parts.activations, "the activations of a step"};
  if (parts.model > most.first) most = {parts.model, "the model, its gradients and the optimizer"};
  if (parts.pictures > most.first)
    most = {parts.pictures,
            fmt::format("loading the largest picture, of {} x {} pixels,", largest.width, largest.height)};
  return fmt::format("{} for {} and {} for threads, buffers and free blocks",
                     format_bytes(static_cast<double>(most.first)), most.second,
                     format_bytes(static_cast<double>(parts.others)));
}

}  // namespace

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

std::int64_t unit_of_batch(const PretrainOptions& o) {
  return std::lcm(o.per_class, o.processes * std::max<std::int64_t>(1, o.micro_batch));
}

std::int64_t in_eights(std::int64_t batch) {
  return batch >= 8 ? batch / 8 * 8 : batch;
}

FittingSizes fitting_sizes(const PretrainOptions& options, const FitsIntoMemory& fits) {
  const auto fits_with = [&](std::int64_t batch, std::int64_t micro_batch) {
    PretrainOptions o = options;
    o.batch_size = batch;
    o.micro_batch = micro_batch;
    return fits_or_is_too_small(o, fits);
  };
  const std::int64_t processes = options.processes, part = options.batch_size / processes;
  const std::int64_t now = options.micro_batch > 0 ? options.micro_batch : part;  // images of a process at once
  const std::int64_t least = least_batch(options), unit = unit_of_batch(options);
  const std::int64_t at_once = largest_multiple(processes, least, processes * now,
                                                [&](std::int64_t batch) { return fits_with(batch, 0); });
  FittingSizes sizes;
  sizes.batch = unit == 1 ? in_eights(at_once)
                          : largest_multiple(unit, least, options.batch_size, [&](std::int64_t batch) {
                              return fits_with(batch, options.micro_batch);
                            });
  // A micro-batch takes at least as much as a batch of its size.
  std::int64_t micro_batch = std::min(std::max<std::int64_t>(1, at_once / processes), now - 1);
  while (micro_batch > 0 && (part % micro_batch != 0 || !fits_with(options.batch_size, micro_batch)))
    --micro_batch;
  sizes.micro_batch = micro_batch;
  sizes.workers = fitting_workers(options, fits);
  return sizes;
}

std::string advice_about_sizes(const PretrainOptions& options, const RoomForRun& room) {
  if (const std::string ways = named_sizes(fitting_sizes(options, room.fits)); !ways.empty())
    return with_last_way_out(ways + " should fit", room.limit);
  if (options.workers > 0) {
    PretrainOptions without_workers = options;
    without_workers.workers = 0;
    if (const std::string ways = named_sizes(fitting_sizes(without_workers, room.fits)); !ways.empty())
      return with_last_way_out("--workers 0 with " + ways + " should fit", room.limit);
  }
  const PretrainOptions smallest = smallest_run(options);
  const std::string head = fmt::format(
      "not even --workers 0 and a batch of {} fit with {} at {} pixels, with {}", smallest.batch_size,
      smallest.model, smallest.image_size, named_parts(room.parts(smallest), room.largest));
  const std::string help = reductions_that_help(smallest, room);
  if (!help.empty()) return head + "; " + with_last_way_out("use " + help, room.limit);
  return head + "; " + (room.limit.empty() ? "more memory is needed" : room.limit);
}

std::string advice_about_loading(const PretrainOptions& options, const std::string& limit) {
  if (options.workers > 1)
    return with_last_way_out(
        fmt::format("use --workers {}, so that fewer pictures are decoded at once", options.workers / 2),
        limit);
  std::string copies = "use smaller copies of the largest pictures";
  if (options.batch_size > smallest_run(options).batch_size) copies += ", or a smaller --batch-size";
  return with_last_way_out(options.workers == 1 ? "use --workers 0; if that is not enough, " + copies : copies,
                           limit);
}

}  // namespace kindred
