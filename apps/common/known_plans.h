// What earlier programs of this user found out about how to compute on this GPU.
#pragma once

#include <kindred/engine/device.h>
#include <kindred/engine/plan_book.h>

#include <filesystem>

namespace kindred {

// Sets the rules of the plan book. On a GPU it also takes the plans of a run that goes on, if there is one, and
// then those of the user's cache, which gets what was found out when the object ends.
class KnownPlans {
 public:
  KnownPlans(const DeviceChoice& choice, const PlanRules& rules, const std::filesystem::path& of_run = {});
  ~KnownPlans();
  // Gives the cache what has been found out so far, for a program that may be killed.
  void keep() const;
  KnownPlans(const KnownPlans&) = delete;
  KnownPlans& operator=(const KnownPlans&) = delete;

 private:
  std::string gpu_;  // empty: none
};

}  // namespace kindred
