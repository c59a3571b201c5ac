#include <kindred/apps/console/clock.h>
#include <kindred/apps/console/data_options.h>
#include <kindred/apps/console/interrupt.h>
#include <kindred/apps/console/progress.h>
#include <kindred/apps/training/batch_source.h>
#include <kindred/apps/training/training_data.h>
#include <kindred/data/loading/bad_images_of_all.h>
#include <kindred/engine/cpu/parallel.h>

#include <fmt/core.h>

#include <string>
#include <utility>

namespace kindred {
namespace {

constexpr std::size_t most_announced = 3;  // unreadable images with a line of their own

// No further headers are looked at after this time, in seconds. By then a small set is done, and of a large one a
// part was seen that is spread over all its classes.
constexpr double look_seconds = 3;
constexpr std::int64_t looked_at_once = 256;  // images, between two looks at the clock

LoaderOptions loader_with_limit(const PretrainOptions& options, const Dataset& train,
                                const Communicator& processes) {
  LoaderOptions loading = training_loader(options, processes);
  loading.max_bad = accepted_bad_images(options.max_bad, train.size()).value();
  return loading;
}

// Why the header alone shows that the image cannot be read; empty if it does not.
std::string unreadable_by_header(const Dataset& set, std::int64_t i, std::vector<std::uint8_t>& bytes,
                                 Decoder& decoder) {
  const std::optional<Encoded> file = set.source().encoded(i, bytes);
  if (!file) return "";  // the source has the pixels
  return file->ok() ? decoder.open(file->bytes, set.source().limits()).reason : file->reason;
}

}  // namespace

BatchSource::BatchSource(const PretrainOptions& options, const Dataset& train,
                         const std::optional<ResidentPictures>& pictures, const Communicator& processes)
    : train_(train),
      processes_(processes),
      batch_size_(options.batch_size),
      loader_(train, loader_with_limit(options, train, processes)) {
  if (pictures)
    resident_.emplace(train, training_loader(options, processes), pictures->height, pictures->width);
}

void BatchSource::look_at_headers() {
  if (resident_ || train_.in_memory()) return;  // pixels that are in memory were read already
  const double start = now_seconds();
  const std::int64_t rounds = (train_.size() + looked_at_once - 1) / looked_at_once;
  std::vector<BadImage> bad;
  // A round looks at images first, first + rounds, ... The processes take the rounds in turn.
  for (std::int64_t first = processes_.rank(); first < rounds; first += processes_.size()) {
    std::vector<std::string> reasons(static_cast<std::size_t>((train_.size() - first + rounds - 1) / rounds));
    parallel_for(static_cast<std::int64_t>(reasons.size()), 8, [&](std::int64_t begin, std::int64_t end) {
      std::vector<std::uint8_t> bytes;
      Decoder decoder;
      for (std::int64_t k = begin; k < end; ++k)
        reasons[static_cast<std::size_t>(k)] = unreadable_by_header(train_, first + k * rounds, bytes, decoder);
    });
    for (std::size_t k = 0; k < reasons.size(); ++k) {
      if (reasons[k].empty()) continue;
      const std::int64_t index = first + static_cast<std::int64_t>(k) * rounds;
      bad.push_back({index, train_.name(index), Outcome::rejected, reasons[k]});
    }
    if (interrupt_signal() != 0 || now_seconds() - start > look_seconds) break;
  }
  know_bad_of_all(processes_, std::move(bad));
}

void BatchSource::share_bad_images(const Communicator& processes) {
  if (processes.is_alone()) return;
  std::vector<BadImage> news = loader_.bad_images();
  std::erase_if(news, [&](const BadImage& image) { return shared_.contains(image.index); });
  know_bad_of_all(processes, std::move(news));
  if (kept_error_) std::rethrow_exception(kept_error_);
}

void BatchSource::know_bad_of_all(const Communicator& processes, std::vector<BadImage> own) {
  std::vector<BadImage> of_all = bad_images_of_all(processes, std::move(own));
  if (!processes.is_alone())
    for (const BadImage& image : of_all) shared_.insert(image.index);
  loader_.know_bad(std::move(of_all));
  announce_bad_images();
}

void BatchSource::announce_bad_images() {
  if (!processes_.is_first()) return;
  if (announced_.size() == most_announced || loader_.bad_count() == bad_seen_) return;
  bad_seen_ = loader_.bad_count();
  for (const BadImage& image : loader_.bad_images()) {
    if (announced_.size() == most_announced) return;
    if (image.outcome == Outcome::rejected && announced_.insert(image.index).second)
      fmt::print("warning: unreadable image {}: {}\n", one_line(image.path), one_line(image.reason));
  }
}

void BatchSource::start_epoch(std::uint32_t epoch, std::int64_t first_batch) {
  if (resident_)
    resident_->start_epoch(epoch, first_batch);
  else
    loader_.start_epoch(epoch, first_batch);
}

bool BatchSource::next() {
  if (resident_) return resident_->next(drawn_);
  if (kept_error_) std::rethrow_exception(kept_error_);  // nobody has asked for it
  bool is_there = true;
  try {
    is_there = loader_.next(made_);
  } catch (const Error&) {
    if (processes_.is_alone()) throw;
    kept_error_ = std::current_exception();
    return true;
  }
  announce_bad_images();
  return is_there;
}

std::span<const std::uint8_t> BatchSource::bytes() const {
  return resident_ ? drawn_.bytes() : std::span<const std::uint8_t>(made_.images);
}

const std::vector<std::int32_t>& BatchSource::labels() const {
  return resident_ ? drawn_.labels : made_.labels;
}

const std::vector<std::int64_t>& BatchSource::indices() const {
  return resident_ ? drawn_.indices : made_.indices;
}

const std::vector<std::int64_t>& BatchSource::drawn() const {
  return resident_ ? drawn_.indices : made_.drawn;
}

WholeBatch whole_batch(const Communicator& processes, BatchSource& own) {
  if (processes.is_alone()) return {own.labels(), own.indices(), own.drawn()};
  // One message: labels, indices and drawn of this process, and whether it has met bad images, as f64, which holds every
  // index exactly. Of a batch that could not be made only the last number counts.
  const auto share = static_cast<std::size_t>(own.batch_size_ / processes.size());
  std::vector<double> sent(own.labels().begin(), own.labels().end());
  for (const std::vector<std::int64_t>* const numbers : {&own.indices(), &own.drawn()})
    for (const std::int64_t number : *numbers) sent.push_back(static_cast<double>(number));
  sent.resize(3 * share);
  sent.push_back(own.has_news() ? 1 : 0);
  const auto count = static_cast<std::int64_t>(sent.size());
  const Tensor gathered = Tensor::empty({processes.size(), count}, DType::f64, Device::cpu);
  processes.all_gather(Tensor::from(sent, {count}, Device::cpu), Output(gathered));

  own.all_labels_.clear();
  own.all_indices_.clear();
  own.all_drawn_.clear();
  bool is_news = false;
  const double* next = gathered.data<double>();
  for (int rank = 0; rank < processes.size(); ++rank) {
    for (std::size_t i = 0; i < share; ++i) own.all_labels_.push_back(static_cast<std::int32_t>(*next++));
    for (std::vector<std::int64_t>* const numbers : {&own.all_indices_, &own.all_drawn_})
      for (std::size_t i = 0; i < share; ++i) numbers->push_back(static_cast<std::int64_t>(*next++));
    const bool has_news = *next++ != 0;
    is_news = is_news || has_news;
  }
  if (is_news) own.share_bad_images(processes);
  return {own.all_labels_, own.all_indices_, own.all_drawn_};
}

std::optional<ResidentPictures> pictures_for_gpu(const PretrainOptions& options, Device device,
                                                 const Dataset& train) {
  // A step that may be undone is not recorded, and only recorded steps make views on the GPU.
  if (device != Device::cuda || options.skips_nonfinite()) return {};
  return resident_pictures(train, training_loader(options), most_resident_bytes);
}

}  // namespace kindred
