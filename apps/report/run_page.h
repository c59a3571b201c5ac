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
// end of the run it draws the images too, if the run is of one process: the others would have to wait.
std::function<void(const RunParts& run, PageMoment moment)> page_of_pretraining();

}  // namespace kindred
