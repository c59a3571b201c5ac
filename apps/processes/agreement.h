// What must be the same in all processes of a run is compared before the first step: a build, settings, data that differ
// would train something that nobody asked for.
#pragma once

#include <kindred/engine/communicator/communicator.h>

#include <string>
#include <string_view>

namespace kindred {

// Throws Error(usage) in every process, with the same message, if `text` is not the same in all of them:
// "rank 2 on node7 has other settings than rank 0 on node1: lr: 0.2, and not lr: 0.1; start the same command everywhere".
// `what` is what differs, in words that fit behind "has other": "settings", "images". Of a text of several lines, those with
// the same words before their first colon are compared, so that one line too many does not make all after it differ; the
// first line that differs, or that one of the two does not have, is quoted. If none does, because they differ in their order
// alone, it is the first one that differs by place. `advice` replaces the words behind the semicolon.
void agree(const Communicator& processes, std::string_view what, const std::string& text,
           std::string_view advice = "start the same command everywhere");

// What this program was built from, for agree(): version, compiler, libraries.
std::string build_in_words();

}  // namespace kindred
