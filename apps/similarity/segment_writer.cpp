#include <kindred/apps/similarity/segment_writer.h>
#include <kindred/engine/cpu/parallel.h>
#include <kindred/engine/error.h>

#include <algorithm>

namespace kindred {
namespace {

constexpr std::int64_t rows_copied_at_once = 65'536;
constexpr std::size_t least_bytes_for_two_cores = std::size_t{1} << 20;

}  // namespace

SegmentWriter::Summed::Summed(const std::filesystem::path& path) : file(path, system_files_without_links()) {}

void SegmentWriter::Summed::write(const void* data, std::size_t size) {
  file.write(data, size);
  checksum.add(data, size);
  bytes += size;
}

IndexedFile SegmentWriter::Summed::commit(const std::string& name) {
  file.commit();
  return {name, bytes, checksum.text()};
}

SegmentWriter::SegmentWriter(const std::filesystem::path& folder, int number, std::int64_t dim,
                             bool with_thumbnails)
    : number_(number),
      features_(folder / indexed_name(IndexedKind::features, number), dim, system_files_without_links()),
      lines_(folder / indexed_name(IndexedKind::rows, number)) {
  if (with_thumbnails)
    thumbnails_ = std::make_unique<Summed>(folder / indexed_name(IndexedKind::thumbnails, number));
}

void SegmentWriter::append_features(std::span<const float> rows, const std::function<void()>& beside) {
  const std::function<void()> works[] = {[&] { features_.append(rows); },
                                         [&] {
                                           feature_checksum_.add(rows.data(), rows.size_bytes());
                                           beside();
                                         }};
  const std::int64_t at_once = rows.size_bytes() < least_bytes_for_two_cores ? 2 : 1;  // on a core
  parallel_for(2, at_once, [&](std::int64_t from, std::int64_t to) {
    for (std::int64_t i = from; i < to; ++i) works[i]();
  });
}

void SegmentWriter::append_line(std::string_view line) {
  lines_.write(line.data(), line.size());
  lines_.write("\n", 1);
}

void SegmentWriter::append_jpeg(std::span<const std::uint8_t> jpeg) {
  thumbnails_->write(jpeg.data(), jpeg.size());
  ends_.push_back(thumbnails_->bytes);
}

void SegmentWriter::append(std::span<const float> rows, std::span<const IndexedImage> images,
                           std::span<const std::vector<std::uint8_t>> jpegs) {
  std::string lines;
  append_features(rows, [&] {
    for (const IndexedImage& image : images) {
      append_line_of(image, lines);
      lines += '\n';
    }
  });
  lines_.write(lines.data(), lines.size());
  if (!thumbnails_) return;
  for (std::size_t i = 0; i < images.size(); ++i)
    append_jpeg(i < jpegs.size() ? std::span<const std::uint8_t>(jpegs[i]) : std::span<const std::uint8_t>());
}

void SegmentWriter::append(const OpenSegment& segment) {
  const std::span<const float> all = segment.features();
  const auto block =
      static_cast<std::size_t>(rows_copied_at_once) * (all.size() / static_cast<std::size_t>(segment.rows()));
  for (std::size_t at = 0; at < all.size(); at += block)
    append_features(all.subspan(at, std::min(block, all.size() - at)), [] {});
  for (std::int64_t row = 0; row < segment.rows(); ++row) {
    append_line(segment.line(row));
    if (thumbnails_) append_jpeg(segment.jpeg(row));
  }
}

IndexSegment SegmentWriter::commit() {
  IndexSegment segment;
  segment.rows = features_.rows();
  segment.features = {indexed_name(IndexedKind::features, number_), features_.bytes(),
                      feature_checksum_.text()};
  features_.commit();
  segment.rows_file = lines_.commit(indexed_name(IndexedKind::rows, number_));
  if (thumbnails_) {
    thumbnails_->write(ends_.data(), ends_.size() * sizeof(std::uint64_t));
    segment.thumbnails = thumbnails_->commit(indexed_name(IndexedKind::thumbnails, number_));
  }
  return segment;
}

}  // namespace kindred
