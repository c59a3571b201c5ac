// Augmentation recipes as JSON; docs/augmentation.md describes the format. A recipe that is written and read
// again has the same value.
//
// The reader accepts untrusted text: at most 64 KiB and 8 levels of nesting, plain UTF-8 JSON, every key known
// and given once, every number in its range. An Error(file) says in one line which file, which place in it, and
// what was expected:
//   mine.json: steps[1].sigma[0]: expected a number from 0.01 to 100, not -1
#pragma once

#include <kindred/data/views/recipe.h>

#include <cstddef>
#include <string>
#include <string_view>

namespace kindred {

constexpr std::size_t most_recipe_bytes = 64 << 10;
constexpr int most_views = 64;  // per image, over all groups

// How the views of an image are made, and how many views there are.
struct ImageViews {
  std::vector<ViewGroup> groups;  // not empty
  bool views_fixed = false;       // the file gives the number of views, so --views does not apply

  int views() const;
};

// Parses a file's text. It is either one recipe, for `views` views that all have `size` pixels, or {"views":
// [...]}. `file` is the name for error messages.
ImageViews parse_views(std::string_view json, const std::string& file, int size, int views);

// Resolves the argument of --augment: a file whose name ends in .json, or the name of a recipe. Throws
// Error(usage) for an unknown name, and Error(file) for a file that cannot be read or used.
ImageViews image_views(const std::string& augment, int size, int views);

// The text of a file with exactly this content, on one line: a recipe, or a list of views.
std::string to_json_text(const Recipe& recipe);
std::string to_json_text(const std::vector<ViewGroup>& groups);

}  // namespace kindred
