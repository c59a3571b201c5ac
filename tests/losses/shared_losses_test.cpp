// Losses of a batch that is divided among processes, against the function of one process that has the whole
// batch. The losses and statistics agree within 1e-12 in f64 on reference and 1e-6 in f32 on cpu, relative to
// the values; the gradients within 1e-10 and 1e-5, norm-wise. What the processes get is the same among them
// to the bit.
#include <kindred/apps/training/loss.h>
#include <kindred/engine/kernels/work.h>
#include <kindred/engine/tape.h>
#include <kindred/layers/concatenate/concatenate.h>
#include <kindred/losses/gathered/gathered.h>
#include <kindred/losses/supcon/shared.h>

#include "../engine/communicator/threads.h"
#include "../errors.h"
#include "shared_evaluate.h"

#include <doctest/doctest.h>

#include <cmath>

namespace kindred {
namespace {

using namespace shared_losses;
using test::code_of;

// With each variant, denominator, contrast and reduction.
template <typename Body>
void for_each_options(int views, Body&& body) {
  for (const SupConVariant variant : {SupConVariant::out, SupConVariant::in})
    for (const SupConDenominator denominator :
         {SupConDenominator::all, SupConDenominator::one_positive, SupConDenominator::only_negatives})
      for (const SupConContrast contrast : {SupConContrast::all, SupConContrast::one})
        for (const SupConReduction reduction :
             {SupConReduction::all_anchors, SupConReduction::anchors_with_positives}) {
          CAPTURE(static_cast<int>(variant));
          CAPTURE(static_cast<int>(denominator));
          CAPTURE(static_cast<int>(contrast));
          CAPTURE(static_cast<int>(reduction));
          body(SupConOptions{.temperature = 0.3f,
                             .base_temperature = reduction == SupConReduction::all_anchors ? 0.0f : 0.07f,
                             .reduction = reduction,
                             .variant = variant,
                             .denominator = denominator,
                             .contrast = contrast,
                             .views = views});
        }
}

Loss shared_supcon(const SupConOptions& options) {
  return [options](const Communicator& processes, const Tensor& z, const Tensor& y, SupConStatistics* s) {
    return supcon_shared(processes, z, y, options, s);
  };
}

Loss whole_supcon(const SupConOptions& options) {
  return [options](const Communicator&, const Tensor& z, const Tensor& y, SupConStatistics* s) {
    return supcon(z, y, options, s);
  };
}

TEST_CASE("many processes: supcon is that of one, with every option") {
  for (const int views : {1, 2, 3}) {
    const Rows rows = unit_rows(views, 12, 5, 1);
    for (const Arithmetic& a : arithmetics)
      for_each_options(views, [&](SupConOptions options) {
        for (const int cap : {0, 1, 3}) {
          CAPTURE(cap);
          options.positives_cap = cap;
          check_shared(rows, a, shared_supcon(options), whole_supcon(options));
        }
      });
  }
}

TEST_CASE("many processes: supcon of several tiles") {
  const Rows rows = unit_rows(2, 600, 37, 2);
  for (const int cap : {0, 9}) {
    const SupConOptions options{.temperature = 0.1f, .views = 2, .positives_cap = cap};
    check_shared(rows, arithmetics[1], shared_supcon(options), whole_supcon(options));
  }
}

TEST_CASE("many processes: NT-Xent, with an image that two processes have") {
  Rows rows = unit_rows(2, 8, 5, 3);
  for (std::size_t i = 0; i < rows.labels.size(); ++i)
    rows.labels[i] = static_cast<std::int32_t>(i % 8 == 6 ? 1 : i % 8);
  const SupConOptions options{.temperature = 0.5f, .views = 2};
  for (const Arithmetic& a : arithmetics) check_shared(rows, a, shared_supcon(options), whole_supcon(options));
}

TEST_CASE("many processes: supcon without negatives, and without positives") {
  Rows rows = unit_rows(2, 8, 5, 4);
  for (const bool one_class : {true, false}) {
    for (std::size_t i = 0; i < rows.labels.size(); ++i)
      rows.labels[i] = one_class ? 2 : static_cast<std::int32_t>(i);
    for (const Arithmetic& a : arithmetics)
      for_each_options(2, [&](const SupConOptions& options) {
        const Result expected = evaluate(Communicator(), rows, a, whole_supcon(options));
        const Result result = evaluate_shared(4, rows, a, shared_supcon(options));
        CHECK(result.positives == expected.positives);
        CHECK(result.negatives == expected.negatives);
        CHECK(std::abs(result.loss[0] - expected.loss[0]) <= a.values * (1 + std::abs(expected.loss[0])));
        for (std::size_t i = 0; i < result.gradient.size(); ++i)
          CHECK(std::abs(result.gradient[i] - expected.gradient[i]) <= a.gradients);
      });
  }
}

TEST_CASE("many processes: narrow features travel as they are, and their gradient is narrow") {
  const Rows rows = unit_rows(2, 20, 12, 5);
  const SupConOptions options{.temperature = 0.2f, .views = 2};
  for (const DType dtype : {DType::bf16, DType::f16})
    check_shared(rows, {Device::cpu, dtype, 1e-6, 4e-3}, shared_supcon(options), whole_supcon(options));
}

// Contrasts that every process has: seven rows, some of no class.
struct QueueRows {
  Tensor features, labels;

  QueueRows(std::int64_t dim, const Arithmetic& a) {
    const Rows rows = unit_rows(1, 7, dim, 6);
    features = features_of(rows, Communicator(), a);
    labels = Tensor::from(std::vector<std::int32_t>{0, -1, 1, 4, -1, 103, 1}, {7}, a.device);
  }
};

TEST_CASE("many processes: supcon with a queue is that of one") {
  for (const int views : {1, 2}) {
    const Rows rows = unit_rows(views, 12, 5, 7);
    for (const Arithmetic& a : arithmetics) {
      const QueueRows queue(rows.dim, a);
      for_each_options(views, [&](const SupConOptions& options) {
        const Loss shared = [&](const Communicator& processes, const Tensor& z, const Tensor& y,
                                SupConStatistics* s) {
          return supcon_with_queue_shared(processes, z, y, queue.features, queue.labels, options, s);
        };
        const Loss whole = [&](const Communicator&, const Tensor& z, const Tensor& y, SupConStatistics* s) {
          return supcon_against(z, y, concatenate(z, queue.features), concatenate(y, queue.labels), 0, options,
                                s);
        };
        check_shared(rows, a, shared, whole);
        const Result alone = evaluate(Communicator(), rows, a, shared),
                     expected = evaluate(Communicator(), rows, a, whole);
        CHECK(alone.loss == expected.loss);
        CHECK(alone.gradient == expected.gradient);
      });
    }
  }
}

TEST_CASE("many processes: supcon against a momentum encoder's keys and a queue is that of one") {
  const Rows queries = unit_rows(1, 12, 5, 8), keys = unit_rows(2, 12, 5, 9);
  for (const Arithmetic& a : arithmetics) {
    const QueueRows queue(queries.dim, a);
    for_each_options(1, [&](const SupConOptions& options) {
      const Loss shared = [&](const Communicator& processes, const Tensor& z, const Tensor& y,
                              SupConStatistics* s) {
        const Tensor all = gathered_views(processes, features_of(keys, processes, a), keys.views);
        const Tensor labels = gathered_views(processes, labels_of(keys, processes, a), keys.views);
        return supcon_against_shared(processes, z, y, concatenate(all, queue.features),
                                     concatenate(labels, queue.labels), options, s);
      };
      const Loss whole = [&](const Communicator& alone, const Tensor& z, const Tensor& y, SupConStatistics* s) {
        const Tensor contrasts = concatenate(features_of(keys, alone, a), queue.features);
        const Tensor labels = concatenate(labels_of(keys, alone, a), queue.labels);
        return supcon_against(z, y, contrasts, labels, contrasts.dim(0), options, s);
      };
      check_shared(queries, a, shared, whole);
    });
  }
}

void check_loss_of(const Rows& rows, const LossOptions& options) {
  CAPTURE(static_cast<int>(options.kind));
  const Loss shared = [&](const Communicator& processes, const Tensor& z, const Tensor& y,
                          SupConStatistics* s) { return loss_of(processes, z, y, options, s); };
  const Loss whole = [&](const Communicator&, const Tensor& z, const Tensor& y, SupConStatistics* s) {
    return loss_of(z, y, options, s);
  };
  for (const Arithmetic& a : arithmetics) check_shared(rows, a, shared, whole);
}

TEST_CASE("many processes: every loss of a run is that of one") {
  const Rows rows = unit_rows(2, 12, 5, 10);
  LossOptions options;
  options.supcon = {.temperature = 0.4f, .views = 2};
  for (const LossKind kind : {LossKind::supcon, LossKind::nt_xent, LossKind::n_pairs}) {
    options.kind = kind;
    check_loss_of(rows, options);
  }
  options.kind = LossKind::max_margin;
  for (const float margin : {0.5f, 1.5f}) {
    options.max_margin.margin = margin;
    check_loss_of(rows, options);
  }
  options.kind = LossKind::triplet;
  for (const TripletMining mining :
       {TripletMining::batch_all, TripletMining::batch_hard, TripletMining::semi_hard})
    for (const TripletReduction reduction : {TripletReduction::chosen, TripletReduction::active}) {
      options.triplet = {.margin = 0.4f, .mining = mining, .reduction = reduction};
      check_loss_of(rows, options);
    }
}

TEST_CASE("many processes: cross-entropy is that of one") {
  for (const int views : {1, 2}) {
    Rows rows = unit_rows(views, 12, 9, 11);  // of nine classes
    for (std::size_t i = 0; i < rows.labels.size(); ++i) rows.labels[i] %= 9;
    LossOptions options;
    options.kind = LossKind::cross_entropy;
    options.supcon.views = views;
    for (const float smoothing : {0.0f, 0.1f}) {
      options.label_smoothing = smoothing;
      check_loss_of(rows, options);
    }
  }
}

TEST_CASE("many processes: the work of a step that is only planned is that of own rows and all columns") {
  run_processes(2, [](const Communicator& processes) {
    Tensor z = Tensor::empty({128, 32}, DType::f32, Device::plan);
    z.set_requires_grad();
    const Tensor labels = Tensor::empty({128}, DType::i32, Device::plan);
    WorkLog log;
    Tape tape;
    const Tensor loss = supcon_shared(processes, z, labels, {.views = 2, .positives_cap = 4});
    tape.backward(loss, Tensor::empty({}, DType::f32, Device::plan));
    int found = 0;
    for (const WorkLog::Entry& entry : log.entries()) {
      const double pairs = 128.0 * 256.0;
      if (entry.kind->name() == "supcon.forward") found += entry.work.operations == 2 * pairs * 32;
      if (entry.kind->name() == "supcon.backward") found += entry.work.operations == 2 * pairs * (32 + 128);
    }
    check(found == 2 && tape.gradient(z).shape() == z.shape(), ExitCode::internal, "the work is not counted");
  });
}

TEST_CASE("many processes: what losses refuse") {
  const Rows rows = unit_rows(2, 8, 5, 15);
  const Arithmetic& a = arithmetics[1];
  const QueueRows queue(rows.dim, a);
  const auto refused = [&](const std::function<void(const Communicator&, const Tensor&, const Tensor&)>& call) {
    return code_of([&] {
      run_processes(2, [&](const Communicator& processes) {
        call(processes, features_of(rows, processes, a), labels_of(rows, processes, a));
      });
    });
  };
  const SupConOptions capped{.views = 2, .positives_cap = 1};
  CHECK(refused([&](const Communicator& processes, const Tensor& z, const Tensor& y) {
          supcon_with_queue_shared(processes, z, y, queue.features, queue.labels, capped);
        }) == ExitCode::usage);
  CHECK(refused([&](const Communicator& processes, const Tensor& z, const Tensor& y) {
          supcon_against_shared(processes, z, y, queue.features, queue.labels, capped);
        }) == ExitCode::usage);
  CHECK(refused([&](const Communicator& processes, const Tensor& z, const Tensor& y) {
          supcon_shared(processes, z, y, {.temperature = -1});
        }) == ExitCode::usage);
  CHECK(refused([&](const Communicator& processes, const Tensor& z, const Tensor& y) {
          supcon_shared(processes, z, y.rows(1, 3));
        }) == ExitCode::internal);
  CHECK(refused([&](const Communicator& processes, const Tensor& z, const Tensor& y) {
          Tensor wants = queue.features.to(a.device, a.dtype);
          wants.set_requires_grad();
          supcon_against_shared(processes, z, y, wants, queue.labels);
        }) == ExitCode::internal);
  CHECK(refused([&](const Communicator& processes, const Tensor& z, const Tensor& y) {
          supcon_with_queue_shared(processes, z.to(a.device, DType::bf16), y, queue.features, queue.labels);
        }) == ExitCode::internal);
}

}  // namespace
}  // namespace kindred
