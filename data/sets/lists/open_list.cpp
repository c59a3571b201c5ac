#include <kindred/data/sets/folders/file_source.h>
#include <kindred/data/sets/folders/names.h>
#include <kindred/data/sets/lists/label_rows.h>
#include <kindred/data/sets/lists/open_list.h>
#include <kindred/engine/counted.h>
#include <kindred/engine/error.h>
#include <kindred/engine/files/json_text.h>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

namespace kindred::detail {
namespace {

// Files of one name in several folders may have different labels, so a sample's folder belongs to its id.
class ListedSource : public FileSource {
 public:
  using FileSource::FileSource;
  std::string id(std::int64_t i) const override { return std::string(added_name(i)); }
};

bool is_number(const std::string& label) {
  return !label.empty() && label.find_first_not_of("0123456789") == std::string::npos;
}

std::vector<std::string> sorted_classes(const std::set<std::string>& labels) {
  std::vector<std::string> classes(labels.begin(), labels.end());
  if (!std::all_of(classes.begin(), classes.end(), is_number)) return classes;
  const auto key = [](const std::string& label) {  // of any length, so it may not fit an integer
    const std::string_view digits =
        std::string_view(label).substr(std::min(label.find_first_not_of('0'), label.size() - 1));
    return std::tuple(digits.size(), digits);
  };
  std::stable_sort(classes.begin(), classes.end(),
                   [&](const auto& a, const auto& b) { return key(a) < key(b); });
  return classes;
}

const char* part_name(SplitRole role) {
  return role == SplitRole::train ? "train" : role == SplitRole::validation ? "val" : "test";
}

std::int64_t count_of(const LabelRows& rows, SplitRole role) {
  return std::count_if(rows.images.begin(), rows.images.end(),
                       [&](const ListedImage& image) { return image.role == role; });
}

std::string images_of(const LabelRows& rows, SplitRole role) {
  return fmt::format("{} of {}", counted(count_of(rows, role), "image"), part_name(role));
}

// The images to evaluate on; nothing if there are none. Notes which others are not used.
std::optional<SplitRole> evaluation_role(const OpenRequest& request, LabelRows& rows) {
  const bool has_val = count_of(rows, SplitRole::validation) > 0,
             has_test = count_of(rows, SplitRole::test) > 0;
  std::string unused;
  if (request.holds_out) {
    if (has_val) unused = images_of(rows, SplitRole::validation);
    if (has_test) unused += (has_val ? " and " : "") + images_of(rows, SplitRole::test);
    if (!unused.empty())
      rows.notes.push_back(fmt::format(
          "note: {}: evaluation is on images that are held out of train; not used: {}", request.list, unused));
    return std::nullopt;
  }
  if (has_val && request.evaluate_on != Split::test) {
    if (has_test && request.evaluate_on == Split::evaluation)
      rows.notes.push_back(fmt::format("note: {}: evaluation is on {}; not used: {}", request.list,
                                       images_of(rows, SplitRole::validation),
                                       images_of(rows, SplitRole::test)));
    return SplitRole::validation;
  }
  if (!has_test || request.evaluate_on == Split::val) return std::nullopt;
  if (request.evaluate_on == Split::evaluation)
    rows.notes.push_back(fmt::format("note: {}: evaluation is on {}, because there are none of val",
                                     request.list, images_of(rows, SplitRole::test)));
  return SplitRole::test;
}

std::vector<std::string> training_classes(const OpenRequest& request, const LabelRows& rows) {
  std::set<std::string> labels;
  for (const ListedImage& image : rows.images)
    if (image.role == SplitRole::train) labels.insert(image.label);
  check(!labels.empty(), ExitCode::data, "{}: no image in it is of train", request.list);
  check(labels.size() >= 2, ExitCode::data,
        "{}: only one class, '{}'; at least two are needed to learn from labels", request.list,
        *labels.begin());
  for (const std::string& label : labels)
    check(json_string(label).has_value(), ExitCode::data,
          "{}: the label '{}' is not UTF-8; save the list in UTF-8", request.list, label);
  return sorted_classes(labels);
}

// A sample, in the order of the set.
struct Place {
  std::int32_t label;
  const std::string* path;
  bool operator<(const Place& other) const {
    return label != other.label ? label < other.label : *path < *other.path;
  }
};

}  // namespace

std::optional<Dataset> open_list(const OpenRequest& request) {
  LabelRows rows = read_label_rows(request.dir, request.list);
  std::vector<std::string> classes = training_classes(request, rows);
  const std::optional<SplitRole> evaluation = evaluation_role(request, rows);
  if (request.split != Split::train && !evaluation) return std::nullopt;
  const SplitRole role = request.split == Split::train ? SplitRole::train : *evaluation;

  std::unordered_map<std::string, std::int32_t> label_of;
  for (std::size_t c = 0; c < classes.size(); ++c) label_of[classes[c]] = static_cast<std::int32_t>(c);
  std::vector<Place> places;
  std::set<std::string> extra;  // classes of evaluation that train does not have
  for (const ListedImage& image : rows.images) {
    if (image.role != role) continue;
    const auto known = label_of.find(image.label);
    if (known == label_of.end())
      extra.insert(image.label);
    else
      places.push_back({known->second, &image.path});
  }
  const std::vector<std::string> extra_names(extra.begin(), extra.end());
  check(!places.empty(), ExitCode::data, "{}: its images of {} are of {}, which train does not have",
        request.list, part_name(role), quoted_names(extra_names));
  if (!extra.empty())
    rows.notes.push_back(fmt::format(
        "warning: {}: left out of {}, because train does not have {}: {}", request.list, part_name(role),
        extra.size() == 1 ? "this class" : "these classes", quoted_names(extra_names)));

  std::sort(places.begin(), places.end());
  auto source = std::make_shared<ListedSource>(request.limits);
  source->add_folder(request.dir);
  std::vector<std::int32_t> labels;
  for (const Place& place : places) {
    source->add_file(*place.path);
    labels.push_back(place.label);
  }
  Dataset set(std::move(classes), std::move(labels), std::move(source), false);
  for (const std::string& note : rows.notes) set.add_note(note);
  set.set_origin({request.dir.string(), part_name(role)});
  return set;
}

}  // namespace kindred::detail
