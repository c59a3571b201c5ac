// What a GPU would have to do for a step, counted where there is none: bytes, multiplications and launches.
//
// The kernels of the device `plan` (plan.cpp of each folder) compute nothing. Each says what the kernels of the
// device `cuda` that it stands for would do, and a WorkLog that listens writes it down, with the layer for
// which it was done. A table of a GPU's rates makes times of it (apps/common/gpu_rates.h).
#pragma once

#include <kindred/engine/tensor.h>

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace kindred {

// A kind of kernel, by the name under which tables of rates know it: from the general to the particular, with
// dots between, "conv2d.forward.3x3". Each is one static object in a plan.cpp; the constructor puts it on
// the list by which such tables are checked.
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

// Of one or several launches of a kernel.
struct Work {
  std::int64_t read = 0, written = 0;  // bytes of the GPU's memory; what comes from its caches is not counted
  double operations = 0;               // additions and multiplications: a product of sums counts two for a term
  DType factors = DType::f32;          // what is multiplied
  int launches = 1;
  // The work of the multiprocessor that has the most, over that of an even share: 1 where there are many blocks
  // alike.
  double unevenness = 1;
};

// Of all that are defined.
std::int64_t bytes_of(std::initializer_list<Tensor> tensors);

// Writes down the work of operations of this thread on the device `plan` as long as it lives. Logs nest; the
// innermost listens.
class WorkLog {
 public:
  struct Entry {
    const WorkKind* kind;
    Work work;
    std::string layer;      // the TapeLabel; without one the first part of the kind's name
    bool backward = false;  // of a backward pass
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

// Nothing where no log listens.
void record_work(const WorkKind& kind, const Work& work);

}  // namespace kindred
