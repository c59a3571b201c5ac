#include <kindred/apps/common/known_plans.h>
#include <kindred/engine/device_kernels.h>

namespace kindred {

KnownPlans::KnownPlans(const DeviceChoice& choice, const PlanRules& rules) {
  plan_book().set_rules(rules);
  if (choice.device != Device::cuda) return;
  gpu_ = gpu().probe().reason;
  known_ = plan_book().load(code_cache(), gpu_);
}

KnownPlans::~KnownPlans() {
  if (gpu_.empty() || plan_book().size() <= known_) return;
  plan_book().load(code_cache(), gpu_);  // what another program has added meanwhile stays
  plan_book().save(code_cache(), gpu_);
}

}  // namespace kindred
