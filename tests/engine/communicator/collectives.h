// What must hold of a communicator, whatever carries the bytes. Every process calls the same function; threads do in
// communicator_test.cpp, and processes of mpirun in tests/mpi. What each process gives is random and can be computed by all.
#pragma once

#include <kindred/engine/communicator/communicator.h>

namespace kindred::test {

// all_reduce of each type against sums in double: f32 within 1e-6, f64 1e-14, bf16 2^-7, f16 2^-10 of the sum of absolute
// values; i32 and maxima exactly; and the same bits everywhere.
void check_reductions(const Communicator& processes);
// More elements than travel at once.
void check_large_reduction(const Communicator& processes, std::int64_t count);
// From other memory and in place, of each size of element.
void check_gathers(const Communicator& processes);
void check_broadcasts(const Communicator& processes);
// Several sums while tensors are gathered and reduced, again and again, with processes that are slow at random.
void check_sums_under_way(const Communicator& processes);
void check_groups(const Communicator& processes);
void check_values_and_texts(const Communicator& processes);

}  // namespace kindred::test
