// What a user of the programs can do about an error of the library, in terms of flags.
#pragma once

#include <kindred/engine/error.h>

#include <string>

namespace kindred {

// Returns "" if the message says everything.
const char* advice(Cause cause);

// The message, and the advice for its cause if there is any.
std::string message_with_advice(const Error& error);

}  // namespace kindred
