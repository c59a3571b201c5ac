// Searching in an index, and making one, for search.py beside this file: a repeat for each line on standard input, which is
// answered with its milliseconds.
#include <kindred/apps/console/clock.h>
#include <kindred/apps/console/command_line.h>
#include <kindred/apps/console/main.h>
#include <kindred/apps/console/progress.h>
#include <kindred/apps/similarity/segment_writer.h>
#include <kindred/apps/similarity/similarity_index.h>
#include <kindred/data/npz/npy_file.h>
#include <kindred/engine/error.h>
#include <kindred/third_party/faiss/faiss.h>

#include <fcntl.h>   // defines: open
#include <unistd.h>  // defines: close, fsync

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <iostream>
#include <random>
#include <span>
#include <string>
#include <vector>

namespace kindred {
namespace {

namespace fs = std::filesystem;

struct Flags {
  std::string task, folder, factory = flat_factory;
  std::int64_t rows = 100'000, dim = 512, queries = 1000, neighbours = 10, nprobe = 0;
};

// Rows of unit length around `groups` directions, as features are: IVF has something to learn.
class DrawnRows {
 public:
  DrawnRows(std::int64_t dim, std::int64_t groups)
      : dim_(static_cast<std::size_t>(dim)), centres_(dim_ * static_cast<std::size_t>(groups)) {
    for (float& value : centres_) value = normal_(engine_);
  }
  std::vector<float> next(std::int64_t rows) {
    std::uniform_int_distribution<std::size_t> group(0, centres_.size() / dim_ - 1);
    std::vector<float> values(static_cast<std::size_t>(rows) * dim_);
    for (std::size_t at = 0; at < values.size(); at += dim_) {
      const std::size_t centre = group(engine_) * dim_;
      double squares = 0;
      for (std::size_t d = 0; d < dim_; ++d) {
        values[at + d] = centres_[centre + d] + normal_(engine_);
        squares += double(values[at + d]) * values[at + d];
      }
      for (std::size_t d = 0; d < dim_; ++d)
        values[at + d] = static_cast<float>(values[at + d] / std::sqrt(squares));
    }
    return values;
  }

 private:
  std::size_t dim_;
  std::mt19937 engine_{1};
  std::normal_distribution<float> normal_;
  std::vector<float> centres_;  // [groups, dim]
};

void append_rows(SegmentWriter& segment, std::span<const float> rows, std::int64_t dim) {
  std::vector<IndexedImage> images;
  const std::int64_t first = segment.rows();
  for (std::int64_t i = 0; i < std::ssize(rows) / dim; ++i)
    images.push_back({fmt::format("images/{:08}.jpg", first + i), "some", "train"});
  segment.append(rows, images, {});
}

IndexContent content_of(const Flags& f) {
  IndexContent content;
  content.dim = f.dim;
  content.encoder = {std::string(16, '0'), "none", false, {}};
  content.encoder.info.model = "resnet18";
  content.factory = f.factory;
  return content;
}

void finish(IndexFolder& folder, IndexContent content, SegmentWriter& segment, const Flags& f) {
  content.segments = {segment.commit()};
  if (f.factory != flat_factory)
    content.arranged = arrange_rows(
        folder, f.factory, f.dim,
        {std::make_shared<const OpenSegment>(folder.path(), content.segments[0], f.dim)}, folder.next_number());
  folder.commit(content);
}

void make(const Flags& f) {
  constexpr std::int64_t block = 10'000;
  DrawnRows rows(f.dim, 100);
  IndexFolder folder = IndexFolder::made(f.folder + "/index");
  SegmentWriter segment(folder.path(), 0, f.dim, false);
  for (std::int64_t done = 0; done < f.rows; done += block)
    append_rows(segment, rows.next(std::min(block, f.rows - done)), f.dim);
  finish(folder, content_of(f), segment, f);
  NpyWriter queries(f.folder + "/queries.npy", f.dim);
  queries.append(rows.next(f.queries));
  queries.commit();
}

// From features in memory, as FAISS has them, to an index on the disk.
void make_again(const Flags& f, std::span<const float> rows) {
  IndexFolder folder = IndexFolder::made(f.folder + "/again");
  SegmentWriter segment(folder.path(), 0, f.dim, false);
  append_rows(segment, rows, f.dim);
  finish(folder, content_of(f), segment, f);
}

// The file in which search looks, and nothing else, as FAISS makes it: no table of images, no checksums.
void make_file_again(const Flags& f, std::span<const float> rows) {
  const fs::path again = f.folder + "/again";
  fs::create_directory(again);
  if (f.factory == flat_factory) {
    NpyWriter features(again / "features.npy", f.dim);
    features.append(rows);
    features.commit();
    return;
  }
  third_party::VectorIndex arranged(f.dim, f.factory);
  if (arranged.needs_training()) arranged.train(rows);
  arranged.add(rows);
  arranged.write(again / "search.faiss");
  const int file = ::open((again / "search.faiss").c_str(), O_RDONLY | O_CLOEXEC);
  check(file >= 0 && ::fsync(file) == 0, ExitCode::io, "{}: cannot be brought to the disk", again.string());
  ::close(file);
}

int bench(int argc, char** argv) {
  CommandLine line("Searching in an index, and making one.", "bench_search");
  Flags f;
  line.add("FOLDER", f.folder, "a folder for the index; `make` fills it").required();
  line.add("--task", f.task, "what a repeat is").required().one_of({"make", "search", "index", "file"});
  line.add("--rows", f.rows).shows_default();
  line.add("--dim", f.dim).shows_default();
  line.add("--queries", f.queries).shows_default();
  line.add("--neighbours", f.neighbours).shows_default();
  line.add("--nprobe", f.nprobe, "of IVF").shows_default();
  line.add("--factory", f.factory).shows_default();
  if (const auto done = line.parse(argc, argv)) return *done;
  hide_progress();
  if (f.task == "make") {
    make(f);
    return 0;
  }
  SimilarityIndex index = SimilarityIndex::open(f.folder + "/index");
  if (f.nprobe > 0) index.set_effort({.nprobe = f.nprobe});
  const MappedNpy queries(f.folder + "/queries.npy", f.queries, f.dim, "make it again");
  const std::span<const float> mapped = index.segments()[0]->features();
  const std::vector<float> rows(mapped.begin(), mapped.end());
  double checksum = 0;
  for (std::string go; std::getline(std::cin, go);) {
    const double start = now_seconds();
    if (f.task == "search")
      checksum += index.search(queries.values(), f.neighbours)[0][0].similarity;
    else if (f.task == "index")
      make_again(f, rows);
    else
      make_file_again(f, rows);
    fmt::print("{}\n", 1e3 * (now_seconds() - start));
    fs::remove_all(f.folder + "/again");
  }
  return std::isfinite(checksum) ? 0 : 1;
}

}  // namespace
}  // namespace kindred

int main(int argc, char** argv) {
  return kindred::run_main(argc, argv, kindred::bench);
}
