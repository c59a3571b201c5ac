// What must be the same in all processes of a run is compared before the first step: a build, settings, data that differ
// would train something that nobody asked for.
#pragma once

#include <kindred/engine/communicator/communicator.h>

#include <string>
#include <string_view>

namespace kindred {

// Throws Error(usage) in every process, with the same message, if `text` is not the same in all of them:
// "rank 2 on node7 has other settings than rank 0: batch_size: 128 and not 256; start the same command on all". `what` is
// what differs, in words that fit behind "has other": "settings", "images". A text of several lines is compared line by
// line, and the first line that differs is quoted. `advice` replaces the words behind the semicolon.
void agree(const Communicator& processes, std::string_view what, const std::string& text,
           std::string_view advice = "start the same command everywhere");

// What this program was built from, for agree(): version, compiler, libraries.
std::string build_in_words();

}  // namespace kindred
