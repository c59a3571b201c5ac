// The order of the host's work around a GPU. The order of the streams is drawn anew for every step, and the
// results must have the same bits as when everything is done at once.
#include "../../emulated_gpu.h"
#include "../../engine/temporary_folder.h"
#include "../../errors.h"
#include "small_options.h"

#include <kindred/apps/training/input_feed.h>
#include <kindred/apps/training/run/saver.h>
#include <kindred/apps/training/training_steps.h>
#include <kindred/engine/recording.h>

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <map>
#include <optional>
#include <utility>

namespace kindred {
namespace {

using test::AtOnce;
using test::DrawnOrder;

// ---- the feed alone: kernels that copy their input, recorded like training steps

constexpr std::int64_t steps_a_launch = 2, input_bytes = 50, labels = 6, rates = 2;

std::uint8_t byte_of(std::int64_t step) {
  return static_cast<std::uint8_t>(step * 7 + 1);
}

// The values that the steps of `launches` launches read, in order.
std::vector<float> fed(std::int64_t launches) {
  std::optional<InputFeed> feed(std::in_place, steps_a_launch, input_bytes, labels, rates);
  const std::int64_t each = input_bytes + labels + rates;
  const Tensor read = Tensor::zeros({launches * steps_a_launch, each}, DType::f32, Device::cuda);
  const Tensor last = Tensor::zeros({steps_a_launch, each}, DType::f32, Device::cuda);
  const auto pool = new_memory_pool(Device::cuda);
  std::array<Recording, InputFeed::slots> recordings;
  for (std::int64_t launch = 0; launch < launches; ++launch) {
    const int slot = static_cast<int>(launch % InputFeed::slots);
    for (std::int64_t place = 0; place < steps_a_launch; ++place) {
      const std::int64_t step = launch * steps_a_launch + place;
      const std::vector<std::uint8_t> image(input_bytes, byte_of(step));
      const std::vector<std::int32_t> classes(labels, static_cast<std::int32_t>(step));
      feed->put(slot, place, image, classes, std::array{0.5f * static_cast<float>(step), 1.0f});
    }
    feed->send(slot);
    Recording& recording = recordings[static_cast<std::size_t>(slot)];
    if (recording.is_empty())
      recording = Recording(pool, [&] {
        for (std::int64_t place = 0; place < steps_a_launch; ++place) {
          const auto part = [&](std::int64_t first, const Tensor& from) {
            const Tensor between = from.to(Device::cuda, DType::f32);
            last.window(place * each + first, from.shape()).copy_from(between);
          };
          part(0, feed->bytes(slot, place));
          part(input_bytes, feed->labels(slot, place));
          part(input_bytes + labels, feed->rates(slot, place));
        }
      });
    feed->wait_for(slot);
    recording.replay();
    feed->release(slot);
    read.window(launch * steps_a_launch * each, last.shape()).copy_from(last);
  }
  feed->send(0);  // and is destroyed before the data has arrived
  feed.reset();
  return read.to_vector<float>();
}

TEST_CASE("input feed on cuda: a hundred drawn orders feed the same" * test::needs_emulation) {
  constexpr std::int64_t launches = 7;
  const auto at_once = [] {
    const AtOnce order;
    return fed(launches);
  }();
  const std::int64_t each = input_bytes + labels + rates;
  for (std::int64_t step = 0; step < launches * steps_a_launch; ++step) {
    const float* row = at_once.data() + step * each;
    CHECK(row[input_bytes - 1] == static_cast<float>(byte_of(step)));
    CHECK(row[input_bytes] == static_cast<float>(step));
    CHECK(row[input_bytes + labels] == 0.5f * static_cast<float>(step));
  }
  std::uint64_t same = 0;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    const DrawnOrder order(seed);
    CAPTURE(seed);
    std::vector<float> drawn;
    CHECK_NOTHROW(drawn = fed(launches));
    CHECK_NOTHROW(gpu().synchronize());
    same += drawn == at_once ? 1 : 0;
  }
  CHECK(same == 100);
}

// ---- training steps, with saving

PretrainOptions options_of_orders(std::int64_t steps_in_a_launch) {
  PretrainOptions o = small_options(4, 2);
  o.head = HeadKind::linear;
  o.momentum = 0.9;
  o.steps_a_launch = steps_in_a_launch;
  o.checkpoint_every.steps = 6;
  return o;
}

const std::vector<std::int32_t> step_labels = {0, 1, 0, 1, 0, 1, 0, 1};  // of the loss, and classes

std::vector<std::uint8_t> random_bytes(std::size_t count, std::uint32_t number) {
  std::vector<std::uint8_t> drawn(count);
  RandomStream random(63, Purpose::test, number);
  for (std::uint8_t& byte : drawn) byte = static_cast<std::uint8_t>(random.below(256));
  return drawn;
}

std::vector<std::uint8_t> views_of(std::uint32_t step) {
  std::vector<ResidentView> views(4);
  for (std::size_t i = 0; i < views.size(); ++i) {
    ResidentView& view = views[i];
    view.picture = static_cast<std::int32_t>((step + i) % 3);
    view.crop_height = view.crop_width = view.resized_height = view.resized_width = 4;
    view.flip = static_cast<std::int32_t>(step + i) % 2;
  }
  const auto* first = reinterpret_cast<const std::uint8_t*>(views.data());
  return {first, first + views.size() * sizeof(ResidentView)};
}

// All results of a run.
struct Outcome {
  std::vector<double> losses;
  std::vector<float> values, features, inputs;  // inputs: of some of the steps, kept while later ones ran
  std::map<std::string, std::string> files;
  bool operator==(const Outcome&) const = default;
};

enum class Order { at_once, latest, drawn };

// `steps` steps in epochs of 9. Each step starts in one drawn order and continues in another, so there are
// twice as many orders.
Outcome train(const PretrainOptions& settings, const std::optional<ResidentPictures>& pictures,
              std::uint32_t steps, Order order) {
  const TemporaryFolder folder;
  PretrainOptions o = settings;
  o.out = folder.path.string();
  Outcome outcome;
  Learner learner(o, Device::cuda, 2);
  const auto running = make_training_steps(o, Device::cuda, learner, pictures);
  RunState state;
  std::uint64_t seed = 0;
  const auto draw = [&] {
    if (order == Order::drawn) gpu().emulation->draw_order(seed++);
  };
  std::vector<StepInputs> kept;
  std::vector<std::pair<Checkpoint, std::vector<float>>> saved;  // and the first parameter at the time
  const auto take = [&](const std::vector<StepResult>& results) {
    for (const StepResult& result : results) {
      CHECK(result.step == state.steps_done++);
      CHECK(result.step_seconds > 0);
      outcome.losses.push_back(result.loss);
      if (result.step % 7 == 3) kept.push_back(running->inputs_of(result.step));
    }
  };
  {
    Saver saver(o, 0, [&] {
      take(running->finish());
      Checkpoint checkpoint(learner.model().store, learner.state(), state);
      saved.emplace_back(checkpoint, learner.model().store.parameters().front().value.to_vector<float>());
      return checkpoint;
    });
    running->begin();
    for (std::uint32_t step = 0; step < steps; ++step) {
      draw();
      take(running->run(pictures ? views_of(step) : random_bytes(4 * 4 * 4 * 3, step), step_labels, 0.01));
      draw();
      saver.after_step(state.steps_done);
      if (step % 9 == 8) {
        take(running->finish());
        for (const float value : running->outputs().features.to_vector<float>())
          outcome.features.push_back(value);
        running->begin();
      }
    }
    saver.save_for_sure();
  }
  CHECK(saved.size() >= 2);
  for (const auto& [checkpoint, value] : saved)
    CHECK(checkpoint.model().parameters().front().value.to_vector<float>() == value);
  for (const StepInputs& inputs : kept) {
    for (const float value : inputs.images[0].to_vector<float>()) outcome.inputs.push_back(value);
    for (const float value : inputs.labels.to_vector<float>()) outcome.inputs.push_back(value);
  }
  outcome.values = learner.model().store.flat_values().to_vector<float>();
  for (const auto& entry : std::filesystem::directory_iterator(folder.path))
    if (entry.is_regular_file()) outcome.files[entry.path().filename()] = read_bytes(entry.path());
  // Pending work is waited for when a run ends with an error.
  if (order != Order::at_once) gpu().emulation->draw_order(0);
  for (std::uint32_t step = 0; step < 2; ++step)
    running->run(pictures ? views_of(step) : random_bytes(4 * 4 * 4 * 3, step), step_labels, 0.01);
  return outcome;
}

void check_orders(const PretrainOptions& o, const std::optional<ResidentPictures>& pictures,
                  std::uint32_t steps, Order order = Order::drawn) {
  Outcome at_once, drawn;
  {
    const AtOnce scope;
    at_once = train(o, pictures, steps, Order::at_once);
  }
  REQUIRE(at_once.losses.size() == steps);
  for (const double loss : at_once.losses) CHECK(std::isfinite(loss));
  CHECK(at_once.losses.front() != at_once.losses.back());
  CHECK(at_once.files.size() >= 2);
  {
    const DrawnOrder scope(0);
    CHECK_NOTHROW(drawn = train(o, pictures, steps, order));
    CHECK_NOTHROW(gpu().synchronize());
  }
  CHECK(drawn.losses == at_once.losses);
  CHECK(drawn.features == at_once.features);
  CHECK(drawn.inputs == at_once.inputs);
  CHECK(drawn.values == at_once.values);
  CHECK(drawn.files == at_once.files);
}

const ResidentPictures three_pictures{random_bytes(3 * 4 * 4 * 3, 1000), 4, 4};

TEST_CASE("steps on cuda: as late as can be, they do the same" * test::needs_emulation) {
  check_orders(options_of_orders(1), three_pictures, 10, Order::latest);
}

TEST_CASE("steps on cuda: fed and saved in a hundred drawn orders, they do the same" * test::needs_emulation) {
  check_orders(options_of_orders(2), {}, 50);
}

TEST_CASE("steps on cuda: with resident pictures in a hundred drawn orders, they do the same" *
          test::needs_emulation) {
  check_orders(options_of_orders(1), three_pictures, 50);
}

}  // namespace
}  // namespace kindred
