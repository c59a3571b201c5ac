#include <kindred/apps/training/dry_run/address_space.h>

#include <pthread.h>  // defines: pthread_attr_getstacksize

#include <algorithm>

namespace kindred {
namespace {

constexpr std::size_t mebibyte = std::size_t{1} << 20;

// The pool's smallest slab, and what it maps beyond each slab, so that the slab can begin on a huge page
// (engine/memory.cpp).
constexpr std::size_t least_slab = 32 * mebibyte;
constexpr std::size_t beyond_slab = 2 * mebibyte;

}  // namespace

std::int64_t threads_of_run(const PretrainOptions& o, int computing) {
  const std::int64_t loaders = o.knn_every > 0 ? 2 : 1;
  return computing - 1 + loaders * o.workers + 1;
}

std::size_t stack_of_thread() {
  constexpr std::size_t usual = 8 * mebibyte;
  pthread_attr_t attributes;
  if (::pthread_attr_init(&attributes) != 0) return usual;
  std::size_t bytes = 0;
  const bool known = ::pthread_attr_getstacksize(&attributes, &bytes) == 0;
  ::pthread_attr_destroy(&attributes);
  return known && bytes > 0 ? bytes : usual;
}

std::size_t addresses_of_stacks(const Reservation& r) {
  return static_cast<std::size_t>(std::max<std::int64_t>(0, r.threads)) * r.stack;
}

// What the process has now (VmSize) is not here, because the limit is compared with what it leaves: program and
// libraries, threads that run, and a pack, which is mapped as a whole when it is opened. The allocator's arenas are not
// here, because under such a limit all threads share one, which reserves nothing ahead (apps/console/main.cpp). The plan
// counts memory that is in use. Of addresses there are also:
//   - the stacks: each is reserved as a whole, and a thread uses little of it;
//   - the pool's blocks that are free at the peak of a step, and what it maps beyond each slab;
//   - one slab more, for what finds no free block between those of a step, as when accuracies are measured.
std::size_t addresses_beyond_memory(const Reservation& r) {
  const std::size_t free_blocks = r.pool_held - std::min(r.pool_held, r.pool_in_use);
  const std::size_t slabs = r.pool_held / least_slab + 1;  // at most, and one more
  return addresses_of_stacks(r) + free_blocks + slabs * beyond_slab + least_slab;
}

}  // namespace kindred
