#include <kindred/apps/training/batch_source.h>
#include <kindred/apps/training/training_data.h>

namespace kindred {

BatchSource::BatchSource(const PretrainOptions& options, const Dataset& train,
                         const std::optional<ResidentPictures>& pictures)
    : loader_(train, training_loader(options)) {
  if (pictures) resident_.emplace(train, training_loader(options), pictures->height, pictures->width);
}

void BatchSource::start_epoch(std::uint32_t epoch, std::int64_t first_batch) {
  if (resident_)
    resident_->start_epoch(epoch, first_batch);
  else
    loader_.start_epoch(epoch, first_batch);
}

bool BatchSource::next() {
  return resident_ ? resident_->next(drawn_) : loader_.next(made_);
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

std::optional<ResidentPictures> pictures_for_gpu(const PretrainOptions& options, Device device,
                                                 const Dataset& train) {
  // A step that may be undone is not recorded, and only recorded steps make views on the GPU.
  if (device != Device::cuda || options.skips_nonfinite()) return {};
  return resident_pictures(train, training_loader(options), most_resident_bytes);
}

}  // namespace kindred
