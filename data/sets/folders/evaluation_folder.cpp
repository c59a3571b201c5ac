#include <kindred/data/sets/dataset_sources.h>
#include <kindred/data/sets/folders/class_tree.h>
#include <kindred/data/sets/folders/dead_links.h>
#include <kindred/data/sets/folders/evaluation_folder.h>
#include <kindred/data/sets/folders/names.h>

#include <fmt/core.h>
#include <fmt/ranges.h>  // defines: fmt::join

#include <algorithm>
#include <system_error>

namespace kindred::detail {
namespace {

namespace fs = std::filesystem;

// What a folder for evaluation holds.
enum class EvaluationContent {
  known_classes,  // images in folders of classes that train has
  other_classes,  // images in other folders only
  flat,           // images in one folder
  nothing
};

// The folder that holds all images, if they lie in no class folders; otherwise empty. `split` can be listed.
fs::path find_flat_images(const fs::path& split, const std::vector<std::string>& classes) {
  const std::string images = "images";  // Tiny-ImageNet's
  const ClassTree tree(split);
  std::vector<std::string> inside;  // the folders with images; two say enough
  for (const std::string& name : tree.names())
    if (inside.size() < 2 && tree.has_images(name)) inside.push_back(name);
  const bool below = inside.size() == 1 && inside.front() == images &&
                     !std::binary_search(classes.begin(), classes.end(), images) &&
                     can_be_listed(split / images) && list_folders(split / images).empty();
  if (!inside.empty() && !below) return {};
  const fs::path folder = below ? split / images : split;
  return list_files(folder, is_image_name).empty() ? fs::path() : folder;
}

EvaluationContent content_of(const EvaluationFolder& folder, const std::vector<std::string>& classes) {
  if (!folder.images.empty()) return EvaluationContent::flat;
  const ClassTree tree(folder.split);
  bool has_others = false;
  for (const std::string& name : tree.names()) {
    const bool known = std::binary_search(classes.begin(), classes.end(), name);
    if ((!known && has_others) || !tree.has_images(name)) continue;
    if (known) return EvaluationContent::known_classes;
    has_others = true;
  }
  return has_others ? EvaluationContent::other_classes : EvaluationContent::nothing;
}

// Why a folder is not used whose images all lie in folders that are no classes of train.
std::string why_no_class(const fs::path& split, const std::vector<std::string>& classes) {
  const ClassTree tree(split);
  std::vector<std::string> folders = tree.names();
  std::erase_if(folders, [&](const std::string& name) { return !tree.has_images(name); });
  if (const std::string in_other_case = names_in_other_case(folders, classes); !in_other_case.empty())
    return fmt::format("no folder in it has the name of a class of train: {}; rename them to evaluate on it",
                       in_other_case);
  return fmt::format(
      "no folder in it has the name of a class of train: it has {}, and train has {}; give both the same class "
      "folders to evaluate on it",
      quoted_names(folders), quoted_names(classes));
}

// Why a folder is not used that holds no images. Links to other disks may be all that it has.
std::string why_no_images(const fs::path& split) {
  const std::vector<std::string> dead = dead_links_in(split);
  if (dead.empty()) return "there are no images in it";
  return fmt::format("there are no images in it, but links that lead nowhere: {}; '{}' is {}",
                     quoted_names(dead), dead.front(), dead_link_text(split / dead.front()));
}

// Whether a folder of this name may be what `evaluate_on` stands for.
bool may_be_evaluated_on(const fs::path& split, Split evaluate_on) {
  const auto role = split_role(split.filename().string());
  return (role == SplitRole::validation && evaluate_on != Split::test) ||
         (role == SplitRole::test && evaluate_on != Split::val);
}

std::string all_paths(const std::vector<fs::path>& folders) {
  std::vector<std::string> texts;
  for (const fs::path& folder : folders) texts.push_back(folder.string());
  return fmt::format("{}", fmt::join(texts, ", "));
}

}  // namespace

std::vector<fs::path> EvaluationFolder::label_folders(std::vector<fs::path> others) const {
  if (images != split) others.insert(others.begin(), split);  // the images' own folder is searched anyway
  return others;
}

EvaluationChoice choose_evaluation_folder(const SplitFolders& folders, Split evaluate_on,
                                          const std::vector<std::string>& classes,
                                          const std::vector<fs::path>& label_folders) {
  EvaluationChoice choice;
  std::vector<fs::path> unused;
  const auto consider = [&](const fs::path& split, bool is_test) {
    if (choice.folder) return unused.push_back(split);
    EvaluationFolder found{split, {}, is_test};
    const bool listable = can_be_listed(split);
    if (listable) found.images = find_flat_images(split, classes);
    const EvaluationContent content = listable ? content_of(found, classes) : EvaluationContent::known_classes;
    std::string problem;
    const char* weight = "note";
    if (content == EvaluationContent::nothing) {
      choice.has_unfit = true;
      if (!dead_links_in(split).empty()) weight = "warning";  // there were classes
      problem = why_no_images(split);
    } else if (content == EvaluationContent::other_classes && is_test && evaluate_on == Split::evaluation) {
      choice.has_unfit = true;
      weight = "warning";  // their names say classes
      problem = why_no_class(split, classes);
    } else if (content == EvaluationContent::flat &&
               !has_flat_labels(found.images, found.label_folders(label_folders))) {
      if (!choice.unlabelled) choice.unlabelled = found;
      problem = fmt::format("its images lie in no class folders, so their classes are unknown; {}",
                            list_gives_labels);
    }
    if (!problem.empty())
      return choice.notes.push_back(fmt::format("{}: {} is not used: {}", weight, split.string(), problem));
    choice.folder = found;
  };
  for (const fs::path& place : folders.no_folders)
    if (may_be_evaluated_on(place, evaluate_on)) choice.has_unfit = true;
  if (evaluate_on != Split::test)
    for (const fs::path& split : folders.validation) consider(split, false);
  if (evaluate_on != Split::val)
    for (const fs::path& split : folders.test) consider(split, true);
  if (!choice.folder && evaluate_on != Split::evaluation) choice.folder = choice.unlabelled;
  const bool instead = choice.folder && choice.folder->is_test && evaluate_on == Split::evaluation;
  if (instead || !unused.empty())
    choice.notes.push_back(fmt::format("note: evaluation is on {}{}{}", choice.folder->split.string(),
                                       instead ? ", because there is no validation split" : "",
                                       unused.empty() ? "" : "; not used: " + all_paths(unused)));
  return choice;
}

std::string names_in_other_case(const std::vector<std::string>& folders,
                                const std::vector<std::string>& classes) {
  std::vector<std::string> differing, meant;
  for (const std::string& folder : folders)
    for (const std::string& name : classes)
      if (folder != name && lower_case(folder) == lower_case(name)) {
        differing.push_back(folder);
        meant.push_back(name);
        break;
      }
  if (differing.empty()) return {};
  return fmt::format("{} {} from {} of train only in the case of letters", quoted_names(differing),
                     differing.size() == 1 ? "differs" : "differ", quoted_names(meant));
}

std::string same_folder_warning(const fs::path& evaluation, const fs::path& train) {
  std::error_code ignored;
  if (!fs::equivalent(evaluation, train, ignored)) return {};
  return fmt::format("warning: {} is the same folder as {}: evaluation is on training images",
                     evaluation.string(), train.string());
}

std::string warning_of_missing_split(const fs::path& place, const std::string& meaning) {
  return fmt::format("warning: {} is not used: it is {}; {}; {}", place.string(), no_folder_text(place),
                     meaning, no_folder_advice(place));
}

std::vector<std::string> warnings_of_missing_splits(const SplitFolders& folders, const fs::path& train,
                                                    const fs::path& evaluation, Split evaluate_on) {
  const std::string of_evaluation =
      "evaluation is on " +
      (evaluation.empty() ? "images that are held out of train, if any are" : evaluation.string());
  std::vector<std::string> warnings;
  for (const fs::path& place : folders.no_folders) {
    if (split_role(place.filename().string()) == SplitRole::train)
      warnings.push_back(warning_of_missing_split(place, "training is on " + train.string()));
    else if (may_be_evaluated_on(place, evaluate_on))
      warnings.push_back(warning_of_missing_split(place, of_evaluation));
  }
  return warnings;
}

std::vector<std::string> notes_of_unused_evaluation(const SplitFolders& folders) {
  std::vector<fs::path> unused = folders.validation;
  unused.insert(unused.end(), folders.test.begin(), folders.test.end());
  if (unused.empty()) return {};
  return {
      fmt::format("note: evaluation is on images that are held out of train; not used: {}", all_paths(unused))};
}

}  // namespace kindred::detail
