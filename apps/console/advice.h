// What a user of the programs can do about an error of the library, in terms of flags. Advice names what can still be changed:
// flags that the program has and whose values are not the smallest already, and as the last way out the limit of the process
// (ulimit -v) that stands in the way.
#pragma once

#include <kindred/apps/console/process_memory.h>
#include <kindred/engine/error.h>

#include <optional>
#include <string>
#include <vector>

namespace kindred {

// The flags of the program that runs, "--batch-size": from now on no advice names another one. Without any (the
// program has not said them yet), every advice is given. Also reads which limits the process has.
void give_advice_for(std::vector<std::string> flags);

// The arguments that were given, as plain_arguments() returns them (typed_flags.h): from now on no advice names a flag
// whose value is the smallest that there is.
void give_advice_beside(std::vector<std::string> arguments);

// Returns "" if the message says everything, or if the program has no flag that would help. Of Cause::out_of_memory it is the
// advice for the host. Allocates nothing after give_advice_for().
const char* advice(Cause cause);

// What the same command does after a run that ended because one of its processes was lost.
const char* advice_to_go_on();

// The message, and the advice for its cause if there is any.
std::string message_with_advice(const Error& error);

// "ulimit -v allows 87.9 MiB; raise it", or "" if no limit is in force.
std::string advice_about_limit(const std::optional<MemoryLimit>& limit);

// Both, where the first may be not enough: "<ways>; if that is not enough: <last>". Either may be empty.
std::string with_last_way_out(const std::string& ways, const std::string& last);

// "a, b or c"
std::string alternatives(const std::vector<std::string>& ways);

inline constexpr int smallest_image_size = 8;              // pixels
inline constexpr const char* smallest_model = "resnet20";  // of resnet_names() in models/resnet.h

}  // namespace kindred
