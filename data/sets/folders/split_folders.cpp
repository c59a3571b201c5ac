#include <kindred/data/sets/dataset_sources.h>
#include <kindred/data/sets/folders/names.h>
#include <kindred/data/sets/folders/split_folders.h>
#include <kindred/engine/names.h>

#include <algorithm>
#include <iterator>
#include <string>
#include <tuple>

namespace kindred {
namespace {

constexpr Named<SplitRole> split_names[] = {
    {SplitRole::train, "train"},      {SplitRole::train, "training"},        {SplitRole::validation, "val"},
    {SplitRole::validation, "valid"}, {SplitRole::validation, "validation"}, {SplitRole::validation, "dev"},
    {SplitRole::test, "test"},        {SplitRole::test, "testing"}};

// The place of a name in the table; behind the last one if it has no role.
std::ptrdiff_t split_rank(std::string_view name) {
  const auto* const entry = entry_named(split_names, detail::lower_case(name));
  return entry == nullptr ? std::ssize(split_names) : entry - split_names;
}

}  // namespace

std::optional<SplitRole> split_role(std::string_view name) {
  return value_named(split_names, detail::lower_case(name));
}

SplitFolders find_split_folders(const std::filesystem::path& dir) {
  std::vector<std::tuple<std::ptrdiff_t, bool, std::string>> ranked;
  for (const std::string& name : detail::list_folders(dir))
    if (split_role(name)) ranked.emplace_back(split_rank(name), detail::lower_case(name) != name, name);
  std::sort(ranked.begin(), ranked.end());
  SplitFolders folders;
  for (const auto& [rank, other_case, name] : ranked) {
    const SplitRole role = split_names[rank].value;
    (role == SplitRole::train        ? folders.train
     : role == SplitRole::validation ? folders.validation
                                     : folders.test)
        .push_back(dir / name);
  }
  return folders;
}

}  // namespace kindred
