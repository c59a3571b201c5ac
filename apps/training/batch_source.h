// The batches that a run trains on. Their pixels are made by the loader's workers on the host or, if the data
// set stays on a GPU, on that GPU.
//
// Of several processes each has its share of every batch, of batch_size / size images; together these are the batches of
// one process.
#pragma once

#include <kindred/apps/training/options/pretrain_options.h>
#include <kindred/data/loading/loader.h>
#include <kindred/data/loading/resident_batches.h>
#include <kindred/engine/communicator/communicator.h>

#include <cstddef>
#include <cstdint>
#include <exception>  // defines: std::exception_ptr
#include <optional>
#include <set>
#include <span>
#include <vector>

namespace kindred {

class BatchSource;

// The images of a batch of all processes, in the order of one process: as BatchSource has those of one. Valid until its next
// call.
struct WholeBatch {
  const std::vector<std::int32_t>& labels;
  const std::vector<std::int64_t>&indices, &drawn;
};

// Of the batch that every process has just drawn its share of. Where a process has met bad images meanwhile, the lists of
// all become one (share_bad_images), so that the first process can write down what any of them has met, whoever ends the
// run. All processes must make this call. Throws Error(data) as BatchSource::next() does.
WholeBatch whole_batch(const Communicator& processes, BatchSource& own);

class BatchSource {
 public:
  // If `pictures` is given, it holds the whole set, and batches are drawn but not rendered
  // (resident_batches.h). `train` and `processes` must outlive this object.
  BatchSource(const PretrainOptions& options, const Dataset& train,
              const std::optional<ResidentPictures>& pictures, const Communicator& processes = world());

  std::int64_t batches_per_epoch() const { return loader_.batches_per_epoch(); }
  bool stays_on_gpu() const { return resident_.has_value(); }

  // Before the first step: lists the images whose headers show that they cannot be read, so that a set with too
  // many of them is refused at once. Looks for a few seconds at most. Throws Error(data) as next() does. The processes,
  // which must all make this call, look at a share of the images each.
  void look_at_headers();
  // Begins an epoch at batch `first_batch`.
  void start_epoch(std::uint32_t epoch, std::int64_t first_batch);
  // Draws the next batch. Returns false at the end of the epoch. The values below are valid until the next
  // call. Prints a line for each of the first three unreadable images (of several processes, the first one does). Throws
  // Error(data) if there are more of them than --max-bad accepts, or, with --strict, any that is not ok. One of several
  // processes keeps its error until all have shared their bad images.
  bool next();
  // This process's rows. The argument of TrainingSteps::run: the views' pixels, or the instructions by which the GPU makes
  // them.
  std::span<const std::uint8_t> bytes() const;
  const std::vector<std::int32_t>& labels() const;
  const std::vector<std::int64_t>& indices() const;  // the images that are shown
  const std::vector<std::int64_t>& drawn() const;  // those that were asked for, of which some may be unreadable

  // Of several processes, those that this one has met, and those of all others when they were last shared.
  std::vector<BadImage> bad_images() const { return loader_.bad_images(); }
  // Makes the lists of all processes one, so that --max-bad counts the images of all. They must all make this call: at the
  // end of an epoch, and before a save. Throws Error(data) as next() does, in all processes, and the error that next()
  // has kept. With one process nothing happens.
  void share_bad_images(const Communicator& processes);

 private:
  friend WholeBatch whole_batch(const Communicator& processes, BatchSource& own);

  bool has_news() const { return kept_error_ != nullptr || loader_.bad_count() > shared_.size(); }
  void announce_bad_images();
  void know_bad_of_all(const Communicator& processes, std::vector<BadImage> own);

  const Dataset& train_;
  const Communicator& processes_;
  const std::int64_t batch_size_;  // of all processes
  Loader loader_;
  Batch made_;
  std::optional<ResidentBatches> resident_;  // used instead of the loader
  ResidentBatch drawn_;
  std::set<std::int64_t> announced_;  // unreadable images for which a line was printed
  std::size_t bad_seen_ = 0;          // how many bad images there were then
  std::set<std::int64_t> shared_;     // bad images that all processes know
  std::exception_ptr kept_error_;     // of the next batch, of one of several processes
  // What whole_batch() has gathered:
  std::vector<std::int32_t> all_labels_;
  std::vector<std::int64_t> all_indices_, all_drawn_;
};

// Returns the training pictures if all of them can stay on the device for the whole run, and nullopt otherwise.
std::optional<ResidentPictures> pictures_for_gpu(const PretrainOptions& options, Device device,
                                                 const Dataset& train);

}  // namespace kindred
