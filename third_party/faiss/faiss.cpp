#include <kindred/engine/cpu/parallel.h>
#include <kindred/engine/error.h>
#include <kindred/third_party/faiss/faiss_calls.h>
#include <kindred/third_party/search/program_module.h>

// KINDRED_WITHOUT_FAISS: why this build has no module, "" if it has one; from apps/CMakeLists.txt.

namespace kindred::third_party {
namespace {

constexpr ProgramModule faiss_module{"libkindred_faiss.so", "", KINDRED_WITHOUT_FAISS};

constexpr ModuleUse faiss_use{"searching needs FAISS", "FAISS",
                              "install libblas3 and liblapack3, or build Kindred on this machine",
                              ExitCode::usage};

// FAISS starts OpenMP's threads, and a thread that does not start would end the process without a word.
const FaissCalls& faiss_calls() {
  check_threads_start();
  static const FaissCalls& calls = calls_of_module<FaissCalls>(
      faiss_module, faiss_use, "kindred_faiss_calls", faiss_calls_version);  // tried again after an error
  return calls;
}

}  // namespace

bool has_faiss() {
  return !module_file(faiss_module).empty();
}

std::string faiss_version() {
  return faiss_calls().faiss_version();
}

FoundRows search_all_rows(std::span<const float> bank, std::span<const float> queries, std::int64_t dim,
                          std::int64_t each, const FaissProgress& progress, std::int64_t block) {
  return faiss_calls().search_all_rows(bank, queries, dim, each, progress, block);
}

VectorIndex::VectorIndex(std::unique_ptr<FaissIndex> index) : index_(std::move(index)) {}
VectorIndex::VectorIndex(std::int64_t dim, const std::string& factory)
    : index_(faiss_calls().make(dim, factory)) {}
VectorIndex::VectorIndex(VectorIndex&&) noexcept = default;
VectorIndex& VectorIndex::operator=(VectorIndex&&) noexcept = default;
VectorIndex::~VectorIndex() = default;

VectorIndex VectorIndex::open(const std::filesystem::path& path, Access access) {
  return VectorIndex(faiss_calls().open(path, access));
}

std::int64_t VectorIndex::size() const {
  return index_->size();
}
std::int64_t VectorIndex::dim() const {
  return index_->dim();
}
std::int64_t VectorIndex::lists() const {
  return index_->lists();
}
bool VectorIndex::has_links() const {
  return index_->has_links();
}
bool VectorIndex::needs_training() const {
  return index_->needs_training();
}

void VectorIndex::train(std::span<const float> rows) {
  index_->train(rows);
}

void VectorIndex::add(std::span<const float> rows, const FaissProgress& progress, std::int64_t block) {
  index_->add(rows, progress, block);
}

void VectorIndex::set_effort(const SearchEffort& effort) {
  index_->set_effort(effort);
}

FoundRows VectorIndex::search(std::span<const float> queries, std::int64_t each, const FaissProgress& progress,
                              std::int64_t block) const {
  return index_->search(queries, each, progress, block);
}

void VectorIndex::write(const std::filesystem::path& path) const {
  index_->write(path);
}

}  // namespace kindred::third_party
