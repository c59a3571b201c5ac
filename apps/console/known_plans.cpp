#include <kindred/apps/console/known_plans.h>
#include <kindred/engine/device_kernels.h>

namespace kindred {

KnownPlans::KnownPlans(const DeviceChoice& choice, const PlanRules& rules,
                       const std::filesystem::path& of_run) {
  plan_book().set_rules(rules);
  if (choice.device != Device::cuda) return;
  gpu_ = gpu().probe().name;
  if (!of_run.empty()) plan_book().load(of_run, gpu_);
  plan_book().load(code_cache(), gpu_);
}

KnownPlans::~KnownPlans() {
  keep();
}

void KnownPlans::keep() const {
  try {
    if (!gpu_.empty()) plan_book().save(code_cache(), gpu_);
  } catch (const std::exception&) {  // ignored, because it is only a cache
  }
}

void save_plans(const std::filesystem::path& file) {
  plan_book().save(file, gpu().probe().name);
}

}  // namespace kindred
