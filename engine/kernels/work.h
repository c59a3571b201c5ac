// What a GPU would have to do for a step, counted without one: bytes, multiplications and launches.
//
// The kernels of the device `plan` (plan.cpp in each folder) compute nothing. Each of them describes what the
// corresponding kernels of device `cuda` would do. An active WorkLog writes this down, together with the layer
// that the work is done for. A table of a GPU's rates turns it into times
// (apps/training/gpu_rates/gpu_rates.h).
#pragma once

#include <kindred/engine/tensor.h>

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace kindred {

// A kind of kernel, under the name that tables of rates use. The name goes from general to specific, separated
// by dots: "conv2d.forward.3x3". Each kind is one static object in a plan.cpp. The constructor registers it in
// the list that such tables are checked against.
class WorkKind {
 public:
  explicit WorkKind(const char* name);
  WorkKind(const WorkKind&) = delete;
  WorkKind& operator=(const WorkKind&) = delete;
  std::string_view name() const { return name_; }
  static const std::vector<const WorkKind*>& all();

 private:
  const char* name_;
};

// The work of one or several launches of a kernel.
struct Work {
  std::int64_t read = 0, written = 0;  // bytes of GPU memory; bytes that come from caches are not counted
  double operations = 0;               // additions and multiplications: two for each term of a sum of products
  DType factors = DType::f32;          // the type of the factors
  int launches = 1;
  // The work of the busiest multiprocessor, divided by an even share. It is 1 if there are many equal blocks.
  double unevenness = 1;
};

// The bytes of all tensors that are defined.
std::int64_t bytes_of(std::initializer_list<Tensor> tensors);

// As long as a WorkLog exists, it writes down the work of this thread's operations on the device `plan`. Logs
// can be nested; only the innermost one is written to.
class WorkLog {
 public:
  struct Entry {
    const WorkKind* kind;
    Work work;
    std::string layer;      // the TapeLabel; without one, the first part of the kind's name
    bool backward = false;  // whether it belongs to a backward pass
  };

  WorkLog();
  ~WorkLog();
  WorkLog(const WorkLog&) = delete;
  WorkLog& operator=(const WorkLog&) = delete;

  const std::vector<Entry>& entries() const { return entries_; }

 private:
  friend void record_work(const WorkKind& kind, const Work& work);
  WorkLog* outer_;
  std::vector<Entry> entries_;
};

// Does nothing if there is no active log.
void record_work(const WorkKind& kind, const Work& work);

}  // namespace kindred
