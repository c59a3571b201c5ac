#include <kindred/apps/console/progress.h>
#include <kindred/apps/evaluation/classifying.h>
#include <kindred/apps/evaluation/known_images.h>
#include <kindred/data/sets/subset.h>
#include <kindred/engine/counted.h>
#include <kindred/engine/error.h>
#include <kindred/models/weights_file.h>  // defines: some_of

#include <fmt/core.h>

#include <cstddef>
#include <utility>

namespace kindred {

KnownImages known_images(const Dataset& set, const Classifier& classifier) {
  const std::vector<std::int32_t> places = match_classes(classifier, set.class_names());
  std::vector<std::int64_t> known, images_of(places.size());
  for (std::int64_t i = 0; i < set.size(); ++i) {
    const auto c = static_cast<std::size_t>(set.label(i));
    ++images_of[c];
    if (places[c] != unknown_class) known.push_back(i);
  }
  KnownImages found{set};
  for (std::size_t c = 0; c < places.size(); ++c)
    if (places[c] == unknown_class && images_of[c] > 0) found.unknown.push_back(set.class_names()[c]);
  if (found.unknown.empty()) return found;
  check(!known.empty(), ExitCode::data, "{}: no image is of a class that the classifier knows; it has {}",
        set.origin().folder, some_of(found.unknown));
  found.left_out = set.size() - static_cast<std::int64_t>(known.size());
  found.set = subset(set, std::move(known));
  fmt::print("{}\n", one_line(fmt::format(
                         "warning: the classifier does not know the {} {}: {} left out, which no figure counts",
                         found.unknown.size() == 1 ? "class" : "classes", some_of(found.unknown),
                         counted(found.left_out, "image"))));
  return found;
}

}  // namespace kindred
