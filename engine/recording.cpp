#include <kindred/engine/device_kernels.h>
#include <kindred/engine/recording.h>

namespace kindred {

Recording::Recording(std::shared_ptr<MemoryPool> pool, const std::function<void()>& body)
    : pool_(std::move(pool)) {
  const PoolScope scope(Device::cuda, pool_);
  gpu().begin_recording();
  try {
    body();
  } catch (...) {
    // The stream must come out of its recording, and the first error is the one to tell.
    try {
      if (void* abandoned = gpu().end_recording()) gpu().destroy_recording(abandoned);
    } catch (const std::exception&) {
    }
    throw;
  }
  recorded_ = gpu().end_recording();
}

Recording::~Recording() {
  if (recorded_ != nullptr) gpu().destroy_recording(recorded_);
}

void Recording::replay() const {
  gpu().replay(recorded_);
}

}  // namespace kindred
