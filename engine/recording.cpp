#include <kindred/engine/device_kernels.h>
#include <kindred/engine/recording.h>

namespace kindred {

Recording::Recording(std::shared_ptr<MemoryPool> pool, const std::function<void()>& body)
    : pool_(std::move(pool)) {
  const PoolScope scope(Device::cuda, pool_);
  pool_->begin_recording();
  bool begun = false;
  try {
    gpu().begin_recording();
    begun = true;
    body();
    begun = false;
    recorded_ = gpu().end_recording();
  } catch (...) {
    // The stream must leave its recording, and the first error is the one to report.
    try {
      if (void* abandoned = begun ? gpu().end_recording() : nullptr) gpu().destroy_recording(abandoned);
    } catch (const std::exception&) {
    }
    pool_->end_recording(false);
    throw;
  }
  pool_->end_recording(true);
}

Recording::~Recording() {
  if (recorded_ == nullptr) return;
  gpu().destroy_recording(recorded_);
  pool_->forget_recording();
}

void Recording::replay() const {
  gpu().replay(recorded_);
}

}  // namespace kindred
