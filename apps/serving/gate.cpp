#include <kindred/apps/serving/gate.h>

#include <chrono>

namespace kindred {
namespace {

constexpr std::chrono::milliseconds longest_sleep{50};

}  // namespace

bool Gate::has_room(std::size_t amount) const {
  if (inside_ == 0) return true;
  return inside_ < most_inside_ && amount_ <= most_amount_ && amount <= most_amount_ - amount_;
}

Gate::Pass Gate::enter(std::size_t amount, const WantedCheck& check) {
  std::unique_lock lock(mutex_);
  const auto place = line_.insert(line_.end(), amount);
  try {
    while (place != line_.begin() || !has_room(amount)) {
      changed_.wait_for(lock, longest_sleep);
      lock.unlock();
      check();
      lock.lock();
    }
  } catch (...) {
    lock.lock();  // only check() throws
    line_.erase(place);
    lock.unlock();
    changed_.notify_all();
    throw;
  }
  line_.erase(place);
  ++inside_;
  amount_ += amount;
  lock.unlock();
  changed_.notify_all();  // there may be room for the next one too
  return {*this, amount};
}

std::optional<Gate::Pass> Gate::try_to_enter(std::size_t amount) {
  const std::lock_guard lock(mutex_);
  if (!line_.empty() || !has_room(amount)) return std::nullopt;
  ++inside_;
  amount_ += amount;
  return std::optional<Pass>(std::in_place, *this, amount);
}

bool Gate::Pass::try_to_grow(std::size_t more) {
  const std::lock_guard lock(gate_->mutex_);
  const bool alone = gate_->inside_ == 1;
  const std::size_t taken = gate_->amount_;
  if (!alone && (taken > gate_->most_amount_ || more > gate_->most_amount_ - taken)) return false;
  gate_->amount_ += more;
  amount_ += more;
  return true;
}

std::size_t Gate::waiting() const {
  const std::lock_guard lock(mutex_);
  return line_.size();
}

void Gate::leave(std::size_t amount) {
  {
    const std::lock_guard lock(mutex_);
    --inside_;
    amount_ -= amount;
  }
  changed_.notify_all();
}

}  // namespace kindred
