// The plans for this GPU that this user's programs have found so far.
#pragma once

#include <kindred/engine/device.h>
#include <kindred/engine/files/plan_book.h>

#include <filesystem>

namespace kindred {

// Sets the rules of the plan book. On a GPU it also loads the plans of the run to be resumed, if there is one,
// and then those of the user's cache. When the object is destroyed, new plans are saved to the cache.
class KnownPlans {
 public:
  KnownPlans(const DeviceChoice& choice, const PlanRules& rules, const std::filesystem::path& of_run = {});
  ~KnownPlans();
  // Saves what has been found so far to the cache, for programs that may be killed.
  void keep() const;
  KnownPlans(const KnownPlans&) = delete;
  KnownPlans& operator=(const KnownPlans&) = delete;

 private:
  std::string gpu_;  // empty: no GPU
};

// Writes the plan book's plans for this GPU to RUN/plans.json, so that a resumed run can use them. Throws
// Error(io).
void save_plans(const std::filesystem::path& file);

}  // namespace kindred
