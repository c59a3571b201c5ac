// Which algorithms the GPU libraries may use, and which one was fastest for each shape.
//
// cuDNN and cuBLASLt have several ways to compute the same result. The first call for a shape times them and
// keeps the fastest (third_party/cudnn/convolution.h, third_party/cublaslt/cublaslt.h). The book holds these
// plans as text, under a key that names library, version and shape. A run writes them to RUN/plans.json, so the
// next start need not time them again.
#pragma once

#include <kindred/engine/files/code_cache.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>

namespace kindred {

struct PlanRules {
  bool deterministic = false;  // results have the same bits in every run
  bool allow_tf32 = false;     // f32 factors may be rounded to 10 bits of mantissa
  bool operator==(const PlanRules&) const = default;
};

class PlanBook {
 public:
  // Setting different rules drops every plan.
  void set_rules(const PlanRules& rules);
  PlanRules rules() const;
  // Changes whenever the rules change. Code that caches plans elsewhere must drop them when this number
  // changes.
  std::uint64_t edition() const;

  std::optional<std::string> find(const std::string& key) const;
  void remember(const std::string& key, const std::string& plan);
  std::size_t size() const;

  // `gpu` names the GPU that the plans are for. Throws Error(io).
  void save(const std::filesystem::path& path, const std::string& gpu) const;
  // Adds the plans of a file and returns how many were added. A file that is missing, damaged, too large, or
  // for another GPU or other rules is ignored, because it is only a cache. The library checks each plan before
  // it is used.
  std::size_t load(const std::filesystem::path& path, const std::string& gpu);

  // The same for the user's own cache (code_cache.h), which all of the user's programs on this machine share.
  // save() keeps what the cache already has and adds only plans that were measured here, never plans that came
  // from a file.
  std::size_t load(const CodeCache& cache, const std::string& gpu);
  void save(const CodeCache& cache, const std::string& gpu) const;

 private:
  std::string to_text(const std::string& gpu) const;
  std::size_t add(const std::string& text, const std::string& gpu);

  mutable std::mutex mutex_;
  PlanRules rules_;
  std::uint64_t edition_ = 0;
  std::map<std::string, std::string> plans_;
  std::set<std::string> remembered_;  // keys of plans that did not come from a file
};

// The plan book of the process.
PlanBook& plan_book();

}  // namespace kindred
