// Batches of views, made ahead of time by worker threads. An image is decoded once for all its views, and of it
// just the rows and columns that their crops need.
//
// The same seed gives the same batches with 0, 1 or 16 workers: the order of an epoch is a function of
// (seed, epoch) (sampler.h), the views of a sample are keyed by (seed, epoch, sample, view), and everything
// that is reported (bad images, errors) is reported with the batch that it belongs to, in batch order.
//
// An image that cannot be decoded does not vanish silently. It is listed in bad_images(), and
//   skip_bad == false (training): SampleReader's rule puts the next image of its class in its place, so that
//   batches
//     keep their size; labels are unchanged, `indices` name the image that is shown;
//   skip_bad == true (evaluation): its row is left out, since counting another image twice would falsify an
//   accuracy.
//     A batch then has fewer rows; a batch without rows is passed over.
#pragma once

#include <kindred/data/dataset.h>
#include <kindred/data/recipe.h>
#include <kindred/data/sample_reader.h>
#include <kindred/data/sampler.h>

#include <cstdint>
#include <memory>
#include <vector>

namespace kindred {

struct Batch {
  // View by view, of each all rows: [views * rows, size, size, 3], row v * rows + i is view v of image i. Where
  // groups of views differ in size, group after group: [count * rows, size, size, 3] each.
  std::vector<std::uint8_t> images;
  std::vector<std::int32_t> labels;   // [rows]
  std::vector<std::int64_t> indices;  // [rows], in the data set: the image's identity (SimCLR's label)

  std::int64_t rows() const { return static_cast<std::int64_t>(labels.size()); }
};

struct LoaderOptions {
  std::int64_t batch_size = 256;  // images, not views
  int views = 2;                  // of each image, >= 1
  int size = 32;                  // side of a view
  Recipe recipe;
  // Views of several kinds (multi-crop), in place of the three above: as many of each as its count says.
  std::vector<ViewGroup> groups;
  int workers = 1;  // threads; 0: next() does the work itself
  std::uint64_t seed = 0;
  bool shuffle = true;
  Sampling sampling = Sampling::uniform;  // sampler.h
  std::int64_t per_class = 1;
  bool drop_last = true;      // leave out the last, partial batch
  bool skip_bad = false;      // see above
  std::int64_t max_bad = -1;  // fail when more images than this are rejected; -1: never
  bool strict = false;        // fail at the first image that is rejected or damaged
  int prefetch_batches = 2;   // made ahead, >= 1; also bounds the memory: prefetch_batches + 1 batches
  std::size_t cache_bytes = std::size_t{512} << 20;  // decoded pixels kept; 0: none
};

// Where in the stream of batches a loader is. With the data set and the options it fixes all that follows.
struct LoaderPosition {
  std::uint32_t epoch = 0;
  std::int64_t batch = 0;  // the one that next() gives next; batches_per_epoch(): the epoch is over
};

class Loader {
 public:
  // Error(usage) when an option is out of range, or when drop_last would leave no batch at all.
  Loader(Dataset dataset, LoaderOptions options);
  ~Loader();  // at any moment: pending work is dropped, the threads are joined
  Loader(Loader&&) noexcept;
  Loader& operator=(Loader&&) noexcept;

  std::int64_t batches_per_epoch() const;

  // Begins an epoch at batch `first_batch` (a resumed run begins in the middle); an unfinished one is dropped.
  void start_epoch(std::uint32_t epoch, std::int64_t first_batch = 0);

  // For a checkpoint: a new loader that resumes here gives the batches that this one would have given. To be
  // called by the thread that calls next().
  LoaderPosition position() const;
  void resume(const LoaderPosition& position);

  // Puts the next batch into `batch` and returns true, or returns false at the end of the epoch. The buffers of
  // `batch` are exchanged with the loader's, so that nothing is allocated when the same Batch is passed again.
  // Error(data) when max_bad or strict says so, or when a class has no image left; what a worker threw is
  // thrown here. After an error the epoch is over. Call it from one thread.
  bool next(Batch& batch);

  // Images of the batches so far that were not ok, each once, ascending by index.
  std::vector<BadImage> bad_images() const;

  // Time that next() spent without a batch at hand, since the loader was made.
  double wait_seconds() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace kindred
