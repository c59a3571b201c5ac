// The table of calls that libkindred_faiss.so gives the programs. The module alone is linked with FAISS, which brings a BLAS with it:
// programs open it when they first search (faiss.cpp). Both are from one build, so classes pass between them as they are.
#pragma once

#include <kindred/third_party/faiss/faiss.h>

namespace kindred::third_party {

// What a VectorIndex is made of; the functions are those of that class. Threads are known to start when they are called.
class FaissIndex {
 public:
  virtual ~FaissIndex() = default;
  virtual std::int64_t size() const = 0;
  virtual std::int64_t dim() const = 0;
  virtual std::int64_t lists() const = 0;
  virtual bool has_links() const = 0;
  virtual bool needs_training() const = 0;
  virtual void train(std::span<const float> rows) = 0;
  virtual void add(std::span<const float> rows, const FaissProgress& progress, std::int64_t block) = 0;
  virtual void set_effort(const SearchEffort& effort) = 0;
  virtual FoundRows search(std::span<const float> queries, std::int64_t each, const FaissProgress& progress,
                           std::int64_t block) const = 0;
  virtual void write(const std::filesystem::path& path) const = 0;
};

inline constexpr int faiss_calls_version = 1;

struct FaissCalls {
  int version;
  std::string (*faiss_version)();
  FoundRows (*search_all_rows)(std::span<const float> bank, std::span<const float> queries, std::int64_t dim,
                               std::int64_t each, const FaissProgress& progress, std::int64_t block);
  std::unique_ptr<FaissIndex> (*make)(std::int64_t dim, const std::string& factory);
  std::unique_ptr<FaissIndex> (*open)(const std::filesystem::path& path, VectorIndex::Access access);
};

}  // namespace kindred::third_party
