#include <kindred/apps/console/command_line.h>
#include <kindred/apps/console/data_options.h>
#include <kindred/apps/console/progress.h>
#include <kindred/data/loading/sampler.h>
#include <kindred/data/sets/dataset.h>
#include <kindred/engine/error.h>
#include <kindred/engine/names.h>

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <system_error>

namespace kindred {
namespace {

constexpr Named<Split> split_names[] = {{Split::train, "train"}, {Split::evaluation, "evaluation"}};

constexpr double many = 0.25;  // from this fraction of the anchors on, a warning is printed

}  // namespace

void DataFlags::add_to(CommandLine& line) {
  line.add("DIR", path, data_help).required();
  line.add("--limit-per-class", limit_per_class, "use the first N images of each class, by name (0: all)");
  line.add("--limit-eval-per-class", limit_eval, "the same for the evaluation images (as --limit-per-class)");
  line.add("--val-fraction", val_fraction,
           "evaluate on this share of the training images, class by class, and train on the rest (0; 0.1 for "
           "DIR/<class>/* alone)");
  line.add("--val-seed", val_seed, "which images --val-fraction holds out; give all stages the same (0)");
}

void DataFlags::check_values() const {
  check(limit_per_class >= 0, ExitCode::usage, "--limit-per-class {}: expected 0 (no limit) or more",
        limit_per_class);
  check(limit_eval_per_class() >= 0, ExitCode::usage,
        "--limit-eval-per-class {}: expected 0 (no limit) or more", limit_eval_per_class());
  check(!val_fraction || (*val_fraction >= 0 && *val_fraction < 1), ExitCode::usage,
        "--val-fraction {}: expected a share of the training images below 1, or 0 to train on all",
        val_fraction.value_or(0));
}

bool DataFlags::contains(const std::filesystem::path& name) const {
  std::error_code ignored;
  const auto inside = std::filesystem::weakly_canonical(name, ignored),
             set = std::filesystem::weakly_canonical(path, ignored);
  return !set.empty() && std::mismatch(set.begin(), set.end(), inside.begin(), inside.end()).first == set.end();
}

void DataFlags::check_outside(const char* flag, const std::string& name) const {
  check(name.empty() || !contains(name), ExitCode::usage,
        "{} {}: lies in the data set, which is never changed; give another place", flag, name);
}

DatasetOptions DataFlags::options(Split split) const {
  DatasetOptions o;
  o.limit_per_class = split == Split::train ? limit_per_class : limit_eval_per_class();
  o.val_fraction = val_fraction;
  o.val_seed = val_seed;
  return o;
}

double DataFlags::held_out_fraction() const {
  return val_fraction ? *val_fraction : default_val_fraction(path);
}

std::optional<Dataset> DataFlags::open(Split split) const {
  return open_dataset(path, split, options(split));
}

Dataset DataFlags::open_named(const std::string& split) const {
  const auto named = value_named(split_names, split);
  check(named.has_value(), ExitCode::usage, "--split {}: expected {}", split, names_of(split_names, " or "));
  const auto dataset = open(*named);
  check(dataset.has_value(), ExitCode::data, "{} has no val or test images; {}, or use --split train", path,
        no_evaluation_advice);
  print_notes(*dataset);
  return *dataset;
}

void print_notes(const Dataset& set, const Dataset* printed) {
  for (const std::string& note : set.notes()) {
    const bool is_new = printed == nullptr || std::find(printed->notes().begin(), printed->notes().end(),
                                                        note) == printed->notes().end();
    if (is_new) fmt::print("{}\n", one_line(note));
  }
}

std::optional<std::int64_t> accepted_bad_images(const std::string& text, std::int64_t images) {
  const bool is_share = text.ends_with('%');
  const char* const end = text.data() + text.size() - (is_share ? 1 : 0);
  std::int64_t count = 0;
  double percent = 0;
  const auto [rest, error] =
      is_share ? std::from_chars(text.data(), end, percent) : std::from_chars(text.data(), end, count);
  if (error != std::errc() || rest != end || count < 0 || !(percent >= 0 && percent <= 100))
    return std::nullopt;
  // Few shares are binary fractions: a millionth of an image keeps whole numbers whole.
  return is_share ? static_cast<std::int64_t>(percent / 100 * static_cast<double>(images) + 1e-6) : count;
}

std::string describe(const PositiveStatistics& positives, int views) {
  std::string text = fmt::format("an anchor has {:.1f} positives in its batch, on average\n", positives.mean);
  const std::string what_to_do = "--per-class 2 or a larger --batch-size gives them";
  if (positives.without > many)
    text += fmt::format(
        "warning: {:.0f} % of the anchors have no positive and contribute nothing; --views 2, {} positives\n",
        100 * positives.without, what_to_do);
  else if (positives.alone > many)
    text += fmt::format(
        "warning: {:.0f} % of the anchors have no other image of their class in the batch, only their own {}; "
        "{} more positives\n",
        100 * positives.alone, views == 2 ? "other view" : "other views", what_to_do);
  return text;
}

}  // namespace kindred
