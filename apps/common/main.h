// What every program does around its own work: turns an error into one line and a documented exit code.
#pragma once

namespace kindred {

// Runs body(argc, argv). A kindred::Error, or any other exception, becomes one line on standard error and an
// exit code of engine/error.h; never a stack trace.
int run_main(int argc, char** argv, int (*body)(int, char**));

}  // namespace kindred
