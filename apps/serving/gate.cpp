#include <kindred/apps/serving/gate.h>

namespace kindred {

bool Gate::has_room(std::size_t bytes) const {
  if (inside_ == 0) return true;
  return inside_ < most_inside_ && bytes_ <= most_bytes_ && bytes <= most_bytes_ - bytes_;
}

Gate::Pass Gate::enter(std::size_t bytes) {
  std::unique_lock lock(mutex_);
  left_.wait(lock, [&] { return has_room(bytes); });
  ++inside_;
  bytes_ += bytes;
  return {*this, bytes};
}

std::optional<Gate::Pass> Gate::try_to_enter(std::size_t bytes) {
  const std::lock_guard lock(mutex_);
  if (!has_room(bytes)) return std::nullopt;
  ++inside_;
  bytes_ += bytes;
  return std::optional<Pass>(std::in_place, *this, bytes);
}

void Gate::leave(std::size_t bytes) {
  {
    const std::lock_guard lock(mutex_);
    --inside_;
    bytes_ -= bytes;
  }
  left_.notify_all();  // the next one in line may need more than the one behind it
}

}  // namespace kindred
