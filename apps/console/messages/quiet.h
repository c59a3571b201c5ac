// --quiet: of standard output only warnings and results are printed. Standard error is not affected.
#pragma once

namespace kindred {

// From now on standard output passes only the lines that begin with "warning: ", and no progress is shown.
void print_only_warnings();

// From now on everything is printed again. To be called before a program's last lines, which say what it has made or
// why it ends.
void results_follow();

// Whether print_only_warnings() was called: a program then leaves out what would only explain its results.
bool only_results_are_printed();

}  // namespace kindred
