#include <kindred/apps/pages/picture_classes.h>
#include <kindred/engine/counted.h>
#include <kindred/engine/error.h>

#include <fmt/core.h>

#include <algorithm>
#include <numeric>

namespace kindred {
namespace {

// The classes with the most images, in their order.
std::vector<std::size_t> largest_classes(const std::vector<std::int64_t>& images, std::size_t count) {
  std::vector<std::size_t> classes(images.size());
  std::iota(classes.begin(), classes.end(), 0);
  std::ranges::stable_sort(classes, [&](std::size_t a, std::size_t b) { return images[a] > images[b]; });
  classes.resize(count);
  std::ranges::sort(classes);
  return classes;
}

}  // namespace

std::string PictureClasses::note() const {
  if (shared == 0) return "";
  return fmt::format("the {} largest of {} have a colour and mark of their own, the other {} share one", own,
                     counted(own + shared, "class"), shared);
}

PictureClasses picture_classes(const ImageTable& table, std::size_t most) {
  check(most >= 3, ExitCode::internal, "{} looks are too few for the classes of a picture", most);
  PictureClasses shown;
  if (!table.has_classes()) return shown;
  std::vector<std::int64_t> images(table.classes.size());
  bool has_none = false;
  for (const std::int32_t label : table.labels)
    if (label >= 0)
      ++images[static_cast<std::size_t>(label)];
    else
      has_none = true;
  const std::size_t room = most - has_none;
  const bool has_others = images.size() > room;
  const std::vector<std::size_t> own = largest_classes(images, has_others ? room - 1 : images.size());
  shown.own = std::ssize(own);
  shown.shared = std::ssize(images) - shown.own;

  std::vector<std::int32_t> look_of(images.size(), static_cast<std::int32_t>(own.size()));
  for (std::size_t i = 0; i < own.size(); ++i) {
    look_of[own[i]] = static_cast<std::int32_t>(i);
    shown.names.push_back(table.classes[own[i]]);
  }
  if (has_others) shown.names.push_back(fmt::format("{} other classes", shown.shared));
  const auto none = static_cast<std::int32_t>(shown.names.size());
  if (has_none) shown.names.emplace_back("(no class)");
  for (const std::int32_t label : table.labels)
    shown.labels.push_back(label < 0 ? none : look_of[static_cast<std::size_t>(label)]);
  return shown;
}

}  // namespace kindred
