// What every program does around its own work: it turns an error into one line and a documented exit code, and
// prints line by line, also into a pipe or a file.
#pragma once

namespace kindred {

// Runs body(argc, argv). If it throws a kindred::Error, or any other exception, prints one line on standard
// error and returns an exit code of engine/error.h. There is never a stack trace.
int run_main(int argc, char** argv, int (*body)(int, char**));

}  // namespace kindred
