// Augmentation recipes as JSON: docs/augmentation.md describes the format. What is printed here is read back
// here to an equal value.
//
// The reader takes hostile bytes: at most 64 KiB, 8 levels deep, plain UTF-8 JSON, every key known and given
// once, every number in its range. Error(file) says in one line which file, which place in it, and what was
// expected:
//   mine.json: steps[1].sigma[0]: expected a number from 0.01 to 100, not -1
#pragma once

#include <kindred/data/recipe.h>

#include <cstddef>
#include <string>
#include <string_view>

namespace kindred {

constexpr std::size_t most_recipe_bytes = 64 << 10;
constexpr int most_views = 64;  // of an image, over all groups

// How the views of an image are made, and how many there are.
struct ViewPlan {
  std::vector<ViewGroup> groups;  // not empty
  bool views_fixed = false;       // the file says how many views there are, and does not leave it to --views

  int views() const;
};

// A file's text: either one recipe, whose views all have `size` pixels and number `views`, or {"views": [...]}.
// `file` names it in messages.
ViewPlan parse_views(std::string_view json, const std::string& file, int size, int views);

// What --augment names: a file whose name ends in .json, or else a recipe that exists. Error(usage) for a name
// that does not, Error(file) for a file that cannot be read or used.
ViewPlan view_plan(const std::string& augment, int size, int views);

// The text of a file with exactly this, on one line: a recipe, or a list of views.
std::string to_json_text(const Recipe& recipe);
std::string to_json_text(const std::vector<ViewGroup>& groups);

}  // namespace kindred
