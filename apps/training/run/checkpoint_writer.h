// Saves checkpoints while training continues: a separate thread writes the copy that it is given.
#pragma once

#include <kindred/apps/training/run/checkpoint_folder.h>
#include <kindred/models/encoder_file.h>

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace kindred {

class CheckpointWriter {
 public:
  // Writes RUN/encoder.safetensors first, for the best one also RUN/best_encoder.safetensors, and then the
  // checkpoint, so that the checkpoint of a finished run always has its encoder beside it. A best checkpoint that
  // could not be saved stays in memory, and is saved before the next one, unless that is the best itself. Calls
  // `saved` when the checkpoint is on the disk, in the thread that writes. If the model has a classifier, of these classes, it
  // is written to RUN/classifier.safetensors with every encoder, and to RUN/best_classifier.safetensors with that of the best
  // epoch.
  CheckpointWriter(std::filesystem::path run, EncoderInfo info, int keep,
                   FileOperations& files = system_files_without_links(), std::function<void()> saved = {},
                   std::vector<std::string> class_names = {});
  ~CheckpointWriter();  // waits until the current write is done
  CheckpointWriter(const CheckpointWriter&) = delete;
  CheckpointWriter& operator=(const CheckpointWriter&) = delete;

  bool busy() const;
  // Hands over a checkpoint. If one is being written, waits for that first. A checkpoint counts as saved only
  // when it is on disk.
  void submit(Checkpoint checkpoint, bool is_best);
  void wait();

  // The error since the last call, if there was one.
  std::optional<std::string> take_failure();
  // The step of the newest checkpoint that this writer saved.
  std::optional<std::int64_t> last_saved_step() const;
  // How long the last write took, in seconds.
  double last_seconds() const;

 private:
  struct Job {
    Checkpoint checkpoint;
    bool is_best;
  };
  void work();
  void write(const Job& job);
  void write_best(const Checkpoint& checkpoint);

  const std::filesystem::path run_;
  const EncoderInfo info_;
  CheckpointFolder folder_;
  FileOperations& files_;
  const std::function<void()> saved_;  // may be empty
  const std::vector<std::string> class_names_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<Job> job_;           // waiting or being written
  std::optional<Job> unsaved_best_;  // of the thread alone
  bool ending_ = false;
  std::optional<std::string> failure_;
  std::optional<std::int64_t> last_saved_step_;
  double last_seconds_ = 0;
  std::thread thread_;  // the last member, because it uses the others
};

}  // namespace kindred
