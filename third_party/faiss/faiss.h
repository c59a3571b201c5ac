// FAISS 1.7 behind plain functions: the rows of a table with the largest inner product with a query. For rows of unit length
// this is their cosine.
//
// Everything FAISS throws becomes an Error whose line ends with what FAISS said. FAISS is in a module that is opened when it is
// first needed (faiss_calls.h). Where that is not there, has_faiss() is false, and everything else throws Error(usage).
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace kindred::third_party {

bool has_faiss();
std::string faiss_version();  // "FAISS 1.7.3"

// For each query its rows, the largest inner product first. Where fewer than `each` were found, the rest has row -1 and
// inner product 0. FAISS decides the order of equal products, and it rounds: the product of the same two rows may differ in
// the last bits from one call to another of other size.
struct FoundRows {
  std::int64_t each = 0;
  std::vector<std::int64_t> rows{};    // [queries, each]
  std::vector<float> inner_product{};  // [queries, each]
};

// Called after each block of queries or rows with the number that is done. It may throw, for example after a signal.
using FaissProgress = std::function<void(std::int64_t done)>;

// All rows of `bank` are compared. bank [rows, dim] is read where it lies and not copied, so it may be a mapped file.
// queries: [n, dim]. each: 1 to rows. `block` queries are searched between two calls of `progress`. Thread-safe.
FoundRows search_all_rows(std::span<const float> bank, std::span<const float> queries, std::int64_t dim,
                          std::int64_t each, const FaissProgress& progress = {}, std::int64_t block = 1024);

// How far an approximate search looks; 0: as the index was made or written. More is slower and finds more of the true
// nearest rows.
struct SearchEffort {
  std::int64_t nprobe = 0;  // of IVF: lists that are visited, at most all of them (FAISS's own value is 1)
  std::int64_t ef_search =
      0;  // of HNSW: candidates that are kept, at least `each` is of use (FAISS's own value is 16)
};

class FaissIndex;  // faiss_calls.h

// Rows in memory, or in a file that FAISS wrote, arranged for fast search. Rows are numbered from 0 as they were added.
class VectorIndex {
 public:
  // factory: what FAISS's index_factory takes: "Flat", "IVF1024,Flat", "IVF4096,SQ8", "HNSW32" ...
  // (https://github.com/facebookresearch/faiss/wiki/The-index-factory). Throws Error(usage) if FAISS does not understand it,
  // or if a number in it would take memory beyond reason (lists: 1,048,576; links of HNSW: 512; bits of codes: 12).
  VectorIndex(std::int64_t dim, const std::string& factory);

  enum class Access : std::uint8_t {
    mapped,  // read only: add() throws. Lists of IVF are mapped; of other kinds FAISS reads the whole file
    whole,   // in memory; rows can be added
  };
  // Throws Error(file) if the file is no index, is cut, or compares by something other than inner products. FAISS trusts
  // the contents of a file, so damage within it may be found late or never: compare a checksum first. A mapped file must
  // not be cut while it is open.
  static VectorIndex open(const std::filesystem::path& path, Access access);

  VectorIndex(VectorIndex&&) noexcept;
  VectorIndex& operator=(VectorIndex&&) noexcept;
  ~VectorIndex();

  std::int64_t size() const;  // rows
  std::int64_t dim() const;
  std::int64_t lists() const;  // of IVF; 0: the index has none
  bool has_links() const;      // is HNSW

  // Whether train() must come before add(). IVF learns its lists; FAISS advises 39 to 256 rows for each list, and refuses
  // fewer than one.
  bool needs_training() const;
  void train(std::span<const float> rows);  // [n, dim], a sample of what will be added. Throws Error(usage)

  // rows: [n, dim]; `block` rows are added between two calls of `progress`. When that throws, the rows so far are there.
  void add(std::span<const float> rows, const FaissProgress& progress = {}, std::int64_t block = 8192);

  // For all later searches. Throws Error(usage) if the index is of another kind. Not while another thread searches.
  void set_effort(const SearchEffort& effort);

  // queries: [n, dim]. each: 1 to size(), else Error(usage). Thread-safe. Throws Error(file) if the index holds rows that
  // it cannot have, as damaged files do.
  FoundRows search(std::span<const float> queries, std::int64_t each, const FaissProgress& progress = {},
                   std::int64_t block = 1024) const;

  // The file is written in place, so give a name for a temporary one. It is closed, and what went wrong is known, when this
  // returns. The same rows give the same bytes, but for HNSW, whose links depend on which thread came first. Throws Error(io).
  void write(const std::filesystem::path& path) const;

 private:
  explicit VectorIndex(std::unique_ptr<FaissIndex> index);
  std::unique_ptr<FaissIndex> index_;
};

}  // namespace kindred::third_party
