// Reads every image of a data set and reports its content, what is unusual, and whether training would accept
// it.
#include <kindred/apps/console/clock.h>
#include <kindred/apps/console/command_line.h>
#include <kindred/apps/console/data_options.h>
#include <kindred/apps/console/interrupt.h>
#include <kindred/apps/console/main.h>
#include <kindred/apps/console/messages/quiet.h>
#include <kindred/apps/console/preparation_flags.h>
#include <kindred/apps/console/progress.h>
#include <kindred/apps/survey/strays.h>
#include <kindred/apps/survey/survey.h>
#include <kindred/apps/survey/survey_page.h>
#include <kindred/apps/survey/survey_pictures.h>
#include <kindred/apps/training/run/run_folder.h>
#include <kindred/apps/training/run/takeover/output_folder.h>
#include <kindred/data/views/recipe_json.h>
#include <kindred/engine/counted.h>
#include <kindred/engine/error.h>
#include <kindred/engine/files/make_folders.h>

#include <nlohmann/json.hpp>

#include <utility>

namespace kindred {
namespace {

namespace fs = std::filesystem;

constexpr const char* page_name = "check_data.html";

struct Flags {
  DataFlags data;
  std::string out = "check_data", json, augment, exif = "ignore", max_bad = "100";
  int views = 0, image_size = 224, list = 20;
  std::uint64_t seed = 0;
  bool strict = false, no_pictures = false;
};

void add_flags(CommandLine& line, Flags& f) {
  f.data.add_to(line);
  line.add("--out", f.out, "folder for check_data.html, classes.png, sizes.png, contact_*.png and views.png")
      .shows_default();
  line.add_switch("--no-pictures", f.no_pictures, "draw nothing, and write no page");
  line.add("--json", f.json, "write the counts to this file").writes_file();
  const Flag views = line.add_switch("--views{8}", f.views,
                                     "draw augmented views too, 8 or --views=N of an image of each class");
  line.add("--augment", f.augment,
           "how the views are made: a name or a file, as for pretrain (default: pretrain's choice for "
           "--image-size)")
      .needs(views);
  line.add("--image-size", f.image_size, "side of a view").shows_default().within(sides_in_pixels);
  line.add_seed(f.seed, "of the views");
  line.add("--exif", f.exif, exif_help).shows_default();
  line.add("--list", f.list, "odd files to print; the JSON file has all")
      .shows_default()
      .within(not_negative_numbers);
  line.add("--max-bad", f.max_bad,
           fmt::format("how many unreadable training images are accepted, as pretrain accepts them; {}",
                       max_bad_expected))
      .shows_default();
  line.add_switch("--strict", f.strict, "accept no damaged or unreadable training image");
  line.add_quiet();
}

void check_flags(const Flags& f) {
  f.data.check_values();
  check(f.views >= 0 && f.views <= 64, ExitCode::usage,
        "--views: expected --views or --views=N, N from 1 to 64");
  if (!f.augment.empty()) image_views(f.augment, f.image_size, 1);  // reports a mistake before the long read
  check(accepted_bad_images(f.max_bad, 0).has_value(), ExitCode::usage, "--max-bad {}: expected {}", f.max_bad,
        max_bad_expected);
}

struct Findings {
  std::vector<SplitSurvey> splits;
  std::vector<OddThing> odd;
  std::int64_t unlisted_images = 0;  // in DIR, which --labels does not name
  std::string problem;               // why training would not accept the set
};

// A folder that cannot be opened as a set can still be inspected as a folder of images, if it holds any.
Dataset loose_images(const DataFlags& data, const std::string& problem) {
  try {
    DecodeLimits limits;
    limits.exif = data.exif;
    return open_loose_images(data.path, limits);
  } catch (const Error&) {
    fail(ExitCode::data, "training would not accept this: {}", problem);
  }
}

Findings examine(const Flags& f) {
  Findings found;
  std::optional<Dataset> train, evaluation;
  try {
    train = f.data.open(Split::train);
    evaluation = f.data.open(Split::evaluation);
  } catch (const Error& error) {
    if (error.code() != ExitCode::data || !fs::is_directory(f.data.path)) throw;
    found.problem = error.what();
  }
  const Dataset first = train ? *train : loose_images(f.data, found.problem);
  print_notes(first);
  if (evaluation) print_notes(*evaluation, &first);
  found.splits.push_back(survey(train ? "train" : "files", first));
  if (evaluation) found.splits.push_back(survey("evaluation", *evaluation));
  found.odd = odd_things(found.splits);
  if (train && f.data.shards.empty()) {
    Strays strays = find_strays(found.splits, f.data.path, f.data.labels);
    for (OddThing& stray : strays.odd) found.odd.push_back(std::move(stray));
    found.unlisted_images = strays.unlisted_images;
  }
  if (found.problem.empty()) found.problem = training_problem(found.splits.front(), f.max_bad, f.strict);
  return found;
}

OutcomeCounts total(const std::vector<SplitSurvey>& splits) {
  OutcomeCounts all;
  for (const SplitSurvey& split : splits) {
    const OutcomeCounts counts = split.counts();
    all.ok += counts.ok;
    all.damaged += counts.damaged;
    all.rejected += counts.rejected;
  }
  return all;
}

nlohmann::json to_json(const OutcomeCounts& counts) {
  return {
      {"files", counts.files()}, {"ok", counts.ok}, {"damaged", counts.damaged}, {"rejected", counts.rejected}};
}

nlohmann::json to_json(const Flags& f, const Findings& found) {
  nlohmann::json json = to_json(total(found.splits));
  json["data"] = f.data.path;
  json["accepted"] = found.problem.empty();
  json["problem"] = found.problem;
  for (const SplitSurvey& split : found.splits) {
    nlohmann::json& entry = json["splits"][split.name];
    entry = to_json(split.counts());
    entry["notes"] = split.set.notes();
    entry["oriented"] = split.oriented();
    for (const auto& [format, counts] : split.counts_by_format()) entry["formats"][format] = to_json(counts);
    const auto by_class = split.counts_by_class();
    for (std::size_t c = 0; c < by_class.size(); ++c)
      entry["classes"].push_back({{"name", split.set.class_names()[c]}, {"files", by_class[c].files()}});
  }
  if (!f.data.labels.empty()) json["unlisted_images"] = found.unlisted_images;
  json["odd"] = nlohmann::json::array();
  for (const OddThing& thing : found.odd) json["odd"].push_back({{"name", thing.name}, {"what", thing.what}});
  return json;
}

void print_unlisted(const DataFlags& data, std::int64_t images) {
  if (images == 0) return;
  fmt::print("{}\n",
             one_line(fmt::format("{} does not name {} in {}: {} no part of the set", data.labels,
                                  counted(images, "image"), data.path, images == 1 ? "it is" : "they are")));
}

// "3 classes", or "2 of 3 classes" where a class of training has no files here.
std::string classes_with_files(std::int64_t with_files, const Dataset& set, const char* unit) {
  const std::string all = counted(set.classes(), unit);
  return with_files == set.classes() ? all : fmt::format("{} of {}", with_files, all);
}

void print(const SplitSurvey& split) {
  const char* const unit = split.name == "files" ? "folder" : "class";  // what is no set has no classes
  const OutcomeCounts counts = split.counts();
  std::int64_t smallest = counts.files(), largest = 0, with_files = 0;
  for (const OutcomeCounts& of_class : split.counts_by_class()) {
    if (of_class.files() == 0) continue;
    ++with_files;
    smallest = std::min(smallest, of_class.files());
    largest = std::max(largest, of_class.files());
  }
  fmt::print("{}: {} in {}: {} ok, {} damaged, {} rejected\n", split.name, counted(counts.files(), "file"),
             classes_with_files(with_files, split.set, unit), counts.ok, counts.damaged, counts.rejected);
  for (const auto& [format, of_format] : split.counts_by_format())
    fmt::print("  {:<8} {:>8} ok {:>6} damaged {:>6} rejected\n", format, of_format.ok, of_format.damaged,
               of_format.rejected);
  if (smallest < largest)
    fmt::print("  {} to {} images in a {}\n", smallest, largest, unit);
  else
    fmt::print("  {} in each {}\n", counted(largest, "image"), unit);
}

void print(const Findings& found, int list) {
  for (const SplitSurvey& split : found.splits) print(split);
  if (found.odd.empty()) return;
  fmt::print("{}\n", counted(found.odd.size(), "odd thing"));
  for (std::size_t i = 0; i < found.odd.size() && i < static_cast<std::size_t>(list); ++i)
    fmt::print("  {}\n", one_line(fmt::format("{}: {}", found.odd[i].name, found.odd[i].what)));
  if (found.odd.size() > static_cast<std::size_t>(list))
    fmt::print("  and {} more; --json FILE lists all\n", found.odd.size() - static_cast<std::size_t>(list));
}

void draw(const Flags& f, const Findings& found) {
  const fs::path out = f.out;
  make_folders("--out " + f.out, out);
  SurveySheets sheets;
  for (const SplitSurvey& split : found.splits) sheets.contacts.push_back(contact_sheet(split));
  if (f.views > 0) {
    const std::string augment = !f.augment.empty() ? f.augment : f.image_size <= 64 ? "cifar" : "simaugment";
    sheets.views =
        sheet_of_views(found.splits.front(), image_views(augment, f.image_size, f.views).groups, f.seed);
  }
  draw_survey(found.splits, sheets, out);
  write_survey_page(out / page_name, {.data = f.data.path,
                                      .problem = found.problem,
                                      .remarks = describe_orientations(found.splits, f.data.exif),
                                      .splits = found.splits,
                                      .odd = found.odd,
                                      .sheets = sheets});
  fmt::print("pictures and {}: {}\n", page_name, out.string());
}

int check_data(int argc, char** argv) {
  CommandLine line("Reads every image of a data set: counts, lists unusual files, draws overviews.",
                   "check_data");
  Flags flags;
  add_flags(line, flags);
  if (const auto done = line.parse(argc, argv)) return *done;
  check_flags(flags);
  flags.data.exif = parse_exif(flags.exif);
  if (!flags.no_pictures) flags.data.check_outside("--out", flags.out);
  flags.data.check_outside("--json", flags.json);
  check_output_file("--json", flags.json, "data.json");
  watch_for_interrupts();

  const double start = now_seconds();
  const Findings found = examine(flags);
  const double seconds = now_seconds() - start;
  results_follow();
  print(found, flags.list);
  print_unlisted(flags.data, found.unlisted_images);
  if (const std::string line_of_exif = describe_orientations(found.splits, flags.data.exif);
      !line_of_exif.empty())
    fmt::print("{}\n", line_of_exif);
  end_if_interrupted("nothing was written; the same command begins anew");
  const std::int64_t files = total(found.splits).files();
  fmt::print("{} in {:.1f} s, {:.0f} a second\n", counted(files, "file"), seconds,
             static_cast<double>(files) / std::max(seconds, 1e-9));
  if (!flags.json.empty()) write_json(flags.json, to_json(flags, found));
  if (!flags.no_pictures) draw(flags, found);
  check(found.problem.empty(), ExitCode::data, "training would not accept this: {}", found.problem);
  fmt::print("training would accept this set\n");
  return 0;
}

const Program check_data_program("check_data", "reads every image of a data set, and says what is unusual",
                                 check_data);

}  // namespace
}  // namespace kindred
