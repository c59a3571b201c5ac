#include <kindred/apps/console/progress.h>
#include <kindred/apps/training/dry_run/fitting_sizes.h>
#include <kindred/apps/training/step_parts.h>
#include <kindred/engine/error.h>

#include <fmt/core.h>

#include <algorithm>
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
    if (error.cause() != Cause::small_batch) throw;
    return false;  // too few images for the statistics of a batch norm
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
  std::string text;
  for (std::size_t i = 0; i < ways.size(); ++i) {
    if (i > 0) text += i + 1 == ways.size() ? " or " : ", ";
    text += ways[i];
  }
  return text;
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

std::string advice_about_sizes(const PretrainOptions& options, const FitsIntoMemory& fits,
                               const FitsIntoMemory& fits_without_pictures, const PictureMemory& largest) {
  if (const std::string ways = named_sizes(fitting_sizes(options, fits)); !ways.empty())
    return ways + " should fit";
  PretrainOptions smallest = options;
  smallest.workers = 0;
  if (options.workers > 0) {
    if (const std::string ways = named_sizes(fitting_sizes(smallest, fits)); !ways.empty())
      return "--workers 0 with " + ways + " should fit";
  }
  smallest.batch_size = std::max(least_batch(options), options.per_class);
  if (const std::int64_t rest = smallest.batch_size % options.processes; rest != 0)
    smallest.batch_size += options.processes - rest;
  smallest.micro_batch = 0;
  if (!fits_or_is_too_small(smallest, fits) && fits_or_is_too_small(smallest, fits_without_pictures))
    return fmt::format(
        "not even --workers 0 and a batch of {} fit, because loading the largest picture ({} x {} pixels) "
        "takes {}: smaller copies of the largest pictures are needed",
        smallest.batch_size, largest.width, largest.height, format_bytes(static_cast<double>(largest.peak())));
  return fmt::format(
      "not even a batch of {} fits with {} at {} pixels: a smaller --image-size or --model is needed",
      smallest.batch_size, options.model, options.image_size);
}

std::string advice_about_loading(std::int64_t workers) {
  if (workers > 1)
    return fmt::format("use --workers {}, so that fewer pictures are decoded at once", workers / 2);
  const std::string copies = "use smaller copies of the largest pictures, or a smaller --batch-size";
  return workers == 1 ? "use --workers 0; if that is not enough, " + copies : copies;
}

}  // namespace kindred
