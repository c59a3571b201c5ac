// The time.
#pragma once

#include <string>

namespace kindred {

// Seconds since an arbitrary fixed moment, for measuring how long something takes; never decreases.
double now_seconds();

// The time of this call by the system's clock: "2025-03-01T09:30:00Z".
std::string time_in_utc();

}  // namespace kindred
