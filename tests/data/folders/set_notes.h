// What the tests of image folders ask about a set.
#pragma once

#include "../test_images.h"

#include <kindred/data/sets/dataset.h>

#include <cstdint>
#include <string>
#include <vector>

namespace kindred::test {

using Texts = std::vector<std::string>;

// The paths of the samples, relative to the folder of the set.
inline Texts paths_in(const TempFolder& folder, const Dataset& set) {
  Texts paths;
  for (std::int64_t i = 0; i < set.size(); ++i) paths.push_back(set.name(i).substr(folder.string().size() + 1));
  return paths;
}

// The notes of a set, with DIR in place of its folder.
inline Texts notes_of(const TempFolder& folder, const Dataset& set) {
  Texts notes = set.notes();
  for (std::string& note : notes)
    for (std::size_t at = 0; (at = note.find(folder.string(), at)) != std::string::npos;)
      note.replace(at, folder.string().size(), "DIR");
  return notes;
}

// The message of the error that opening the set gives, or "no error"; with DIR in place of its folder.
inline std::string set_error(const TempFolder& folder, const std::string& below = "",
                             Split split = Split::train) {
  std::string message = error_of([&] { open_dataset(folder.string() + below, split); });
  for (std::size_t at = 0; (at = message.find(folder.string(), at)) != std::string::npos;)
    message.replace(at, folder.string().size(), "DIR");
  return message;
}

}  // namespace kindred::test
