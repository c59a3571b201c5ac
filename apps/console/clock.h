// The time, for measuring how long something takes.
#pragma once

namespace kindred {

// Seconds since an arbitrary fixed moment; never decreases.
double now_seconds();

}  // namespace kindred
