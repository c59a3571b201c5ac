// pretrain --report: RUN/report.html, drawn while the run goes.
#pragma once

#include <kindred/apps/training/run/phases/run_parts.h>

#include <functional>
#include <memory>

namespace kindred {

// What RunParts::page calls (run_parts.h). Never throws: a page that cannot be drawn or written is a warning, once, and the run
// goes on. In the other processes of a run it does nothing.
//
// After an epoch it draws curves and settings, unless drawing took more than a hundredth of the time since the last page. At the
// end of the run it draws the images too, after short runs fewer of them (seen_after_run_of()), if the run is of one process: the
// others would have to wait. Of a run that was finished before, only if the page is not that of an end: it was killed, or stopped,
// before it. Of one that has failed it draws what it knows without images, unless an earlier run takes its place again.
//
// A page of the user's, which Kindred has not drawn, stays (drawn_files.h).
std::function<void(const RunParts& run, PageMoment moment, ExitCode code)> page_of_pretraining();

}  // namespace kindred
