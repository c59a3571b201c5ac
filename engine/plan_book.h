// What the GPU's libraries may do, and how they computed each shape fastest.
//
// cuDNN and cuBLASLt have several ways to compute the same thing. The first call for a shape times them and
// keeps the winner (third_party/cudnn_convolution.h, third_party/cublaslt.h). The book holds the winners as
// text, under a key that names library, version and shape, so that a run can write them to RUN/plans.json and
// the next start need not time again.
#pragma once

#include <kindred/engine/code_cache.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>

namespace kindred {

struct PlanRules {
  bool deterministic = false;  // the same bits in every run
  bool allow_tf32 = false;     // f32 factors may be rounded to 10 bits of mantissa
  bool operator==(const PlanRules&) const = default;
};

class PlanBook {
 public:
  // New rules forget every plan.
  void set_rules(const PlanRules& rules);
  PlanRules rules() const;
  // Changes with the rules: who keeps plans of his own forgets them when it does.
  std::uint64_t edition() const;

  std::optional<std::string> find(const std::string& key) const;
  void remember(const std::string& key, const std::string& plan);
  std::size_t size() const;

  // `gpu` says what the plans are for. Error(io).
  void save(const std::filesystem::path& path, const std::string& gpu) const;
  // Adds the plans of a file. One that is missing, damaged, too large, or for another GPU or other rules is
  // left alone: it is a cache. A plan is checked by its library before it is used. Returns how many were added.
  std::size_t load(const std::filesystem::path& path, const std::string& gpu);

  // The same in the user's own cache (code_cache.h), which every program of his on this machine shares. Saved
  // is what was found out here, beside what is there; nothing that came from a file.
  std::size_t load(const CodeCache& cache, const std::string& gpu);
  void save(const CodeCache& cache, const std::string& gpu) const;

 private:
  std::string to_text(const std::string& gpu) const;
  std::size_t add(const std::string& text, const std::string& gpu);

  mutable std::mutex mutex_;
  PlanRules rules_;
  std::uint64_t edition_ = 0;
  std::map<std::string, std::string> plans_;
  std::set<std::string> remembered_;  // keys of those that did not come from a file
};

// The one of the process.
PlanBook& plan_book();

}  // namespace kindred
