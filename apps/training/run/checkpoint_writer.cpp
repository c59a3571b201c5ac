#include <kindred/apps/console/clock.h>
#include <kindred/apps/evaluation/given_weights.h>
#include <kindred/apps/training/run/checkpoint_writer.h>
#include <kindred/models/classifier_file.h>

#include <utility>

namespace kindred {

CheckpointWriter::CheckpointWriter(std::filesystem::path run, EncoderInfo info, int keep, FileOperations& files,
                                   std::function<void()> saved, std::vector<std::string> class_names)
    : run_(std::move(run)),
      info_(std::move(info)),
      folder_(run_, keep, files),
      files_(files),
      saved_(std::move(saved)),
      class_names_(std::move(class_names)),
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
  checkpoint.set_encoder_info(info_);
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
      if (job_->is_best) unsaved_best_ = *job_;  // its memory is shared, not copied
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
  const FirstSave first_save(run_);
  save_encoder(run_ / encoder_name, job.checkpoint.model(), info_, job.checkpoint.run().steps_done, files_);
  if (has_classifier(job.checkpoint.model()))
    save_classifier(run_ / classifier_name,
                    trained_classifier(job.checkpoint.model(), class_names_, info_.held_out), files_);
  try {
    if (unsaved_best_ && !job.is_best) write_best(unsaved_best_->checkpoint);
    if (job.is_best)
      write_best(job.checkpoint);
    else
      folder_.save(job.checkpoint, false);
  } catch (const Error&) {
    if (saved_ && !folder_.candidates().empty()) saved_();  // the checkpoint is there; what follows it failed
    throw;
  }
  if (saved_) saved_();
}

void CheckpointWriter::write_best(const Checkpoint& checkpoint) {
  save_encoder(run_ / best_encoder_name, checkpoint.model(), info_, checkpoint.run().steps_done, files_);
  if (has_classifier(checkpoint.model()))
    save_classifier(run_ / best_classifier_name,
                    trained_classifier(checkpoint.model(), class_names_, info_.held_out), files_);
  folder_.save(checkpoint, true);
  unsaved_best_.reset();
}

}  // namespace kindred
