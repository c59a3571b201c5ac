#include <kindred/engine/communicator/communicator.h>
#include <kindred/engine/counted.h>
#include <kindred/engine/error.h>

#include <algorithm>
#include <exception>  // defines: std::uncaught_exceptions
#include <utility>

namespace kindred {
namespace {

void check_reducible(DType type, Reduction reduction) {
  const bool is_wide = type == DType::f32 || type == DType::f64 || type == DType::i32;
  const bool is_half = type == DType::bf16 || type == DType::f16;
  check(is_wide || (is_half && reduction == Reduction::sum), ExitCode::internal,
        "processes cannot take the {} of {} tensors; expected {}",
        reduction == Reduction::sum ? "sum" : "maximum", name(type),
        reduction == Reduction::sum ? "f32, f64, i32, bf16 or f16" : "f32, f64 or i32");
}

void check_root(int root, int size) {
  check(root >= 0 && root < size, ExitCode::internal, "process {} cannot broadcast; expected 0 to {}", root,
        size - 1);
}

}  // namespace

Communicator::Communicator(int rank, int size, std::shared_ptr<Transport> host,
                           std::shared_ptr<Transport> device)
    : rank_(rank), size_(size), host_(std::move(host)), device_(std::move(device)) {
  check(size >= 1 && rank >= 0 && rank < size, ExitCode::internal, "process {} of {}; expected 0 to {}", rank,
        size, size - 1);
  check(size == 1 || host_ != nullptr, ExitCode::internal, "{} need a transport for tensors of the host",
        counted(size, "process"));
}

Transport* Communicator::transport_of(const Tensor& tensor) const {
  if (tensor.device() == Device::plan || tensor.numel() == 0) return nullptr;
  Transport* const transport = is_host(tensor.device()) ? host_.get() : device_.get();
  check(is_alone() || transport != nullptr, ExitCode::internal,
        "{} were given a tensor on device {}, and this communicator has no transport for it",
        counted(size_, "process"), name(tensor.device()));
  return transport;
}

void Communicator::all_reduce(Output tensor, Reduction reduction) const {
  check_reducible(tensor.dtype(), reduction);
  if (Transport* const transport = transport_of(tensor))
    transport->all_reduce(tensor.raw(), tensor.numel(), tensor.dtype(), reduction);
}

void Communicator::all_gather(const Tensor& local, Output gathered) const {
  check(gathered.numel() == size_ * local.numel(), ExitCode::internal,
        "what {} give, each in shape {}, was gathered into shape {}; expected {} elements",
        counted(size_, "process"), local.shape(), gathered.shape(), size_ * local.numel());
  check(gathered.dtype() == local.dtype() && gathered.device() == local.device(), ExitCode::internal,
        "a {} tensor on device {} was gathered into a {} tensor on device {}; expected the same",
        name(local.dtype()), name(local.device()), name(gathered.dtype()), name(gathered.device()));
  if (Transport* const transport = transport_of(local))
    transport->all_gather(local.raw(), gathered.raw(), local.bytes());
  else if (is_alone() && gathered.raw() != local.raw())
    gathered.reshape(local.shape()).copy_from(local);
}

void Communicator::broadcast(Output tensor, int root) const {
  check_root(root, size_);
  if (Transport* const transport = transport_of(tensor))
    transport->broadcast(tensor.raw(), tensor.bytes(), root);
}

void Communicator::barrier() const {
  if (is_alone()) return;
  // Nobody has the sum before everybody has given a part of it.
  std::int32_t arrived = 1;
  host_->all_reduce(&arrived, 1, DType::i32, Reduction::sum);
}

Communicator::Group::Group(const Communicator& processes) : processes_(processes) {
  if (processes_.host_) processes_.host_->begin_group();
  if (processes_.device_) processes_.device_->begin_group();
}

Communicator::Group::~Group() noexcept(false) {
  // A second exception while the first is under way would end the program without a word.
  const bool may_throw = std::uncaught_exceptions() == 0;
  try {
    if (processes_.device_) processes_.device_->end_group();
    if (processes_.host_) processes_.host_->end_group();
  } catch (...) {
    if (may_throw) throw;
  }
}

void Communicator::start_sum(Output tensor) const {
  check_reducible(tensor.dtype(), Reduction::sum);
  if (Transport* const transport = transport_of(tensor))
    transport->start_sum(tensor.raw(), tensor.numel(), tensor.dtype());
}

void Communicator::progress() const {
  if (host_) host_->progress();
  if (device_) device_->progress();
}

void Communicator::finish_sums() const {
  if (device_) device_->finish_sums();
  if (host_) host_->finish_sums();
}

bool Communicator::look(double waited, const std::string& problem) const {
  return !is_alone() && host_->look(waited, problem);
}

std::vector<double> Communicator::sum(std::vector<double> values) const {
  if (!is_alone() && !values.empty())
    host_->all_reduce(values.data(), static_cast<std::int64_t>(values.size()), DType::f64, Reduction::sum);
  return values;
}

std::vector<double> Communicator::max(std::vector<double> values) const {
  if (!is_alone() && !values.empty())
    host_->all_reduce(values.data(), static_cast<std::int64_t>(values.size()), DType::f64, Reduction::max);
  return values;
}

std::vector<std::string> Communicator::gather(const std::string& text) const {
  if (is_alone()) return {text};
  const auto count = static_cast<std::size_t>(size_);
  const std::uint64_t own_length = text.size();
  std::vector<std::uint64_t> lengths(count);
  host_->all_gather(&own_length, lengths.data(), sizeof own_length);
  // Places of equal size, as long as the longest text.
  const std::size_t place = *std::max_element(lengths.begin(), lengths.end());
  std::string own = text, all(count * place, '\0');
  own.resize(place, '\0');
  if (place > 0) host_->all_gather(own.data(), all.data(), place);
  std::vector<std::string> texts(count);
  for (std::size_t r = 0; r < count; ++r) texts[r] = all.substr(r * place, lengths[r]);
  return texts;
}

std::string Communicator::broadcast(const std::string& text, int root) const {
  check_root(root, size_);
  if (is_alone()) return text;
  std::uint64_t length = text.size();
  host_->broadcast(&length, sizeof length, root);
  std::string result = rank_ == root ? text : std::string(length, '\0');
  if (length > 0) host_->broadcast(result.data(), length, root);
  return result;
}

std::string Communicator::description() const {
  std::string text;
  for (const auto& transport : {host_, device_})
    if (transport) text += (text.empty() ? " over " : " and ") + transport->description();
  return is_alone() && text.empty() ? "" : counted(size_, "process") + text;
}

}  // namespace kindred
