// What a user of the programs can do about an error of the library, in terms of flags.
#pragma once

#include <kindred/engine/error.h>

#include <string>
#include <vector>

namespace kindred {

// The flags of the program that runs, "--batch-size": from now on no advice names another one. Without any (the
// program has not said them yet), every advice is given.
void give_advice_for(std::vector<std::string> flags);

// Returns "" if the message says everything, or if the program has no flag that would help. Allocates nothing.
const char* advice(Cause cause);

// What the same command does after a run that ended because one of its processes was lost.
const char* advice_to_go_on();

// The message, and the advice for its cause if there is any.
std::string message_with_advice(const Error& error);

}  // namespace kindred
