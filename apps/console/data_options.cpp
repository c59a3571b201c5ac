#include <kindred/apps/console/command_line.h>
#include <kindred/apps/console/data_options.h>
#include <kindred/apps/console/messages/start_facts.h>
#include <kindred/data/sets/dataset.h>
#include <kindred/data/sets/folders/dead_links.h>
#include <kindred/data/sets/shards/shard_list.h>
#include <kindred/engine/error.h>

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <system_error>
#include <vector>

namespace kindred {
namespace {

constexpr NumberRange limits_per_class{"0 (no limit) or more", 0},
    held_out_shares{"a share of the training images below 1, or 0 to train on all", 0, 1, true},
    seconds_of_silence{"0.1 to 86400 seconds", 0.1, 86400};

// The share that is held out without --val-fraction. A set that cannot be read any more has none that is known.
bool is_default_share(const DataFlags& data, double fraction) {
  try {
    DataFlags without = data;
    without.val_fraction.reset();
    return fraction == without.held_out_fraction();
  } catch (const Error&) {
    return false;
  }
}

// Throws if something stands where a shard is expected that can be none. A missing one and a folder are found when shards are
// opened.
void check_is_file(const ShardSpec& shard) {
  if (shard.is_pipe()) return;
  std::error_code error;
  const std::filesystem::file_type type = std::filesystem::status(shard.text, error).type();
  using Type = std::filesystem::file_type;
  if (type == Type::regular || type == Type::directory || type == Type::not_found) return;
  fail(ExitCode::data, "{}: {}; give a tar file, a range of them such as x-{{000..127}}.tar, or pipe:COMMAND",
       shard.text,
       is_dead_link(shard.text) ? dead_link_text(shard.text)
       : type == Type::none     ? "cannot be examined: " + error.message()
                                : "is not a regular file");
}

}  // namespace

void DataFlags::add_to(CommandLine& line) {
  line.add("DIR", path, data_help).required();
  line.add("--labels", labels,
           "a CSV file: the path of an image in DIR, its label, and in a third column, if there is one, train, "
           "val or "
           "test");
  line.add("--limit-per-class", limit_per_class, "use the first N images of each class, by name (0)")
      .within(limits_per_class);
  line.add("--limit-eval-per-class", limit_eval, "the same for the evaluation images (as --limit-per-class)")
      .within(limits_per_class);
  line.add("--val-fraction", val_fraction,
           "evaluate on this share of the training images, class by class, and train on the rest (0; 0.1 for "
           "DIR/<class>/* alone, and where DIR/val or DIR/test has no labels or no images, or DIR/test no "
           "class of "
           "DIR/train)")
      .within(held_out_shares);
  line.add("--val-seed", val_seed, "which images --val-fraction holds out; give all stages the same (0)")
      .within(not_negative_numbers);
  line.add("--shards", shards,
           "in the place of DIR: tar shards of WebDataset, as a path, a range in quotes ('x-{000..127}.tar'), "
           "or a "
           "command whose standard output is a shard ('pipe:curl -sSf URL'); may be typed several times")
      .one_each();
  line.add("--val-shards", val_shards, "the same for evaluation (a tenth of the images of --shards)")
      .one_each();
  line.add(
      "--shard-cache", shard_cache,
      "folder that keeps what commands of shards write, as large as their tar files (a temporary one, which is "
      "removed at the end)");
  line.add("--shard-timeout", shard_timeout,
           "a command of shards that writes nothing for so many seconds is ended, and tried again")
      .shows_default()
      .within(seconds_of_silence);
  line.in_place_of("DIR", "--shards",
                   "write a range in quotes, --shards 'x-{000..127}.tar', or --shards before each shard");
  line.when_parsed([this, &line] { settle_shards(line); });
}

// A file of --config may give what is not typed.
void DataFlags::settle_shards(const CommandLine& line) {
  if (line.has("--shards")) {
    path = name_of_shards(shards);
    if (!line.has("--val-shards")) val_shards.clear();
    if (!line.has("--labels")) labels.clear();
  } else if (line.has("DIR")) {
    shards.clear();
    if (!line.has("--val-shards")) val_shards.clear();
  }
}

void DataFlags::add_split_to(CommandLine& line, const std::string& default_help) {
  line.add("--split", named_split, default_help).one_of({"train", "val", "test", "evaluation"});
}

void DataFlags::add_evaluation_split_to(CommandLine& line) {
  trains = true;
  line.add("--split", named_split, "what the encoder is evaluated on (val if there is one, else test)")
      .one_of({"val", "test", "evaluation"});
}

void DataFlags::check_values() const {
  check(!path.empty(), ExitCode::usage, "DIR is empty; give the folder or the file of a data set");
  check_range("--limit-per-class", limit_per_class, limits_per_class);
  check_range("--limit-eval-per-class", limit_eval_per_class(), limits_per_class);
  check_range("--val-fraction", val_fraction.value_or(0), held_out_shares);
  check_range("--shard-timeout", shard_timeout, seconds_of_silence);
  std::error_code ignored;
  check(!std::filesystem::is_directory(labels, ignored), ExitCode::usage,
        "--labels {}: a folder; expected a CSV file with the columns path,label, such as {}", labels,
        (std::filesystem::path(labels) / "labels.csv").string());
  check(
      !shards.empty() || val_shards.empty(), ExitCode::usage,
      "--val-shards {}: needs --shards, which gives those to train on; DIR says itself what is for evaluation",
      val_shards.empty() ? "" : val_shards.front());
  if (shards.empty() && is_circular_link(path))
    fail(ExitCode::data, "{}: {}; give the folder that holds train/, or a file that pack_dataset made", path,
         dead_link_text(path));
  if (shards.empty()) return;
  check(labels.empty(), ExitCode::usage, "--labels {}: shards hold their labels; leave it out with --shards",
        labels);
  check(val_shards.empty() || val_fraction.value_or(0) == 0, ExitCode::usage,
        "--val-fraction {}: --val-shards gives the images for evaluation; leave out one of them",
        val_fraction.value_or(0));
  std::vector<std::string> all = shards;
  all.insert(all.end(), val_shards.begin(), val_shards.end());
  for (const ShardSpec& shard : shards_named(all)) check_is_file(shard);
}

bool DataFlags::contains(const std::filesystem::path& name) const {
  std::error_code ignored;
  if (!shards.empty()) {
    const std::filesystem::path given = std::filesystem::absolute(name, ignored).lexically_normal();
    for (const auto* list : {&shards, &val_shards})
      for (const ShardSpec& shard : shards_named(*list))
        if (!shard.is_pipe() && std::filesystem::absolute(shard.text, ignored).lexically_normal() == given)
          return true;
    return false;
  }
  const auto inside = std::filesystem::weakly_canonical(name, ignored),
             set = std::filesystem::weakly_canonical(path, ignored);
  if (!labels.empty() && inside == std::filesystem::weakly_canonical(labels, ignored)) return true;
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
  if (const Split asked = asked_split(); asked != Split::train) o.evaluate_on = asked;
  o.limits.exif = exif;
  o.list = labels;
  return o;
}

double DataFlags::held_out_fraction() const {
  if (val_fraction) return *val_fraction;
  return shards.empty() ? default_val_fraction(path, labels)
                        : default_val_fraction_of_shards(!val_shards.empty());
}

bool DataFlags::has_shards_without_parts() const {
  return !shards.empty() && val_shards.empty() && named_split.empty() && !val_fraction;
}

std::string DataFlags::words() const {
  std::string text;
  for (const std::string& each : shards) text += (text.empty() ? "--shards " : " --shards ") + shell_word(each);
  if (shards.empty()) text = shell_path(path);
  for (const std::string& each : val_shards) text += " --val-shards " + shell_word(each);
  if (!shard_cache.empty()) text += " --shard-cache " + shell_word(shard_cache);
  if (!labels.empty()) text += " --labels " + shell_path(labels);
  if (limit_per_class > 0) text += fmt::format(" --limit-per-class {}", limit_per_class);
  if (limit_eval_per_class() != limit_per_class)
    text += fmt::format(" --limit-eval-per-class {}", limit_eval_per_class());
  if (val_fraction && !is_default_share(*this, *val_fraction))
    text += fmt::format(" --val-fraction {}", *val_fraction);
  if (val_seed > 0) text += fmt::format(" --val-seed {}", val_seed);
  if (asked_split() != Split::evaluation) text += " --split " + named_split;
  return text;
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

}  // namespace kindred
