// DIR/train/<class>/* with DIR/val or DIR/test, which may hold all images in one folder if another file gives their
// classes; or DIR/<class>/* alone. Images lie at any depth in a class folder.
#include <kindred/data/sets/compressed_tars.h>
#include <kindred/data/sets/dataset_sources.h>
#include <kindred/data/sets/folders/class_notes.h>
#include <kindred/data/sets/folders/class_tree.h>
#include <kindred/data/sets/folders/evaluation_folder.h>
#include <kindred/data/sets/folders/file_source.h>
#include <kindred/data/sets/folders/layout.h>
#include <kindred/data/sets/folders/names.h>
#include <kindred/engine/counted.h>
#include <kindred/engine/error.h>

#include <algorithm>
#include <numeric>
#include <utility>

namespace kindred::detail {
namespace {

namespace fs = std::filesystem;

using Notes = std::vector<std::string>;

Dataset with_notes(Dataset set, const Notes& notes) {
  for (const std::string& note : notes) set.add_note(note);
  return set;
}

// What to do if the classes lie in `name`, the only folder in `train`; empty if it does not hold several.
std::string hint_about_inner_classes(const fs::path& train, const std::string& name) {
  const fs::path inner = train / name;
  if (!can_be_listed(inner)) return {};
  const std::vector<std::string> classes = classes_alone(inner);
  if (classes.empty()) return {};
  return fmt::format("; if the folders in it are the classes ({}), move them up into {}, or give {}",
                     quoted_names(classes), train.string(), inner.string());
}

// `dir` holds the folder of `train`.
void check_training_classes(const ClassTree& train, const fs::path& dir) {
  if (train.names().size() >= 2) return;
  const std::string folder = train.folder().string();
  if (train.names().empty())
    if (const std::string compressed = compressed_tars_in(folder); !compressed.empty())
      fail(ExitCode::data, "{}: {}", folder, compressed);
  const std::string hint = hint_about_names(dir, {train.folder().filename().string()});
  check(!train.names().empty(), ExitCode::data,
        "{}: no class folders in it; expected {}/<class>/*.jpg, a folder per class{}", folder, folder, hint);
  fail(ExitCode::data, "{}: only one class, '{}'; at least two are needed to learn from labels{}{}", folder,
       train.names().front(), hint_about_inner_classes(train.folder(), train.names().front()), hint);
}

Origin origin_of(const EvaluationFolder& folder) {
  return {folder.split.string(), folder.is_test ? "test" : "val"};
}

// Images that lie beside class folders are of no class.
void note_images_beside(const fs::path& folder, Notes& notes) {
  if (const auto beside = list_files(folder, is_image_name); !beside.empty())
    notes.push_back(fmt::format("note: {}: left out, because they lie in no class folder: {}, such as {}",
                                folder.string(), counted(beside.size(), "image"), beside.front()));
}

// The images of these classes, whose folders lie in `tree`; a class without a folder there has none.
Dataset read_classes(const ClassTree& tree, std::vector<std::string> classes, const OpenRequest& request,
                     Notes notes) {
  note_images_beside(tree.folder(), notes);
  auto source = std::make_shared<FileSource>(request.limits);
  std::vector<std::int32_t> labels;
  UnreadFormats unread;
  SplitsBelowClasses below;
  for (std::size_t label = 0; label < classes.size(); ++label) {
    if (!tree.has(classes[label])) continue;
    const ClassTree::Content content = tree.content(classes[label]);
    const fs::path class_folder = tree.folder() / classes[label];
    check(!content.images.empty() || request.split == Split::evaluation, ExitCode::data,
          "{}: no images in this class folder, at any depth{}; add some or remove it", class_folder.string(),
          content.unread.empty() ? "" : " (but " + content.unread.to_string() + ")");
    source->add_folder(class_folder);
    for (const std::string& file : content.images) source->add_file(file);
    labels.insert(labels.end(), content.images.size(), static_cast<std::int32_t>(label));
    unread.add(content.unread);
    below.add(content);
    if (std::string warning = warning_of_dead_links(class_folder, content); !warning.empty())
      notes.push_back(std::move(warning));
  }
  if (std::string warning = below.warning(request.dir, tree.folder()); !warning.empty())
    notes.push_back(std::move(warning));
  if (!unread.empty()) notes.push_back(unread.warning(tree.folder().string()));
  return with_notes(Dataset(std::move(classes), std::move(labels), std::move(source), false), notes);
}

// Classes that are called like splits; empty if there are none.
std::string note_about_names(const fs::path& dir, const std::vector<std::string>& classes) {
  std::vector<std::string> like_splits = classes;
  std::erase_if(like_splits, [](const std::string& name) { return !split_role(name); });
  if (like_splits.empty()) return {};
  return fmt::format(
      "note: {}: {} is taken for a class like {}, not for a split, because its images lie in no "
      "class folders",
      dir.string(), quoted_names(like_splits), quoted_names(names_without(classes, like_splits)));
}

// Classes that are called nearly like splits, "test1" or "train_images"; empty if there are none.
std::string note_about_similar_names(const fs::path& dir, const std::vector<std::string>& classes) {
  std::vector<std::string> similar = classes;
  std::erase_if(similar, [](const std::string& name) { return split_role(name) || !split_role_like(name); });
  if (similar.empty()) return {};
  const bool one = similar.size() == 1;
  return fmt::format("note: {}: {} {}; if {} for training or evaluation, move {} out of {}", dir.string(),
                     quoted_names(similar), one ? "is taken for a class" : "are taken for classes",
                     one ? "it is" : "they are", one ? "it" : "them", dir.string());
}

std::string note_about_tests(const fs::path& folder, const std::vector<std::string>& classes) {
  return fmt::format(
      "note: {} is not used: its images lie in no class folders, so they are taken for tests without labels; "
      "if it is a class like {}, give the folder another name",
      folder.string(), quoted_names(classes));
}

// Of the folders `others`, which hold no images that are read, those with files of formats that this build cannot read
// are taken out and named: as classes they would be missed.
void warn_of_unread_classes(const ClassTree& tree, std::vector<std::string>& others, Notes& notes) {
  constexpr std::size_t most_warnings = 5;
  std::size_t found = 0;
  UnreadFormats more;
  std::erase_if(others, [&](const std::string& name) {
    const UnreadFormats unread = tree.unread(name);
    if (unread.empty()) return false;
    if (++found > most_warnings)
      more.add(unread);
    else
      notes.push_back(unread.warning((tree.folder() / name).string() +
                                     ": not taken for a class, because no image in it can be read"));
    return true;
  });
  if (more.empty()) return;
  const std::size_t folders = found - most_warnings;
  notes.push_back(more.warning(
      fmt::format("{}: {} not taken for {}, because no image in {} can be read", tree.folder().string(),
                  counted(folders, "more folder") + (folders == 1 ? " is" : " are"),
                  folders == 1 ? "a class" : "classes", folders == 1 ? "it" : "them")));
}

// The images in these folders of request.dir; what else lies there is named.
Dataset read_folders(const OpenRequest& request, const std::vector<std::string>& classes) {
  const ClassTree tree(request.dir);
  Notes notes;
  const std::string tests = flat_test_folder(request.dir);
  std::vector<std::string> others = names_without(tree.names(), classes);
  std::erase(others, tests);
  warn_of_unread_classes(tree, others, notes);
  if (!others.empty())
    notes.push_back(fmt::format("note: {}: not taken for classes, because there are no images in them: {}",
                                request.dir.string(), quoted_names(others)));
  if (!tests.empty()) notes.push_back(note_about_tests(request.dir / tests, classes));
  for (const fs::path& place : find_split_folders(request.dir).no_folders)
    notes.push_back(
        warning_of_missing_split(place, "the class folders beside it are the whole set, also for evaluation"));
  for (std::string& warning : warnings_of_dead_classes(tree)) notes.push_back(std::move(warning));
  for (const std::string& note :
       {note_about_names(request.dir, classes), note_about_similar_names(request.dir, classes)})
    if (!note.empty()) notes.push_back(note);
  return read_classes(tree, classes, request, std::move(notes));
}

// The folder for evaluation, or folders of classes in it, may be links to those for training.
void warn_of_training_images(const ClassTree& train, const fs::path& evaluation, Notes& notes) {
  if (const std::string warning = same_folder_warning(evaluation, train.folder()); !warning.empty())
    return notes.push_back(warning);
  if (!can_be_listed(evaluation)) return;  // opening it says what is wrong
  RealFolders of_train;
  for (const std::string& name : train.names()) of_train.add(train.folder() / name);
  std::vector<std::string> shared = list_folders(evaluation);
  std::erase_if(shared, [&](const std::string& name) { return !of_train.contains(evaluation / name); });
  if (shared.empty()) return;
  notes.push_back(fmt::format("warning: {}: {} of {}, by {}: evaluation is on training images",
                              evaluation.string(),
                              quoted_names(shared) + (shared.size() == 1 ? " is a folder" : " are folders"),
                              train.folder().string(), shared.size() == 1 ? "a link" : "links"));
}

Dataset open_evaluation_classes(const OpenRequest& request, const EvaluationFolder& chosen,
                                const ClassTree& train, Notes notes) {
  const fs::path& folder = chosen.split;
  const std::vector<std::string>& classes = train.names();
  const ClassTree tree(folder);
  std::vector<std::string> extra = names_without(tree.names(), classes);
  std::erase_if(extra, [&](const std::string& name) { return !tree.has_images(name); });
  if (std::string warning = warning_of_extra_folders(folder, extra, train); !warning.empty())
    notes.push_back(std::move(warning));
  for (std::string& warning : warnings_of_missing_classes(tree, classes)) notes.push_back(std::move(warning));
  Dataset set = read_classes(tree, classes, request, std::move(notes));
  const std::string in_other_case = names_in_other_case(extra, classes);
  check(
      set.size() > 0, ExitCode::data,
      "{}: it has images of {}, which train does not have, and none of a class of train{}; give both the same "
      "class folders",
      folder.string(), quoted_names(extra), in_other_case.empty() ? "" : ": " + in_other_case);
  set.set_origin(origin_of(chosen));
  return set;
}

// The images of one folder, in the order that they would have in class folders.
Dataset open_flat(const OpenRequest& request, const EvaluationFolder& folder, std::vector<std::string> classes,
                  const std::vector<fs::path>& label_folders, Notes notes) {
  std::vector<std::string> files;
  UnreadFormats unread;
  for (std::string& name : list_files(folder.images, [](const std::string&) { return true; })) {
    unread.add(name);
    if (is_image_name(name)) files.push_back(std::move(name));
  }
  if (!unread.empty()) notes.push_back(unread.warning(folder.images.string()));
  const FlatLabels found =
      flat_validation_labels(folder.images, folder.label_folders(label_folders), files, classes);
  if (const std::vector<std::string>& extra = found.extra_classes; !extra.empty()) {
    const std::string in_other_case = names_in_other_case(extra, classes);
    notes.push_back(fmt::format("warning: {}: images left out, because train does not have {}: {}{}",
                                folder.images.string(), extra.size() == 1 ? "this class" : "these classes",
                                quoted_names(extra), in_other_case.empty() ? "" : "; " + in_other_case));
  }
  std::vector<std::size_t> order(files.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::erase_if(order, [&](std::size_t i) { return found.labels[i] < 0; });
  check(!order.empty(), ExitCode::data, "{}: its images are of {}, which train does not have",
        folder.images.string(), quoted_names(found.extra_classes));
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return found.labels[a] < found.labels[b]; });
  auto source = std::make_shared<FileSource>(request.limits);
  source->add_folder(folder.images);
  std::vector<std::int32_t> labels;
  for (const std::size_t i : order) {
    source->add_file(files[i]);
    labels.push_back(found.labels[i]);
  }
  Dataset set = with_notes(Dataset(std::move(classes), std::move(labels), std::move(source), false), notes);
  set.set_origin(origin_of(folder));
  return set;
}

struct TrainAndChoice {
  ClassTree train;
  EvaluationChoice choice;
};

TrainAndChoice train_and_choice(const fs::path& dir, Split part, std::vector<fs::path> label_folders) {
  const SplitFolders folders = find_split_folders(dir);
  ClassTree train(folders.train.front());
  label_folders.push_back(dir);
  EvaluationChoice choice = choose_evaluation_folder(folders, part, train.names(), label_folders);
  return {std::move(train), std::move(choice)};
}

bool has_classes(const ClassTree& train) {
  return train.names().size() >= 2 &&
         std::all_of(train.names().begin(), train.names().end(),
                     [&](const std::string& name) { return train.has_images(name); });
}

}  // namespace

std::optional<Dataset> open_class_folders(const OpenRequest& request, std::vector<fs::path> label_folders) {
  const SplitFolders folders = find_split_folders(request.dir);
  const ClassTree train(folders.train.front());
  check_no_dead_class(train);
  check_training_classes(train, request.dir);
  label_folders.push_back(request.dir);
  EvaluationChoice choice;
  if (request.holds_out)
    choice.notes = notes_of_unused_evaluation(folders);
  else
    choice = choose_evaluation_folder(folders, request.evaluate_on, train.names(), label_folders);
  for (std::size_t i = 1; i < folders.train.size(); ++i)
    choice.notes.push_back(fmt::format("note: training is on {}; not used: {}", train.folder().string(),
                                       folders.train[i].string()));
  const std::vector<std::string> missing = warnings_of_missing_splits(
      folders, train.folder(), choice.folder ? choice.folder->split : fs::path(), request.evaluate_on);
  choice.notes.insert(choice.notes.begin(), missing.begin(), missing.end());
  if (choice.folder) warn_of_training_images(train, choice.folder->split, choice.notes);
  if (request.split == Split::train) {
    for (std::string& warning : warnings_of_missing_classes(train, {}))
      choice.notes.push_back(std::move(warning));
    Dataset set = read_classes(train, train.names(), request, choice.notes);
    set.set_origin({train.folder().string(), "train"});
    return set;
  }
  if (!choice.folder) return std::nullopt;
  if (!choice.folder->images.empty())
    return open_flat(request, *choice.folder, train.names(), label_folders, choice.notes);
  return open_evaluation_classes(request, *choice.folder, train, choice.notes);
}

fs::path find_unlabelled_part(const fs::path& dir, Split part, std::vector<fs::path> label_folders) {
  const auto [train, choice] = train_and_choice(dir, part, std::move(label_folders));
  if (!choice.unlabelled || (choice.folder && choice.folder->split != choice.unlabelled->split)) return {};
  return has_classes(train) ? choice.unlabelled->images : fs::path();
}

bool has_unusable_evaluation(const fs::path& dir, std::vector<fs::path> label_folders) {
  const auto [train, choice] = train_and_choice(dir, Split::evaluation, std::move(label_folders));
  return !choice.folder && (choice.unlabelled || choice.has_unfit) && has_classes(train);
}

std::optional<Dataset> open_classes_alone(const OpenRequest& request) {
  if (request.split == Split::evaluation) return std::nullopt;
  check_no_dead_class(ClassTree(request.dir));
  return read_folders(request, classes_alone(request.dir));
}

Dataset open_classes(const fs::path& dir, const std::vector<std::string>& classes, const DecodeLimits& limits) {
  Dataset set = read_folders({.dir = dir, .limits = limits}, classes);
  set.set_origin({dir.string(), "all"});
  return set;
}

}  // namespace kindred::detail
