// How a run ends: when it has done its epochs, and when a signal asks it to.
#pragma once

#include <kindred/apps/training/run/phases/run_parts.h>
#include <kindred/apps/training/run/phases/run_reports.h>
#include <kindred/apps/training/run/phases/run_saver.h>
#include <kindred/engine/error.h>

namespace kindred {

// All processes must make each of these calls. They return the exit code of the program.

// Saves the run, measures the classifier if it trained one, and prints its files, a verdict and what comes next. Then the first
// process writes what the run can do without: the projector's files and the last page. Throws
// Error(non_finite) if its weights are of no use, and Error(io). If a signal arrives while the classifier is
// measured, the run ends as in end_interrupted().
ExitCode end_finished(const RunParts& run, RunSaver& saver, const RunReports& reports);

// Saves the run, so that it can be resumed. Throws Error(io) and Error(non_finite) as RunSaver::at_interrupt(), and Error(data) as BatchSource::share_bad_images().
ExitCode end_interrupted(const RunParts& run, RunSaver& saver);

}  // namespace kindred
