// What each step of docs/supcon_from_loops_to_tensor_cores.md gains on this machine: the same pass over the
// same features in every form, in turn. Fails if a form gives another loss or gradient than the plain loops.
//
// A tile serves its columns as well as its rows only if both are the same tensor (same_rows() in kernels.h).
// Passing a copy of the features as columns turns this off.
#include <kindred/apps/console/clock.h>
#include <kindred/apps/console/command_line.h>
#include <kindred/apps/console/main.h>
#include <kindred/engine/cpu/parallel.h>
#include <kindred/engine/device_kernels.h>
#include <kindred/engine/random/philox.h>
#include <kindred/layers/l2_normalize/l2_normalize.h>
#include <kindred/losses/supcon/kernels.h>

#include <algorithm>
#include <cmath>

namespace kindred {
namespace {

struct Inputs {
  Tensor features, labels;  // [rows, dim], of length 1; i32 [rows]
};

Inputs draw(std::int64_t rows, std::int64_t dim) {
  RandomStream random(3, Purpose::test);
  std::vector<float> values(static_cast<std::size_t>(rows * dim));
  for (float& value : values) value = random.normal();
  std::vector<std::int32_t> labels(static_cast<std::size_t>(rows));
  for (std::int32_t& label : labels) label = static_cast<std::int32_t>(random.below(10));
  return {l2_normalize(Tensor::from(values, {rows, dim}, Device::cpu)),
          Tensor::from(labels, {rows}, Device::cpu)};
}

struct Form {
  std::string name;
  Device device;
  int threads;
  SupConRows rows = {}, columns = {};
  Tensor losses = {}, loss = {}, weight = {}, upstream = {}, d_rows = {};
  std::vector<double> forward = {}, backward = {};  // milliseconds, one for each round
};

Form make_form(const std::string& name, Device device, int threads, bool each_pair_once, const Inputs& inputs) {
  Form form{.name = name, .device = device, .threads = threads};
  const std::int64_t count = inputs.features.dim(0);
  const auto numbers = [&](const Shape& shape, DType type) { return Tensor::empty(shape, type, device); };
  form.rows.features = inputs.features.to(device, DType::f32);
  form.rows.labels = inputs.labels.to(device, DType::i32);
  form.rows.terms = numbers({supcon_term_count, count}, DType::f32);
  form.rows.lse = numbers({count}, DType::f32);
  form.rows.positives = numbers({count}, DType::i32);
  form.rows.negatives = numbers({count}, DType::i32);
  form.columns = form.rows;
  if (!each_pair_once) form.columns.features = inputs.features.to(device, DType::f32);
  form.losses = numbers({count}, DType::f32);
  form.loss = numbers({}, DType::f32);
  form.weight = numbers({}, DType::f32);
  form.upstream = Tensor::full({}, 1, DType::f32, device);
  form.d_rows = Tensor::empty_like(form.rows.features);
  return form;
}

std::vector<Form> make_forms(const Inputs& inputs) {
  const int threads = compute_threads();
  std::vector<Form> forms{make_form("plain loops, threads: 1", Device::reference, 1, false, inputs)};
  for (const int number : threads > 1 ? std::vector{1, threads} : std::vector{1})
    for (const bool once : {false, true}) {
      const auto name = fmt::format("tiles, each pair {}, threads: {}", once ? "once" : "twice", number);
      forms.push_back(make_form(name, Device::cpu, number, once, inputs));
    }
  if (choose_device("auto").device != Device::cuda) return forms;
  for (const bool once : {false, true})
    forms.push_back(make_form(fmt::format("tensor cores, each pair {}", once ? "once forward" : "twice"),
                              Device::cuda, threads, once, inputs));
  return forms;
}

double seconds_when_done(Device device) {
  if (device == Device::cuda) gpu().synchronize();
  return now_seconds();
}

void pass(Form& form) {
  set_compute_threads(form.threads);
  const SupConKernels& kernels = supcon_kernels(form.device);
  const SupConFormula formula;  // L_out, T = 0.1
  const double start = seconds_when_done(form.device);
  kernels.forward(form.rows, form.columns, formula, Output(form.losses));
  kernels.mean(form.losses, form.rows.positives, SupConReduction::all_anchors, 1, Output(form.loss),
               Output(form.weight));
  const double middle = seconds_when_done(form.device);
  kernels.backward(form.rows, form.columns, formula, form.upstream, form.weight, Output(form.d_rows));
  form.forward.push_back(1e3 * (middle - start));
  form.backward.push_back(1e3 * (seconds_when_done(form.device) - middle));
}

// |a - b| / |b|
double difference(const Tensor& a, const Tensor& b) {
  const auto x = a.to_vector<double>(), y = b.to_vector<double>();
  double apart = 0, length = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    apart += (x[i] - y[i]) * (x[i] - y[i]);
    length += y[i] * y[i];
  }
  return std::sqrt(apart / length);
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return (values[(values.size() - 1) / 2] + values[values.size() / 2]) / 2;
}

// Ratios within each round, because a busy machine slows all forms of a round down.
void print(const Form& form, const Form& loops) {
  std::vector<double> ratios;
  for (std::size_t i = 0; i < form.forward.size(); ++i)
    ratios.push_back((loops.forward[i] + loops.backward[i]) / (form.forward[i] + form.backward[i]));
  const auto [least, most] = std::minmax_element(ratios.begin(), ratios.end());
  fmt::print("{:34} {:9.3f} {:9.3f} {:9.1f} times as fast ({:.1f} to {:.1f})\n", form.name,
             median(form.forward), median(form.backward), median(ratios), *least, *most);
}

int bench(int argc, char** argv) {
  CommandLine line(
      "SupCon from plain loops to tensor cores, forward and backward, each form beside the others.",
      "bench_supcon_forms");
  std::int64_t rows = 1024, dim = 128, rounds = 7;
  line.add("--rows", rows, "of the batch, all views counted").within(2, 1 << 20);
  line.add("--dim", dim, "elements of a row").within(1, 1 << 16);
  line.add("--rounds", rounds, "of all forms in turn").within(1, 1 << 20);
  if (const auto done = line.parse(argc, argv)) return *done;
  std::vector<Form> forms = make_forms(draw(rows, dim));
  for (Form& form : forms) {
    pass(form);  // libraries set themselves up
    const double loss = difference(form.loss, forms[0].loss), d_rows = difference(form.d_rows, forms[0].d_rows);
    check(loss < 1e-4 && d_rows < 1e-4, ExitCode::internal,
          "{}: loss and gradient are {:.1e} and {:.1e} away from the plain loops'", form.name, loss, d_rows);
    form.forward.clear();
    form.backward.clear();
  }
  for (std::int64_t round = 0; round < rounds; ++round)
    for (std::size_t i = 0; i < forms.size(); ++i)
      pass(forms[(static_cast<std::size_t>(round) + i) % forms.size()]);
  fmt::print("{} rows of {} elements; milliseconds, medians of {} rounds\n{:34} {:>9} {:>9}\n", rows, dim,
             rounds, "", "forward", "backward");
  for (const Form& form : forms) print(form, forms[0]);
  return 0;
}

}  // namespace
}  // namespace kindred

int main(int argc, char** argv) {
  return kindred::run_main(argc, argv, kindred::bench);
}
