#include <kindred/apps/console/images/given_images.h>
#include <kindred/apps/console/progress.h>  // defines: one_line
#include <kindred/apps/similarity/all_parts.h>
#include <kindred/engine/error.h>

#include <fmt/core.h>

#include <optional>
#include <utility>

namespace kindred {
namespace {

bool has_several_parts(const DataFlags& data) {
  if (!data.named_split.empty() || data.val_fraction || data.has_shards_without_parts()) return false;
  return !data.shards.empty() || !data.labels.empty() || is_set_with_parts(data.path);
}

// Images without labels are no part of a set.
std::optional<Dataset> labelled_part(const DataFlags& data, Split split, const char* name) {
  try {
    return data.open(split);
  } catch (const Error& error) {
    if (error.cause() != Cause::needs_labels) throw;
    fmt::print("note: the images for {} are left out: {}\n", name, one_line(error.what()));
    return std::nullopt;
  }
}

}  // namespace

std::vector<Dataset> open_all_parts(const DataFlags& data) {
  if (!has_several_parts(data)) return {open_images(data)};
  DataFlags all = data;
  all.val_fraction = 0;  // nothing is held out, because nothing is trained
  std::vector<Dataset> parts;
  constexpr std::pair<Split, const char*> splits[] = {
      {Split::train, "training"}, {Split::val, "validation"}, {Split::test, "tests"}};
  for (const auto& [split, name] : splits) {
    std::optional<Dataset> part = labelled_part(all, split, name);
    if (!part || part->size() == 0) continue;
    print_notes(*part, parts.empty() ? nullptr : &parts.front());
    parts.push_back(*std::move(part));
  }
  check(!parts.empty(), ExitCode::data, "{}: it has no images that can be used", data.path);
  return parts;
}

std::string name_of_part(const Dataset& part) {
  return part.origin().has_classes() ? part.origin().part : "all";
}

}  // namespace kindred
