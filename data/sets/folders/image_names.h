// What the ending of a file's name says about it. Only the content decides how a file is read.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace kindred {

// The format that a name promises, "JPEG" for a.jpg or A.JPEG, whether this build reads the format or not. Empty
// if the name has no ending of an image format.
std::string_view promised_format(std::string_view name);

// Counts the files whose names promise a format that this build cannot read.
class UnreadFormats {
 public:
  void add(std::string_view name);  // other files are not counted
  void add(const UnreadFormats& more);
  bool empty() const { return counts_.empty(); }
  // "12 files of formats that this build cannot read: .heic (7), .avif (5)", the most frequent ending first.
  std::string to_string() const;
  // The same as a warning about the folder `where`, which says what to do. Precondition: !empty().
  std::string warning(std::string_view where) const;

 private:
  std::map<std::string, std::int64_t> counts_;  // by ending, in lower case
};

}  // namespace kindred
