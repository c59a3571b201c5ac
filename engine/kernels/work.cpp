#include <kindred/engine/kernels/work.h>
#include <kindred/engine/tape.h>

namespace kindred {
namespace {

thread_local WorkLog* listening = nullptr;

std::vector<const WorkKind*>& kinds() {
  static std::vector<const WorkKind*> list;
  return list;
}

}  // namespace

WorkKind::WorkKind(const char* name) : name_(name) {
  kinds().push_back(this);
}

const std::vector<const WorkKind*>& WorkKind::all() {
  return kinds();
}

std::int64_t bytes_of(std::initializer_list<Tensor> tensors) {
  std::int64_t bytes = 0;
  for (const Tensor& tensor : tensors)
    if (tensor.defined()) bytes += static_cast<std::int64_t>(tensor.bytes());
  return bytes;
}

WorkLog::WorkLog() : outer_(listening) {
  listening = this;
}

WorkLog::~WorkLog() {
  listening = outer_;
}

void record_work(const WorkKind& kind, const Work& work) {
  if (listening == nullptr) return;
  const std::string_view label = TapeLabel::current();
  const std::string_view layer = label.empty() ? kind.name().substr(0, kind.name().find('.')) : label;
  listening->entries_.push_back({&kind, work, std::string(layer), Tape::is_walking_back()});
}

}  // namespace kindred
