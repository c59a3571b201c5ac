// What earlier programs of this user found out about how to compute on this GPU.
#pragma once

#include <kindred/engine/device.h>
#include <kindred/engine/plan_book.h>

namespace kindred {

// Sets the rules of the plan book. On a GPU it also takes the plans that the user's cache has, and puts there
// what is new when the object ends.
class KnownPlans {
 public:
  KnownPlans(const DeviceChoice& choice, const PlanRules& rules);
  ~KnownPlans();
  KnownPlans(const KnownPlans&) = delete;
  KnownPlans& operator=(const KnownPlans&) = delete;

 private:
  std::string gpu_;  // empty: none
  std::size_t known_ = 0;
};

}  // namespace kindred
