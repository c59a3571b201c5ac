#include <kindred/apps/console/interrupt.h>
#include <kindred/apps/console/progress.h>
#include <kindred/apps/similarity/arranged_rows.h>
#include <kindred/apps/similarity/checksum.h>
#include <kindred/apps/similarity/open_segment.h>
#include <kindred/data/files/byte_reader.h>
#include <kindred/engine/error.h>
#include <kindred/engine/files/atomic_file.h>

#include <fcntl.h>   // defines: open
#include <unistd.h>  // defines: close, fsync, getpid

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <system_error>

namespace kindred {
namespace {

namespace fs = std::filesystem;
using third_party::SearchEffort;
using third_party::VectorIndex;

constexpr std::int64_t most_rows_searched_flat = 1'000'000, rows_to_train_with = 256;  // of a list
constexpr std::uint64_t most_bytes_summed_at_start = std::uint64_t{256} << 20;
constexpr const char* arranging_stopped = "the rows were being arranged; the same command begins anew";

IndexedFile summed_file(const fs::path& path, const std::string& name) {
  const FileReader file(path.string());
  check(file.reason().empty(), ExitCode::file, "{}: {}", path.string(), file.reason());
  Checksum checksum;
  std::vector<std::uint8_t> block(std::size_t{1} << 20);
  for (std::uint64_t at = 0; at < file.size(); at += block.size()) {
    block.resize(static_cast<std::size_t>(std::min<std::uint64_t>(block.size(), file.size() - at)));
    const std::string reason = file.read(at, block);
    check(reason.empty(), ExitCode::file, "{}: {}", path.string(), reason);
    checksum.add(block.data(), block.size());
  }
  return {name, file.size(), checksum.text()};
}

// A temporary file that gets its name when it is whole.
class ArrangedFile {
 public:
  explicit ArrangedFile(const fs::path& folder)
      : path_(folder / fmt::format(".kindred-{}-search.tmp", ::getpid())) {}
  ~ArrangedFile() {
    std::error_code ignored;
    fs::remove(path_, ignored);
  }
  ArrangedFile(const ArrangedFile&) = delete;
  ArrangedFile& operator=(const ArrangedFile&) = delete;

  const fs::path& path() const { return path_; }
  IndexedFile commit(const std::string& name) const {
    const IndexedFile file = summed_file(path_, name);
    const int open_file = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
    const bool is_on_disk = open_file >= 0 && ::fsync(open_file) == 0;
    const int error = errno;
    if (open_file >= 0) ::close(open_file);
    check(is_on_disk || error == EINVAL || error == ENOTSUP, ExitCode::io,
          "{} cannot be brought to the disk: {}; {}", path_.string(), std::generic_category().message(error),
          what_to_do_about(error));
    std::error_code renamed;
    fs::rename(path_, path_.parent_path() / name, renamed);
    check(!renamed, ExitCode::io, "{} cannot be renamed: {}; {}", path_.string(), renamed.message(),
          what_to_do_about(renamed.value()));
    sync_folder_of(path_);
    return file;
  }

 private:
  fs::path path_;
};

// Rows that are evenly spread over all segments: what IVF learns its lists from.
std::vector<float> evenly_spread_rows(const std::vector<std::shared_ptr<const OpenSegment>>& segments,
                                      std::int64_t rows, std::int64_t dim, std::int64_t most) {
  const std::int64_t step = std::max<std::int64_t>(1, (rows + most - 1) / most);
  std::vector<float> sample;
  sample.reserve(static_cast<std::size_t>((rows + step - 1) / step * dim));
  std::int64_t first = 0;
  for (const auto& segment : segments) {
    for (std::int64_t row = (step - first % step) % step; row < segment->rows(); row += step) {
      const auto values =
          segment->features().subspan(static_cast<std::size_t>(row * dim), static_cast<std::size_t>(dim));
      sample.insert(sample.end(), values.begin(), values.end());
    }
    first += segment->rows();
  }
  return sample;
}

}  // namespace

std::string usual_factory(std::int64_t rows) {
  if (rows <= most_rows_searched_flat) return flat_factory;
  const double lists = 4 * std::sqrt(static_cast<double>(rows));
  return fmt::format("IVF{},Flat", std::int64_t{1} << std::llround(std::log2(lists)));
}

SearchEffort usual_effort(const VectorIndex& arranged) {
  SearchEffort effort;
  if (arranged.lists() > 0)
    effort.nprobe = std::min(arranged.lists(), std::max<std::int64_t>(8, arranged.lists() / 16));
  if (arranged.has_links()) effort.ef_search = 64;
  return effort;
}

ArrangedRows arrange_rows(const IndexFolder& folder, const std::string& factory, std::int64_t dim,
                          const std::vector<std::shared_ptr<const OpenSegment>>& segments, int number) {
  std::int64_t rows = 0;
  for (const auto& segment : segments) rows += segment->rows();
  VectorIndex arranged(dim, factory);
  if (arranged.needs_training()) {
    const std::int64_t lists = std::max<std::int64_t>(arranged.lists(), 256);  // codes have as many values
    arranged.train(evenly_spread_rows(segments, rows, dim, lists * rows_to_train_with));
    end_if_interrupted(arranging_stopped);
  }
  constexpr std::int64_t block = 8192;
  std::int64_t blocks = 0;
  for (const auto& segment : segments) blocks += (segment->rows() + block - 1) / block;
  Progress progress("arranging", blocks, "images");
  for (const auto& segment : segments) {
    std::int64_t before = 0;
    arranged.add(
        segment->features(),
        [&](std::int64_t done) {
          progress.advance(done - before, "");
          before = done;
          end_if_interrupted(arranging_stopped);
        },
        block);
  }
  const ArrangedFile file(folder.path());
  arranged.write(file.path());
  return {rows, file.commit(indexed_name(IndexedKind::arranged, number))};
}

void check_arranged(const fs::path& folder, const IndexedFile& file) {
  const IndexedFile found = summed_file(folder / file.name, file.name);
  check(found.xxh3 == file.xxh3, ExitCode::file, "{}: it differs from its checksum; {}",
        (folder / file.name).string(), advice_for_damaged_index(folder));
}

VectorIndex open_arranged(const fs::path& folder, const IndexContent& content) {
  const IndexedFile& file = content.arranged->file;
  const fs::path path = folder / file.name;
  const FileReader reader(path.string());
  check(reader.reason().empty() && reader.size() == file.bytes, ExitCode::file, "{}: {}; {}", path.string(),
        reader.reason().empty()
            ? fmt::format("it has {} bytes and was written with {}", reader.size(), file.bytes)
            : reader.reason(),
        advice_for_damaged_index(folder));
  if (file.bytes <= most_bytes_summed_at_start) check_arranged(folder, file);
  VectorIndex arranged = VectorIndex::open(path, VectorIndex::Access::mapped);
  check(arranged.size() == content.arranged->rows && arranged.dim() == content.dim, ExitCode::file,
        "{}: it has {} rows of {} values, and {} says {} of {}; {}", path.string(), arranged.size(),
        arranged.dim(), index_file_name, content.arranged->rows, content.dim, advice_for_damaged_index(folder));
  arranged.set_effort(usual_effort(arranged));
  return arranged;
}

}  // namespace kindred
