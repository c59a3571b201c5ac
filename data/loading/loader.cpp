#include <kindred/data/loading/bad_image_list.h>
#include <kindred/data/loading/drawn_views.h>
#include <kindred/data/loading/loader.h>
#include <kindred/data/views/augment.h>
#include <kindred/engine/counted.h>
#include <kindred/engine/cpu/parallel.h>
#include <kindred/engine/error.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <exception>
#include <mutex>
#include <new>
#include <thread>
#include <utility>

namespace kindred {
namespace {

// A batch that is being made. Every image writes to its own part, so workers share a slot without locks. Only
// `remaining` and `error` are changed under the loader's mutex.
struct Slot {
  Batch batch;
  std::vector<std::vector<BadImage>> bad;  // [rows]
  std::vector<std::uint8_t> present;       // [rows]: 0 if skip_bad omits the row
  std::int64_t remaining = 0;              // images that are not finished
  std::int64_t error_row = 0;              // row of `error`; the first row wins, whatever the timing
  std::exception_ptr error;
};

// What a worker keeps from image to image.
struct WorkerMemory {
  AugmentScratch augment;
  ReaderMemory reader;
  DrawnViews drawn;
};

struct Work {
  std::int64_t batch = 0, first_row = 0, end_row = 0;
};

// The data set, if it can be loaded so.
Dataset validated(Dataset dataset, const LoaderOptions& o) {
  check(o.batch_size >= 1, ExitCode::usage, "batch size must be at least 1, not {}", o.batch_size);
  for (const ViewGroup& group : o.groups) {
    check(group.count >= 1, ExitCode::usage, "views must be at least 1, not {}", group.count);
    check(group.size >= 1, ExitCode::usage, "image size must be at least 1 pixel, not {}", group.size);
  }
  check(o.workers >= 0, ExitCode::usage, "workers must be at least 0, not {}", o.workers);
  check(o.prefetch_batches >= 1, ExitCode::usage, "prefetched batches must be at least 1, not {}",
        o.prefetch_batches);
  check(!o.drop_last || o.batch_size <= dataset.size(), ExitCode::usage,
        "batch size {} is larger than the data set, which has {}", o.batch_size,
        counted(dataset.size(), "image"));
  const LoaderOptions::Share& share = o.share;
  check(0 <= share.rank && share.rank < share.size, ExitCode::internal, "a loader for rank {} of {}",
        share.rank, counted(share.size, "process"));
  check(share.size == 1 || share.whole_batches || !o.skip_bad, ExitCode::internal,
        "a loader that leaves rows out cannot share the rows of a batch; expected shares of whole batches");
  return dataset;
}

// Puts all views into groups, even if there is only one group.
LoaderOptions with_groups(LoaderOptions o) {
  if (o.groups.empty()) o.groups = {ViewGroup{o.recipe, o.size, o.views}};
  return o;
}

SamplerOptions sampler_options(const LoaderOptions& o) {
  return {o.shuffle, o.sampling, o.per_class, o.batch_size, o.seed};
}

// Removes the rows that are not present by moving the others up, view by view.
void compact(Batch& batch, const std::vector<std::uint8_t>& present, const std::vector<ViewKind>& kinds) {
  std::uint8_t* to = batch.images.data();
  for (const ViewKind& kind : kinds) {
    for (std::size_t row = 0; row < present.size(); ++row) {
      if (present[row] == 0) continue;
      std::memmove(to, batch.images.data() + kind.before * present.size() + row * kind.bytes, kind.bytes);
      to += kind.bytes;
    }
  }
  batch.images.resize(static_cast<std::size_t>(to - batch.images.data()));
  std::size_t kept = 0;
  for (std::size_t row = 0; row < present.size(); ++row) {
    if (present[row] == 0) continue;
    batch.labels[kept] = batch.labels[row];
    batch.drawn[kept] = batch.drawn[row];
    batch.indices[kept++] = batch.indices[row];
  }
  batch.labels.resize(kept);
  batch.drawn.resize(kept);
  batch.indices.resize(kept);
}

}  // namespace

struct Loader::Impl {
  LoaderOptions options;
  SampleReader reader;
  Sampler sampler;
  std::vector<ViewKind> kinds;  // [views]
  std::int64_t batches;         // per epoch
  BadImageList bad;             // used by the caller's thread only
  double waited = 0;
  WorkerMemory own;  // used if there are no workers
  // Made while there is memory for it.
  const std::exception_ptr no_memory = std::make_exception_ptr(
      OutOfMemory("out of memory on the host while pictures were loaded", Cause::out_of_memory_loading));

  // Written while no worker is busy, read by workers:
  std::uint32_t epoch = 0;
  std::vector<Draw> order;  // [sampler.epoch_size()]

  std::mutex mutex;  // guards everything below
  std::condition_variable work_there, work_done;
  std::vector<Slot> slots;  // batch b uses slot b % slots.size()
  Work upcoming;            // the next piece of work begins at .batch, .first_row
  std::int64_t delivered;   // batches returned or skipped; equal to `batches`: no epoch is open
  int busy = 0;             // workers with a piece of work
  bool stopping = false;
  std::vector<std::thread> threads;

  Impl(Dataset dataset, LoaderOptions given)
      : options(with_groups(std::move(given))),
        reader(validated(std::move(dataset), options), options.cache_bytes),
        sampler(reader.dataset().labels(), reader.dataset().classes(), sampler_options(options)),
        kinds(view_kinds(options.groups)),
        bad(options.max_bad, options.strict) {
    const std::int64_t samples = sampler.epoch_size();
    batches = options.drop_last ? samples / options.batch_size
                                : (samples + options.batch_size - 1) / options.batch_size;
    const LoaderOptions::Share& share = options.share;
    if (share.whole_batches) batches = (batches + share.size - 1 - share.rank) / share.size;
    delivered = batches;
    upcoming.batch = batches;
    slots.resize(options.workers == 0 ? 1 : static_cast<std::size_t>(options.prefetch_batches));
    if (options.workers > 0) check_threads_start();
    try {
      // Their memory is allocated here: an exception that leaves a thread's function would end the program.
      for (int i = 0; i < options.workers; ++i)
        threads.emplace_back([this, memory = std::make_unique<WorkerMemory>()] { work(*memory); });
    } catch (...) {  // the threads that run must be joined before this object is destroyed
      stop();
      throw;
    }
  }
  ~Impl() { stop(); }

  void stop() {
    {
      const std::lock_guard lock(mutex);
      stopping = true;
    }
    work_there.notify_all();
    for (std::thread& thread : threads) thread.join();
    threads.clear();
  }

  // The places in the epoch's order of which this process makes a batch.
  struct Places {
    std::int64_t begin = 0, end = 0;
  };
  Places places_of(std::int64_t batch) const {
    const LoaderOptions::Share& share = options.share;
    if (share.whole_batches) batch = batch * share.size + share.rank;
    const std::int64_t first = batch * options.batch_size;
    const std::int64_t rows = std::min(options.batch_size, sampler.epoch_size() - first);
    if (share.whole_batches) return {first, first + rows};
    return {first + share.first_row(rows), first + share.end_row(rows)};
  }
  std::int64_t rows_of(std::int64_t batch) const {
    const Places places = places_of(batch);
    return places.end - places.begin;
  }

  Slot& slot_of(std::int64_t batch) { return slots[static_cast<std::size_t>(batch) % slots.size()]; }

  // Prepares a slot for workers. Memory is allocated here, on the caller's thread.
  void prepare(std::int64_t batch) {
    if (batch >= batches) return;
    Slot& slot = slot_of(batch);
    const auto rows = static_cast<std::size_t>(rows_of(batch));
    slot.batch.images.resize(rows * (kinds.back().before + kinds.back().bytes));
    slot.batch.labels.resize(rows);
    slot.batch.indices.resize(rows);
    slot.batch.drawn.resize(rows);
    slot.bad.resize(rows);
    for (auto& list : slot.bad) list.clear();
    slot.present.assign(rows, 1);
    slot.remaining = static_cast<std::int64_t>(rows);
    slot.error = nullptr;
  }

  // Makes one image: all its views, with one decoding.
  void make_row(std::int64_t batch, std::int64_t row, WorkerMemory& memory) {
    Slot& slot = slot_of(batch);
    const auto at = static_cast<std::size_t>(row);
    const Draw draw = order[static_cast<std::size_t>(places_of(batch).begin + row)];
    const std::uint32_t wanted = draw.sample;
    // Views are keyed by the requested sample, so a substitute does not repeat the views that it has at its own
    // place. A sample that occurs again in the epoch does not repeat its views either.
    DrawnViews& drawn = memory.drawn;
    drawn.kinds = &kinds;
    drawn.seed = options.seed;
    drawn.epoch = epoch;
    drawn.sample = wanted;
    drawn.repeat = draw.repeat;
    const SampleReader::Sample sample =
        options.skip_bad ? reader.read(wanted, drawn, memory.reader, slot.bad[at])
                         : reader.read_or_substitute(wanted, drawn, memory.reader, slot.bad[at]);
    slot.present[at] = sample.decoded != nullptr;
    slot.batch.labels[at] = reader.dataset().label(wanted);
    slot.batch.indices[at] = sample.index;
    slot.batch.drawn[at] = wanted;
    if (sample.decoded == nullptr) return;
    const std::size_t rows = slot.present.size();
    for (std::size_t view = 0; view < drawn.views.size(); ++view) {
      ViewParameters& parameters = drawn.views[view];
      parameters.crop.top -= sample.decoded->top;
      parameters.crop.left -= sample.decoded->left;
      const ViewKind& kind = kinds[view];
      apply_view(sample.decoded->image, parameters, kind.size,
                 slot.batch.images.data() + kind.before * rows + at * kind.bytes, memory.augment);
    }
  }

  // Makes the rows of a piece of work. An error is stored with its row.
  void make_rows(const Work& piece, WorkerMemory& memory, std::unique_lock<std::mutex>& lock) {
    std::int64_t row = piece.first_row;
    std::exception_ptr error;
    lock.unlock();
    try {
      for (; row < piece.end_row; ++row) make_row(piece.batch, row, memory);
    } catch (const std::bad_alloc&) {
      error = no_memory;
    } catch (...) {
      error = std::current_exception();
    }
    lock.lock();
    Slot& slot = slot_of(piece.batch);
    if (error && (!slot.error || row < slot.error_row)) {
      slot.error = error;
      slot.error_row = row;
    }
    slot.remaining -= piece.end_row - piece.first_row;
  }

  bool work_is_there() const {
    return upcoming.batch < std::min(batches, delivered + static_cast<std::int64_t>(slots.size()));
  }

  Work take_work() {
    // Small pieces divide a batch evenly, large pieces need less locking.
    const std::int64_t rows = rows_of(upcoming.batch);
    const std::int64_t share = rows / (4 * std::max<std::int64_t>(1, options.workers));
    Work piece = upcoming;
    piece.end_row = std::min(rows, piece.first_row + std::clamp<std::int64_t>(share, 1, 16));
    upcoming.first_row = piece.end_row;
    if (upcoming.first_row == rows) upcoming = {upcoming.batch + 1, 0, 0};
    return piece;
  }

  void work(WorkerMemory& memory) {
    std::unique_lock lock(mutex);
    for (;;) {
      work_there.wait(lock, [this] { return stopping || work_is_there(); });
      if (stopping) return;
      const Work piece = take_work();
      ++busy;
      make_rows(piece, memory, lock);
      --busy;
      if (busy == 0 || slot_of(piece.batch).remaining == 0) work_done.notify_all();
    }
  }

  // Hands out no more work and waits for the current work.
  void end_epoch(std::unique_lock<std::mutex>& lock) {
    upcoming = {batches, 0, 0};
    delivered = batches;
    work_done.wait(lock, [this] { return busy == 0; });
  }

  void wait_for(std::int64_t batch, std::unique_lock<std::mutex>& lock) {
    const auto start = std::chrono::steady_clock::now();
    while (options.workers == 0 && slot_of(batch).remaining > 0) make_rows(take_work(), own, lock);
    work_done.wait(lock, [&] { return slot_of(batch).remaining == 0; });
    waited += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }

  // Lists the bad images of a batch, and fails if there are too many.
  void report(Slot& slot) {
    for (std::vector<BadImage>& list : slot.bad)
      for (BadImage& image : list) bad.add(std::move(image));
  }

  void start(std::uint32_t new_epoch, std::int64_t first_batch) {
    check(first_batch >= 0 && first_batch <= batches, ExitCode::internal,
          "an epoch of {} batches cannot start at batch {}", batches, first_batch);
    std::unique_lock lock(mutex);
    end_epoch(lock);
    epoch = new_epoch;
    sampler.draw(epoch, order);
    for (std::size_t ahead = 0; ahead < slots.size(); ++ahead)
      prepare(first_batch + static_cast<std::int64_t>(ahead));
    delivered = first_batch;
    upcoming = {first_batch, 0, 0};
    work_there.notify_all();
  }

  bool next(Batch& out) {
    std::unique_lock lock(mutex);
    try {
      while (delivered < batches) {
        wait_for(delivered, lock);
        Slot& slot = slot_of(delivered);
        report(slot);
        if (slot.error) std::rethrow_exception(slot.error);
        if (options.skip_bad && std::count(slot.present.begin(), slot.present.end(), 0) > 0) {
          compact(slot.batch, slot.present, kinds);
        }
        std::swap(out, slot.batch);
        prepare(delivered + static_cast<std::int64_t>(slots.size()));
        ++delivered;
        work_there.notify_all();
        // A process without rows in a batch sees it too, so that all processes count the same batches.
        if (out.rows() > 0 || !options.skip_bad) return true;
      }
    } catch (...) {
      end_epoch(lock);
      throw;
    }
    return false;
  }
};

Loader::Loader(Dataset dataset, LoaderOptions options)
    : impl_(std::make_unique<Impl>(std::move(dataset), std::move(options))) {}
Loader::~Loader() = default;
Loader::Loader(Loader&&) noexcept = default;
Loader& Loader::operator=(Loader&&) noexcept = default;

std::int64_t Loader::batches_per_epoch() const {
  return impl_->batches;
}
void Loader::start_epoch(std::uint32_t epoch, std::int64_t first_batch) {
  impl_->start(epoch, first_batch);
}
void Loader::resume(const LoaderPosition& position) {
  impl_->start(position.epoch, position.batch);
}
bool Loader::next(Batch& batch) {
  return impl_->next(batch);
}
LoaderPosition Loader::position() const {
  return {impl_->epoch, impl_->delivered};
}
double Loader::wait_seconds() const {
  return impl_->waited;
}

void Loader::know_bad(std::vector<BadImage> images) {
  impl_->bad.add_all(std::move(images));
}
std::size_t Loader::bad_count() const {
  return impl_->bad.size();
}

std::vector<BadImage> Loader::bad_images() const {
  return impl_->bad.images();
}

}  // namespace kindred
