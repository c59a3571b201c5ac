#include <kindred/apps/serving/batch_queue.h>
#include <kindred/engine/error.h>

#include <algorithm>
#include <exception>
#include <iterator>
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
  Batch coming;
  const auto now = std::chrono::steady_clock::now();
  for (PreparedPixels& pixels : images) {
    coming.push_back({std::move(pixels), {}, now});
    results.push_back(coming.back().result.get_future());
  }
  {
    const std::lock_guard lock(mutex_);
    if (closed_ || waiting_.size() + coming.size() > most_waiting()) return std::nullopt;
    waiting_.splice(waiting_.end(), coming);
  }
  came_.notify_one();
  return results;
}

std::size_t BatchQueue::waiting() const {
  const std::lock_guard lock(mutex_);
  return waiting_.size();
}

BatchQueue::Batch BatchQueue::next() {
  std::unique_lock lock(mutex_);
  if (!came_.wait_for(lock, longest_silence, [&] { return !waiting_.empty(); })) return {};
  const auto most = static_cast<std::size_t>(rules_.most_images);
  came_.wait_until(lock, waiting_.front().since + rules_.patience, [&] { return waiting_.size() >= most; });
  const auto images = next_batch(static_cast<std::int64_t>(waiting_.size()), rules_.most_images);
  Batch batch;
  batch.splice(batch.end(), waiting_, waiting_.begin(), std::next(waiting_.begin(), images));
  return batch;
}

// What takes memory stands within `try`.
void BatchQueue::compute(Batch& batch) const {
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
  auto result = results.begin();
  for (Waiting& one : batch) one.result.set_value(std::move(*result++));
}

void BatchQueue::compute_each(Batch& batch) const {
  while (!batch.empty()) {
    Batch alone;
    alone.splice(alone.end(), batch, batch.begin());
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
    Batch batch = next();
    if (!batch.empty())
      compute(batch);
    else if (over)
      return;
  }
}

}  // namespace kindred
