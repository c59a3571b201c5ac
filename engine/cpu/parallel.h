// Loops over all cores.
//
// Work is cut into equal chunks by index, never by time, so a result that sums per-chunk partial results in
// chunk order is the same in every run with the same number of threads.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace kindred {

// The number of compute threads in use. At start it is OMP_NUM_THREADS, or the number of cores that this
// process may run on.
int compute_threads();
void set_compute_threads(int threads);

// Starts this many threads, all at once, and ends them. Returns how many the system allowed; `refusal` says why not more.
int threads_that_start(int count, std::string* refusal = nullptr);

// Starts the threads of OpenMP that a loop uses, which then stay. Throws Error(device) if the system refuses them
// (`ulimit -u`), because the OpenMP library would end the program. Loops call this; so must other code before it uses
// OpenMP's threads for the first time, and before it starts threads of its own, which could take the last places. Does
// nothing if as many have been started before.
void check_threads_start();

// Calls body(begin, end) on disjoint ranges that cover [0, count), one range per thread. A range holds at least
// `grain` items, so short loops stay on one core. An exception thrown in a range reaches the caller.
void parallel_for(std::int64_t count, std::int64_t grain,
                  const std::function<void(std::int64_t begin, std::int64_t end)>& body);

// As above, but the body also gets the index of its range: body(range, begin, end) with range <
// compute_threads().
void parallel_ranges(std::int64_t count, std::int64_t grain,
                     const std::function<void(int range, std::int64_t begin, std::int64_t end)>& body);

}  // namespace kindred
