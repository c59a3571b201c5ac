#include <kindred/apps/console/clock.h>
#include <kindred/apps/training/run/checkpoint_writer.h>

#include <utility>

namespace kindred {

CheckpointWriter::CheckpointWriter(std::filesystem::path run, EncoderInfo info, int keep, FileOperations& files,
                                   std::function<void()> saved)
    : run_(std::move(run)),
      info_(std::move(info)),
      folder_(run_, keep, files),
      files_(files),
      saved_(std::move(saved)),
      thread_([this] { work(); }) {}

CheckpointWriter::~CheckpointWriter() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

bool CheckpointWriter::busy() const {
  const std::lock_guard lock(mutex_);
  return job_.has_value();
}

void CheckpointWriter::submit(Checkpoint checkpoint, bool is_best) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return !job_; });
  job_.emplace(Job{std::move(checkpoint), is_best});
  changed_.notify_all();
}

void CheckpointWriter::wait() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return !job_; });
}

std::optional<std::string> CheckpointWriter::take_failure() {
  const std::lock_guard lock(mutex_);
  return std::exchange(failure_, std::nullopt);
}

std::optional<std::int64_t> CheckpointWriter::last_saved_step() const {
  const std::lock_guard lock(mutex_);
  return last_saved_step_;
}

double CheckpointWriter::last_seconds() const {
  const std::lock_guard lock(mutex_);
  return last_seconds_;
}

void CheckpointWriter::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [&] { return job_ || ending_; });
    if (!job_) return;
    lock.unlock();
    const double start = now_seconds();
    std::optional<std::string> failure;
    try {
      write(*job_);  // no other thread changes a job that is set
    } catch (const std::exception& error) {
      failure = error.what();
    }
    const double seconds = now_seconds() - start;
    lock.lock();
    if (failure)
      failure_ = std::move(failure);
    else
      last_saved_step_ = job_->checkpoint.run().steps_done;
    last_seconds_ = seconds;
    job_.reset();
    changed_.notify_all();
  }
}

void CheckpointWriter::write(const Job& job) {
  save_encoder(run_ / "encoder.safetensors", job.checkpoint.model(), info_, job.checkpoint.run().steps_done,
               files_);
  if (saved_) saved_();
  folder_.save(job.checkpoint, job.is_best);
}

}  // namespace kindred
