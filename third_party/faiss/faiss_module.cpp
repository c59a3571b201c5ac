// libkindred_faiss.so: the table of faiss_calls.h.
#include <kindred/engine/error.h>
#include <kindred/third_party/faiss/faiss_calls.h>

#include <faiss/AutoTune.h>
#include <faiss/IVFlib.h>
#include <faiss/IndexHNSW.h>
#include <faiss/IndexIVF.h>
#include <faiss/IndexPreTransform.h>
#include <faiss/IndexRefine.h>
#include <faiss/impl/FaissException.h>
#include <faiss/index_factory.h>
#include <faiss/index_io.h>
#include <faiss/invlists/OnDiskInvertedLists.h>
#include <faiss/utils/distances.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <limits>
#include <new>

namespace kindred::third_party {
namespace {

// FAISS writes "Error in FUNCTION at FILE:LINE: Error: 'CONDITION' failed: TEXT"; the user needs the end of it.
std::string what_faiss_said(const std::exception& error) {
  std::string text = error.what();
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; }, ' ');
  if (const std::size_t at = text.rfind("failed: "); at != std::string::npos && at + 8 < text.size())
    text.erase(0, at + 8);
  else if (const std::size_t file = text.find(".cpp:"); file != std::string::npos)
    if (const std::size_t colon = text.find(": ", file + 5); colon != std::string::npos)
      text.erase(0, colon + 2);
  const std::size_t end = text.find_last_not_of(' ');
  text.resize(end == std::string::npos ? 0 : end + 1);
  return text.empty() ? "nothing" : text;
}

// Runs `work`; what FAISS throws becomes Error(code) "SUBJECT: FAISS says: TEXT". Memory that is not there stays bad_alloc.
template <typename Work>
auto told_by_faiss(ExitCode code, const std::string& subject, Work work) {
  try {
    return work();
  } catch (const Error&) {
    throw;
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& error) {
    fail(code, "{}: FAISS says: {}", subject, what_faiss_said(error));
  }
}

std::int64_t rows_in(std::span<const float> values, std::int64_t dim, const char* what) {
  check(dim >= 1 && dim <= std::numeric_limits<int>::max(), ExitCode::internal, "FAISS: {} of {} values each",
        what, dim);
  check(std::ssize(values) % dim == 0, ExitCode::internal, "FAISS: {} values are no {} of {}", values.size(),
        what, dim);
  return std::ssize(values) / dim;
}

// search(first, count, products, rows) for each block of the queries. Rows that cannot be are refused.
template <typename Search>
FoundRows search_in_blocks(std::int64_t queries, std::int64_t each, std::int64_t size, std::int64_t block,
                           const FaissProgress& progress, const Search& search) {
  check(block >= 1, ExitCode::internal, "FAISS: blocks of {} queries", block);
  check(each >= 1 && each <= size, ExitCode::usage,
        "{} nearest rows were asked for; expected 1 to {}, the rows that there are", each, size);
  FoundRows found;
  found.each = each;
  found.rows.resize(static_cast<std::size_t>(queries * each));
  found.inner_product.resize(found.rows.size());
  for (std::int64_t first = 0; first < queries; first += block) {
    const std::int64_t count = std::min(block, queries - first);
    const auto at = static_cast<std::size_t>(first * each);
    search(first, count, &found.inner_product[at], &found.rows[at]);
    for (std::size_t i = at; i < at + static_cast<std::size_t>(count * each); ++i) {
      const std::int64_t row = found.rows[i];
      check(row >= -1 && row < size, ExitCode::file,
            "the index names row {} and has only {}: it is damaged; make it again", row, size);
      if (row < 0) found.inner_product[i] = 0;
    }
    if (progress) progress(first + count);
  }
  return found;
}

// FAISS makes what a factory string asks for before it has seen a single row, so its numbers are bounded here.
void check_factory(const std::string& factory) {
  const std::string expected = "expected a factory string of FAISS, for example Flat, IVF1024,Flat or HNSW32";
  check(!factory.empty() && factory.size() <= 200 &&
            std::all_of(factory.begin(), factory.end(), [](unsigned char c) { return c > 0x20 && c < 0x7f; }),
        ExitCode::usage, "index of {} characters: {}", factory.size(), expected);
  const auto is_digit = [&](std::size_t i) {
    return i < factory.size() && factory[i] >= '0' && factory[i] <= '9';
  };
  for (const char* const kind : {"IDMap", "NSG"})
    check(factory.find(kind) == std::string::npos, ExitCode::usage,
          "index {}: rows cannot be added block by block to a {}; {}", factory, kind, expected);
  for (std::size_t i = 0; i < factory.size(); ++i) {
    if (!is_digit(i)) continue;
    std::size_t end = i;
    while (is_digit(end)) ++end;
    const std::string_view before = std::string_view(factory).substr(0, i);
    std::uint64_t most = 1 << 20;
    if (before.ends_with("HNSW") || before.ends_with("NSG") || before.ends_with("NNDescent")) most = 512;
    if (before.ends_with("x")) most = factory.find("IMI") == std::string::npos ? 12 : 10;  // bits of a code
    const std::string digits = factory.substr(i, end - i);
    check(digits.size() <= 7 && std::stoull(digits) >= 1 && std::stoull(digits) <= most, ExitCode::usage,
          "index {}: {} is not from 1 to {}; {}", factory, digits, most, expected);
    i = end - 1;
  }
}

// A mapped list is read where the file says that it lies, whether the file reaches as far or not.
void check_lists(const faiss::IndexIVF& ivf, const std::string& path) {
  bool fits =
      ivf.invlists != nullptr && ivf.quantizer != nullptr && ivf.invlists->nlist == ivf.nlist &&
      ivf.quantizer->ntotal == static_cast<std::int64_t>(ivf.nlist) &&
      (ivf.invlists->code_size == ivf.code_size ||
       ivf.invlists->code_size == faiss::InvertedLists::INVALID_CODE_SIZE) &&  // codes in blocks (FastScan)
      static_cast<std::int64_t>(ivf.invlists->compute_ntotal()) == ivf.ntotal;
  if (const auto* mapped = dynamic_cast<const faiss::OnDiskInvertedLists*>(ivf.invlists);
      fits && mapped != nullptr) {
    const std::size_t bytes_of_row = mapped->code_size + sizeof(std::int64_t);
    for (const auto& list : mapped->lists)
      fits = fits && list.size <= list.capacity && list.offset <= mapped->totsize &&
             list.capacity <= (mapped->totsize - list.offset) / bytes_of_row;
  }
  check(fits, ExitCode::file, "{}: the lists of this index are damaged or cut; make it again", path);
}

// The links of HNSW are followed without a look at where they lead.
void check_hnsw(const faiss::IndexHNSW& index, const std::string& path) {
  const faiss::HNSW& hnsw = index.hnsw;
  const std::int64_t size = index.ntotal;
  const auto rows = static_cast<std::size_t>(size);
  bool fits = index.storage != nullptr && index.storage->ntotal == size && index.storage->d == index.d &&
              hnsw.levels.size() == rows && hnsw.offsets.size() == rows + 1 && hnsw.efSearch >= 1 &&
              hnsw.offsets.back() == hnsw.neighbors.size() &&
              std::is_sorted(hnsw.offsets.begin(), hnsw.offsets.end()) && hnsw.entry_point >= -1 &&
              hnsw.entry_point < size && (size == 0) == (hnsw.entry_point == -1) &&
              !hnsw.cum_nneighbor_per_level.empty() && hnsw.cum_nneighbor_per_level.front() == 0 &&
              std::is_sorted(hnsw.cum_nneighbor_per_level.begin(), hnsw.cum_nneighbor_per_level.end()) &&
              hnsw.max_level < static_cast<int>(hnsw.cum_nneighbor_per_level.size());
  for (std::size_t r = 0; fits && r < rows; ++r) {
    const int levels = hnsw.levels[r];
    fits = levels >= 1 && levels < static_cast<int>(hnsw.cum_nneighbor_per_level.size()) &&
           hnsw.offsets[r + 1] - hnsw.offsets[r] ==
               static_cast<std::size_t>(hnsw.cum_nneighbor_per_level[static_cast<std::size_t>(levels)]);
  }
  fits = fits && std::all_of(hnsw.neighbors.begin(), hnsw.neighbors.end(),
                             [&](std::int32_t to) { return to >= -1 && to < size; });
  // A link on a level leads to a row that is on this level too.
  for (std::size_t r = 0; fits && r < rows; ++r)
    for (int level = 1; fits && level < hnsw.levels[r]; ++level)
      for (int i = hnsw.cum_nneighbor_per_level[static_cast<std::size_t>(level)];
           fits && i < hnsw.cum_nneighbor_per_level[static_cast<std::size_t>(level) + 1]; ++i) {
        const std::int32_t to = hnsw.neighbors[hnsw.offsets[r] + static_cast<std::size_t>(i)];
        fits = to < 0 || hnsw.levels[static_cast<std::size_t>(to)] > level;
      }
  if (fits && size > 0) fits = hnsw.max_level < hnsw.levels[static_cast<std::size_t>(hnsw.entry_point)];
  check(fits, ExitCode::file, "{}: the links of this index are damaged; make it again", path);
}

std::string version_text() {
  return fmt::format("FAISS {}.{}.{}", FAISS_VERSION_MAJOR, FAISS_VERSION_MINOR, FAISS_VERSION_PATCH);
}

FoundRows search_flat(std::span<const float> bank, std::span<const float> queries, std::int64_t dim,
                      std::int64_t each, const FaissProgress& progress, std::int64_t block) {
  const std::int64_t rows = rows_in(bank, dim, "rows");
  const auto search = [&](std::int64_t first, std::int64_t count, float* products, std::int64_t* found) {
    told_by_faiss(ExitCode::internal, "search", [&] {
      faiss::knn_inner_product(queries.data() + first * dim, bank.data(), static_cast<std::size_t>(dim),
                               static_cast<std::size_t>(count), static_cast<std::size_t>(rows),
                               static_cast<std::size_t>(each), products, found);
    });
  };
  return search_in_blocks(rows_in(queries, dim, "queries"), each, rows, block, progress, search);
}

class Index final : public FaissIndex {
 public:
  Index(std::unique_ptr<faiss::Index> index, bool read_only)
      : index_(std::move(index)), read_only_(read_only) {}

  std::int64_t size() const override { return index_->ntotal; }
  std::int64_t dim() const override { return index_->d; }
  std::int64_t lists() const override { return ivf() == nullptr ? 0 : static_cast<std::int64_t>(ivf()->nlist); }
  bool has_links() const override { return hnsw() != nullptr; }
  bool needs_training() const override { return !index_->is_trained; }
  void train(std::span<const float> rows) override;
  void add(std::span<const float> rows, const FaissProgress& progress, std::int64_t block) override;
  void set_effort(const SearchEffort& effort) override;
  FoundRows search(std::span<const float> queries, std::int64_t each, const FaissProgress& progress,
                   std::int64_t block) const override;
  void write(const std::filesystem::path& path) const override;

  const faiss::Index& index() const { return *index_; }
  faiss::IndexIVF* ivf() const { return faiss::ivflib::try_extract_index_ivf(searched()); }
  faiss::IndexHNSW* hnsw() const {
    faiss::Index* inner = searched();
    if (auto* transformed = dynamic_cast<faiss::IndexPreTransform*>(inner)) inner = transformed->index;
    return dynamic_cast<faiss::IndexHNSW*>(inner);
  }

 private:
  // Behind a refinement ("IVF4096,PQ64,RFlat") the index that finds the candidates.
  faiss::Index* searched() const {
    auto* const refined = dynamic_cast<faiss::IndexRefine*>(index_.get());
    return refined != nullptr ? refined->base_index : index_.get();
  }

  std::unique_ptr<faiss::Index> index_;
  bool read_only_;
};

std::unique_ptr<FaissIndex> make(std::int64_t dim, const std::string& factory) {
  check(dim >= 1 && dim <= 1 << 20, ExitCode::internal, "FAISS: rows of {} values", dim);
  check_factory(factory);
  std::unique_ptr<faiss::Index> made;
  told_by_faiss(ExitCode::usage, fmt::format("index {}", factory), [&] {
    made.reset(faiss::index_factory(static_cast<int>(dim), factory.c_str(), faiss::METRIC_INNER_PRODUCT));
  });
  auto index = std::make_unique<Index>(std::move(made), false);
  // FAISS would print its advice about the size of the sample to the terminal.
  if (faiss::IndexIVF* ivf = index->ivf()) ivf->cp.min_points_per_centroid = 1;
  return index;
}

std::unique_ptr<FaissIndex> open(const std::filesystem::path& path, VectorIndex::Access access) {
  const bool read_only = access == VectorIndex::Access::mapped;
  std::unique_ptr<faiss::Index> read;
  const std::string name = path.string();
  const int flags = read_only ? faiss::IO_FLAG_MMAP | faiss::IO_FLAG_READ_ONLY : 0;
  try {
    told_by_faiss(ExitCode::file, name + ": this is no index that can be read",
                  [&] { read.reset(faiss::read_index(name.c_str(), flags)); });
  } catch (const std::bad_alloc&) {
    fail(ExitCode::file,
         "{}: there is not enough memory for what the file says that it holds; it is too large, or damaged",
         name);
  }
  auto opened = std::make_unique<Index>(std::move(read), read_only);
  const faiss::Index& index = opened->index();
  check(index.metric_type == faiss::METRIC_INNER_PRODUCT, ExitCode::file,
        "{}: this index does not compare by inner products; make it again", name);
  check(index.d >= 1 && index.ntotal >= 0 && index.is_trained, ExitCode::file,
        "{}: this index is damaged; make it again", name);
  if (const faiss::IndexIVF* ivf = opened->ivf()) {
    check_lists(*ivf, name);
    if (const auto* links = dynamic_cast<const faiss::IndexHNSW*>(ivf->quantizer)) check_hnsw(*links, name);
  }
  if (const faiss::IndexHNSW* hnsw = opened->hnsw()) check_hnsw(*hnsw, name);
  return opened;
}

void Index::train(std::span<const float> rows) {
  const std::int64_t count = rows_in(rows, dim(), "rows");
  check(count > 0, ExitCode::internal, "FAISS: no rows to learn from");
  told_by_faiss(ExitCode::usage, fmt::format("learning from {} rows", count),
                [&] { index_->train(count, rows.data()); });
}

void Index::add(std::span<const float> rows, const FaissProgress& progress, std::int64_t block) {
  check(!needs_training() && !read_only_ && block >= 1, ExitCode::internal,
        "FAISS: rows are added to an index that is not trained, or only read, or in blocks of {}", block);
  const std::int64_t count = rows_in(rows, dim(), "rows");
  for (std::int64_t first = 0; first < count; first += block) {
    const std::int64_t added = std::min(block, count - first);
    told_by_faiss(ExitCode::usage, "adding rows", [&] { index_->add(added, rows.data() + first * dim()); });
    if (progress) progress(first + added);
  }
}

void Index::set_effort(const SearchEffort& effort) {
  const auto set = [&](const char* name, std::int64_t value, bool fits, const char* kind) {
    if (value == 0) return;
    check(fits, ExitCode::usage, "{} {}: this index is not of the kind {}, so leave it out", name, value, kind);
    check(value >= 1 && value <= 1 << 20, ExitCode::usage, "{} {}: expected 1 to {}", name, value, 1 << 20);
    told_by_faiss(ExitCode::usage, fmt::format("{} {}", name, value), [&] {
      faiss::ParameterSpace().set_index_parameter(index_.get(), name, static_cast<double>(value));
    });
  };
  set("nprobe", lists() > 0 ? std::min(effort.nprobe, lists()) : effort.nprobe, lists() > 0, "IVF");
  set("efSearch", effort.ef_search, has_links(), "HNSW");
}

FoundRows Index::search(std::span<const float> queries, std::int64_t each, const FaissProgress& progress,
                        std::int64_t block) const {
  const auto search_block = [&](std::int64_t first, std::int64_t count, float* products, std::int64_t* found) {
    told_by_faiss(ExitCode::internal, "search",
                  [&] { index_->search(count, queries.data() + first * dim(), each, products, found); });
  };
  return search_in_blocks(rows_in(queries, dim(), "queries"), each, size(), block, progress, search_block);
}

void Index::write(const std::filesystem::path& path) const {
  const std::string name = path.string();
  const auto refuse = [&](int error) {
    fail(ExitCode::io, "{}: the index cannot be written: {}", name, std::system_category().message(error));
  };
  errno = 0;
  std::FILE* file = std::fopen(name.c_str(), "wb");
  if (file == nullptr) refuse(errno);
  try {
    faiss::write_index(index_.get(), file);
  } catch (const faiss::FaissException& said) {
    const int error = errno;
    std::fclose(file);
    if (error != 0) refuse(error);
    fail(ExitCode::io, "{}: the index cannot be written: FAISS says: {}", name, what_faiss_said(said));
  } catch (...) {
    std::fclose(file);
    throw;
  }
  if (std::fclose(file) != 0) refuse(errno);
}

}  // namespace
}  // namespace kindred::third_party

extern "C" const kindred::third_party::FaissCalls kindred_faiss_calls = {
    kindred::third_party::faiss_calls_version, kindred::third_party::version_text,
    kindred::third_party::search_flat, kindred::third_party::make, kindred::third_party::open};
