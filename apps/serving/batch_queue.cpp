#include <kindred/apps/serving/batch_queue.h>
#include <kindred/engine/error.h>

#include <algorithm>
#include <exception>
#include <utility>

namespace kindred {
namespace {

constexpr std::chrono::milliseconds longest_silence{100};

}  // namespace

BatchQueue::BatchQueue(const BatchRules& rules, Compute compute)
    : rules_(rules), compute_(std::move(compute)) {}

std::int64_t BatchQueue::next_batch(std::int64_t waiting, std::int64_t most) {
  std::int64_t images = 1;
  while (images * 2 <= std::min(waiting, most)) images *= 2;
  return images;
}

std::optional<BatchQueue::Results> BatchQueue::put(std::vector<PreparedPixels> images) {
  Results results;
  {
    const std::lock_guard lock(mutex_);
    if (closed_ || waiting_.size() + images.size() > static_cast<std::size_t>(rules_.most_waiting))
      return std::nullopt;
    const auto now = std::chrono::steady_clock::now();
    for (PreparedPixels& pixels : images) {
      waiting_.push_back({std::move(pixels), {}, now});
      results.push_back(waiting_.back().result.get_future());
    }
  }
  came_.notify_one();
  return results;
}

bool BatchQueue::has_room_for(std::size_t images) const {
  return waiting() + images <= static_cast<std::size_t>(rules_.most_waiting);
}

std::size_t BatchQueue::waiting() const {
  const std::lock_guard lock(mutex_);
  return waiting_.size();
}

std::vector<BatchQueue::Waiting> BatchQueue::next() {
  std::unique_lock lock(mutex_);
  if (!came_.wait_for(lock, longest_silence, [&] { return !waiting_.empty(); })) return {};
  const auto most = static_cast<std::size_t>(rules_.most_images);
  came_.wait_until(lock, waiting_.front().since + rules_.patience, [&] { return waiting_.size() >= most; });
  const auto images = next_batch(static_cast<std::int64_t>(waiting_.size()), rules_.most_images);
  std::vector<Waiting> batch;
  for (std::int64_t i = 0; i < images; ++i) {
    batch.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
  return batch;
}

void BatchQueue::compute(std::vector<Waiting>& batch) const {
  std::vector<ImageResult> results;
  try {
    std::vector<std::uint8_t> pixels;
    pixels.reserve(batch.size() * batch.front().pixels.size());
    for (const Waiting& one : batch) pixels.insert(pixels.end(), one.pixels.begin(), one.pixels.end());
    results = compute_(pixels, static_cast<std::int64_t>(batch.size()));
    check(results.size() == batch.size(), ExitCode::internal, "{} results for {} images", results.size(),
          batch.size());
  } catch (...) {
    if (batch.size() > 1)
      compute_each(batch);
    else
      batch.front().result.set_exception(std::current_exception());
    return;
  }
  for (std::size_t i = 0; i < batch.size(); ++i) batch[i].result.set_value(std::move(results[i]));
}

void BatchQueue::compute_each(std::vector<Waiting>& batch) const {
  for (Waiting& one : batch) {
    std::vector<Waiting> alone;
    alone.push_back(std::move(one));
    compute(alone);
  }
}

void BatchQueue::close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  waiting_.clear();
}

void BatchQueue::work(const std::function<bool()>& is_over) {
  while (true) {
    const bool over = is_over();
    std::vector<Waiting> batch = next();
    if (!batch.empty())
      compute(batch);
    else if (over)
      return;
  }
}

}  // namespace kindred
