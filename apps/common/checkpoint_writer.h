// Saves checkpoints while training goes on: a thread of its own writes the copy that it is given.
#pragma once

#include <kindred/apps/common/checkpoint_folder.h>
#include <kindred/models/encoder_file.h>

#include <condition_variable>
#include <mutex>
#include <thread>

namespace kindred {

class CheckpointWriter {
 public:
  // Writes RUN/encoder.safetensors, then the checkpoint: a checkpoint of a finished run has its encoder beside
  // it.
  CheckpointWriter(std::filesystem::path run, EncoderInfo info, int keep,
                   FileOperations& files = system_files());
  ~CheckpointWriter();  // after what is being written
  CheckpointWriter(const CheckpointWriter&) = delete;
  CheckpointWriter& operator=(const CheckpointWriter&) = delete;

  bool busy() const;
  // Hands over; waits first for what is being written. Counts the checkpoint as saved only when it is.
  void submit(Checkpoint checkpoint, bool is_best);
  void wait();

  // What went wrong since the last call, if anything.
  std::optional<std::string> take_failure();
  // Steps of the newest checkpoint that this writer saved.
  std::optional<std::int64_t> last_saved_step() const;
  // How long the last writing took, seconds.
  double last_seconds() const;

 private:
  struct Job {
    Checkpoint checkpoint;
    bool is_best;
  };
  void work();
  void write(const Job& job);

  const std::filesystem::path run_;
  const EncoderInfo info_;
  CheckpointFolder folder_;
  FileOperations& files_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<Job> job_;  // waiting, or being written
  bool ending_ = false;
  std::optional<std::string> failure_;
  std::optional<std::int64_t> last_saved_step_;
  double last_seconds_ = 0;
  std::thread thread_;  // the last member: it uses the others
};

}  // namespace kindred
