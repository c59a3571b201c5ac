// Names of classes and files as text that any program can read.
#pragma once

#include <string>

namespace kindred {

// As UTF-8 on one line: bytes that are not UTF-8 become U+FFFD, and control characters what C++ writes for them ("\t", "\n",
// "\x1b"). So different names stay different where a tab or the end of a line would have a meaning.
std::string visible_text(const std::string& text);

// The same for a text of several lines, whose ends stay.
std::string visible_lines(const std::string& text);

}  // namespace kindred
