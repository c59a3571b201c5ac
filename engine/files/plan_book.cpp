#include <kindred/engine/error.h>
#include <kindred/engine/files/atomic_file.h>
#include <kindred/engine/files/json_text.h>
#include <kindred/engine/files/plan_book.h>

#include <nlohmann/json.hpp>

#include <fstream>
#include <iterator>

namespace kindred {
namespace {

// A network has a few hundred shapes, and a plan is a few kilobytes of text.
constexpr std::uintmax_t largest_book = std::uintmax_t{64} << 20;

// Says which GPU and which rules the plans of a book are for.
std::string heading_of_book(const std::string& gpu, const PlanRules& rules) {
  return fmt::format("{}; deterministic {}; tf32 {}", gpu, rules.deterministic, rules.allow_tf32);
}

}  // namespace

void PlanBook::set_rules(const PlanRules& rules) {
  const std::lock_guard lock(mutex_);
  if (rules == rules_) return;
  rules_ = rules;
  ++edition_;
  plans_.clear();
  remembered_.clear();
}

PlanRules PlanBook::rules() const {
  const std::lock_guard lock(mutex_);
  return rules_;
}

std::uint64_t PlanBook::edition() const {
  const std::lock_guard lock(mutex_);
  return edition_;
}

std::optional<std::string> PlanBook::find(const std::string& key) const {
  const std::lock_guard lock(mutex_);
  const auto found = plans_.find(key);
  if (found == plans_.end()) return std::nullopt;
  return found->second;
}

void PlanBook::remember(const std::string& key, const std::string& plan) {
  const std::lock_guard lock(mutex_);
  plans_[key] = plan;
  remembered_.insert(key);
}

std::size_t PlanBook::size() const {
  const std::lock_guard lock(mutex_);
  return plans_.size();
}

std::string PlanBook::to_text(const std::string& gpu) const {
  const std::lock_guard lock(mutex_);
  const nlohmann::json file = {{"for", heading_of_book(gpu, rules_)}, {"plans", plans_}};
  return json_text(file, 1) + "\n";
}

std::size_t PlanBook::add(const std::string& text, const std::string& gpu) {
  const nlohmann::json file = parse_hostile_json(text);
  const std::lock_guard lock(mutex_);
  if (!file.is_object() || !file.contains("for") || file["for"] != heading_of_book(gpu, rules_)) return 0;
  if (!file.contains("plans") || !file["plans"].is_object()) return 0;
  std::size_t added = 0;
  for (const auto& [key, plan] : file["plans"].items())
    if (plan.is_string() && plans_.emplace(key, plan.get<std::string>()).second) ++added;
  return added;
}

void PlanBook::save(const std::filesystem::path& path, const std::string& gpu) const {
  write_file_atomically(path, to_text(gpu), system_files_without_links());
}

std::size_t PlanBook::load(const std::filesystem::path& path, const std::string& gpu) {
  std::error_code error;
  const auto bytes = std::filesystem::file_size(path, error);
  if (error || bytes > largest_book) return 0;
  std::ifstream in(path);
  return add({std::istreambuf_iterator<char>(in), {}}, gpu);
}

void PlanBook::save(const CodeCache& cache, const std::string& gpu) const {
  PlanBook all;
  all.set_rules(rules());
  {
    const std::lock_guard lock(mutex_);
    if (remembered_.empty()) return;
    for (const std::string& key : remembered_) all.plans_[key] = plans_.at(key);
  }
  all.load(cache, gpu);
  cache.remember("plans: " + heading_of_book(gpu, all.rules()), all.to_text(gpu));
}

std::size_t PlanBook::load(const CodeCache& cache, const std::string& gpu) {
  const std::optional<std::string> text = cache.find("plans: " + heading_of_book(gpu, rules()));
  return text ? add(*text, gpu) : 0;
}

PlanBook& plan_book() {
  static PlanBook book;
  return book;
}

}  // namespace kindred
