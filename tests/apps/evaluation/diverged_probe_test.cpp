// A probe whose last update is too large for its classifier.
#include "../../errors.h"
#include "../programs.h"

#include <kindred/apps/evaluation/probe.h>
#include <kindred/engine/random/philox.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace kindred {
namespace {

TEST_CASE("a probe whose last update spoils the classifier ends with code 7 before it is saved") {
  // Features of small deviation: what is folded into the weights makes them a thousand times larger.
  FeatureTable training;
  training.dim = 4;
  RandomStream random(7, Purpose::test);
  for (std::int32_t row = 0; row < 12; ++row) {
    training.labels.push_back(row % 3);
    for (int d = 0; d < 4; ++d) training.features.push_back(1 + random.uniform(-1e-3f, 1e-3f));
  }
  ProbeOptions options;
  options.epochs = 1;
  Probe good(training, 3, options);
  good.train_on_features(training);
  options.lr = 1e38;
  Probe spoiled(training, 3, options);
  const auto train = [&] { spoiled.train_on_features(training); };
  CHECK(test::code_of(train) == ExitCode::non_finite);
  Probe again(training, 3, options);
  CHECK(test::error_of([&] { again.train_on_features(training); }) ==
        "the probe has diverged: after step 1 a weight of the classifier is not finite, so no result was "
        "written; "
        "try a lower --lr");
}

TEST_CASE("linear_probe: a last update that spoils the classifier leaves the earlier result") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), probe = folder / "probe";
  const std::string command =
      set + " --untrained resnet20 --image-size 32 --device cpu -j 1 -b 24 --epochs 1 --out ";
  REQUIRE(run_program("linear_probe", command + probe).code == 0);
  const auto earlier = folder_contents(probe);
  for (const std::string augment : {"none", "probe"}) {
    CAPTURE(augment);
    const auto result =
        run_program("linear_probe", command + probe + " --overwrite --lr 3e38 --augment " + augment);
    CAPTURE(result.output);
    CHECK(result.code == 7);
    CHECK(is_one_line_error(result));
    CHECK(says(result, "error: the probe has diverged: after step 1 a weight of the classifier is not finite"));
    CHECK(folder_contents(probe) == earlier);
  }
  const std::string fresh = folder / "fresh";
  CHECK(run_program("linear_probe", command + fresh + " --lr 3e38").code == 7);
  CHECK(!std::filesystem::exists(fresh));
}

}  // namespace
}  // namespace kindred
