// Batches of views, prepared in advance by worker threads. An image is decoded once for all its views, and only
// the rows and columns that their crops need.
//
// The same seed gives the same batches with 0, 1 or 16 workers. The order of an epoch is a function of (seed,
// epoch) (sampler.h). The views of a sample are keyed by (seed, epoch, sample, view). Bad images and errors are
// reported with their batch, in batch order.
//
// Several processes that train together load the same batches as one. Each has a loader of its own with the same options,
// except for its share (LoaderOptions::Share), and decodes only that. The loaders do not talk to each other: each draws the
// whole order, and takes its places of it.
//
// An image that cannot be decoded is never dropped silently. It is listed in bad_images(), and then:
//   skip_bad == false (training)    The next image of its class replaces it (SampleReader), so batches keep
//                                   their size. Labels are unchanged; `indices` name the image that is shown.
//   skip_bad == true (evaluation)   Its row is left out, because counting another image twice would falsify an
//                                   accuracy. The batch then has fewer rows. A batch without rows is skipped.
#pragma once

#include <kindred/data/loading/sample_reader.h>
#include <kindred/data/loading/sampler.h>
#include <kindred/data/sets/dataset.h>
#include <kindred/data/views/recipe.h>

#include <cstdint>
#include <memory>
#include <vector>

namespace kindred {

struct Batch {
  // All rows of view 0, then all rows of view 1, and so on: [views * rows, size, size, 3], where row v * rows +
  // i is view v of image i. If groups of views differ in size, the groups follow each other: [count * rows,
  // size, size, 3] each.
  std::vector<std::uint8_t> images;
  std::vector<std::int32_t> labels;   // [rows]
  std::vector<std::int64_t> indices;  // [rows], index in the data set: the image's identity (SimCLR's label)
  std::vector<std::int64_t> drawn;  // [rows], the image that was asked for; `indices` differs if it is rejected

  std::int64_t rows() const { return static_cast<std::int64_t>(labels.size()); }
};

struct LoaderOptions {
  // What one of `size` processes loads of the batches.
  struct Share {
    int rank = 0, size = 1;
    // false (training)   Of every batch the rows [rank * rows / size, (rank + 1) * rows / size). Every process sees every
    //                    batch; if `size` does not divide the rows, some have one row less, or none.
    // true (evaluation)  The batches rank, rank + size, ..., each with all its rows: what is computed from a batch is then
    //                    the same to the bit. skip_bad needs this, because a process could not know which rows of a
    //                    batch the others leave out.
    bool whole_batches = false;

    // Which of the rows of a batch are this process's, if the rows are shared.
    std::int64_t first_row(std::int64_t rows) const { return rows * rank / size; }
    std::int64_t end_row(std::int64_t rows) const { return rows * (rank + 1) / size; }
  };

  std::int64_t batch_size = 256;  // images, not views, of all processes together
  Share share;
  int views = 2;  // per image, >= 1
  int size = 32;  // side of a view
  Recipe recipe;
  // Views of several kinds (multi-crop). If given, they replace the three values above; `count` is the number
  // of each kind.
  std::vector<ViewGroup> groups;
  int workers = 1;  // threads; with 0, next() does the work itself
  std::uint64_t seed = 0;
  bool shuffle = true;
  Sampling sampling = Sampling::uniform;  // see sampler.h
  std::int64_t per_class = 1;
  bool drop_last = true;      // omit the last, partial batch
  bool skip_bad = false;      // see above
  std::int64_t max_bad = -1;  // fail if more images than this are rejected; -1: never
  bool strict = false;        // fail at the first image that is rejected or damaged
  int prefetch_batches = 2;   // batches prepared in advance, >= 1; at most prefetch_batches + 1 are in memory
  // How much of the decoded pixels this process keeps; 0: nothing.
  std::size_t cache_bytes = std::size_t{512} << 20;
};

// The position of a loader in its stream of batches. Together with the data set and the options it determines
// all later batches.
struct LoaderPosition {
  std::uint32_t epoch = 0;
  std::int64_t batch = 0;  // the batch that next() returns next; batches_per_epoch(): the epoch has ended
};

class Loader {
 public:
  // Throws Error(usage) if an option is out of range, or if drop_last would leave no batch.
  Loader(Dataset dataset, LoaderOptions options);
  ~Loader();  // may be called at any time: drops pending work and joins the threads
  Loader(Loader&&) noexcept;
  Loader& operator=(Loader&&) noexcept;

  // With shares of whole batches: of this process. All positions count the batches in the same way.
  std::int64_t batches_per_epoch() const;

  // Starts an epoch at batch `first_batch` (a resumed run starts in the middle). An unfinished epoch is
  // dropped.
  void start_epoch(std::uint32_t epoch, std::int64_t first_batch = 0);

  // For checkpoints: a new loader that resumes here returns the batches that this one would have returned. Must
  // be called by the thread that calls next().
  LoaderPosition position() const;
  void resume(const LoaderPosition& position);

  // Puts the next batch into `batch` and returns true. Returns false at the end of the epoch. The buffers of
  // `batch` are exchanged with the loader's, so passing the same Batch again allocates nothing. Throws
  // Error(data) if max_bad or strict requires it, or if a class has no usable image left. An exception from a
  // worker is rethrown here; a std::bad_alloc becomes OutOfMemory (Cause::out_of_memory_loading). After an error the
  // epoch has ended. Must be called from one thread.
  bool next(Batch& batch);

  // Lists images that are known not to be ok before a batch shows them, for example because another process has seen
  // them. They count for max_bad and strict. Throws as next() does.
  void know_bad(std::vector<BadImage> images);

  // The images so far that were not ok, each once, in ascending order of index; and how many these are.
  std::vector<BadImage> bad_images() const;
  std::size_t bad_count() const;

  // The time that next() has waited for a batch since the loader was created.
  double wait_seconds() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace kindred
