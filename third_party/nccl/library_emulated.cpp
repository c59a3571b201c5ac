// In the place of NCCL where the GPU is emulated: the same calls between processes of one machine, or threads of one
// process, as work in the emulated streams.
//
// What a process gives to a call is a file in a folder whose name is the communicators' id; the call is done when the
// files of all processes are there. So nothing here waits for another process except the emulated stream, as on a GPU: two
// communicators on two streams do not hold each other up, and a stream that waits lets the host look.
//
// Errors that NCCL would answer with a wrong result, or with waiting for ever, have a name here: processes that make
// different calls, calls of one group that use the same memory, memory that is not the GPU's or that another stream uses.
#include <kindred/engine/cuda/emulation/streams.h>
#include <kindred/engine/error.h>
#include <kindred/engine/files/system_message.h>
#include <kindred/third_party/nccl/calls.h>

#include <stdlib.h>  // defines: mkdtemp

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

namespace kindred::nccl {
namespace {

namespace emulation = cuda::emulation;
namespace fs = std::filesystem;
using emulation::Use;

struct Shared {
  fs::path folder;
  int number;  // of the communicator, in the folder
  int rank, size;
  std::uint64_t calls = 0;  // that have entered a stream
  std::atomic<bool> is_over{false};

  // What process r gave to a call.
  fs::path file(std::uint64_t call, int r) const { return folder / fmt::format("{}.{}.{}", number, call, r); }
  fs::path has_joined(int r) const { return folder / fmt::format("joined.{}", r); }
  fs::path has_left(int r) const { return folder / fmt::format("{}.left.{}", number, r); }
  fs::path aborted() const { return folder / "aborted"; }
};

// One call of a group.
struct Call {
  std::string text;  // must be the same for all processes
  Use given;
  std::vector<Use> uses;
  std::function<void(const std::vector<const std::byte*>& parts)> take;  // by rank
};

std::size_t length(const Use& use) {
  return use.end - use.begin;
}

// ---- files

void write_file(const fs::path& path, const std::string& content) {
  const fs::path part = path.string() + ".part";
  std::ofstream(part, std::ios::binary) << content;
  std::error_code error;
  fs::rename(part, path, error);  // whoever sees the file sees all of it
}

std::string read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

bool has_file(const fs::path& path) {
  std::error_code error;
  return fs::exists(path, error);
}

// ---- a call in a stream

// The calls of a group, each time that they enter a stream.
class Message {
 public:
  Message(std::shared_ptr<Shared> shared, std::vector<Call> calls)
      : shared_(std::move(shared)), calls_(std::move(calls)), number_(shared_->calls++) {
    for (const Call& call : calls_) text_ += (text_.empty() ? "" : ", then ") + call.text;
  }

  // Gives this process's part the first time. Returns true when all parts are there.
  bool is_ready() {
    if (shared_->is_over) return true;  // take() says so
    if (!is_given_) {
      std::string content = text_ + '\n';
      for (const Call& call : calls_)
        content.append(reinterpret_cast<const char*>(call.given.begin), length(call.given));
      write_file(shared_->file(number_, shared_->rank), content);
      is_given_ = true;
    }
    while (arrived_ < shared_->size && has_file(shared_->file(number_, arrived_))) ++arrived_;
    return arrived_ == shared_->size;
  }

  void take() const {
    check(!shared_->is_over, ExitCode::lost, "NCCL (emulated): {}: the communicator has been ended", text_);
    std::vector<std::string> contents;
    for (int r = 0; r < shared_->size; ++r) {
      contents.push_back(read_file(shared_->file(number_, r)));
      const std::string text = contents.back().substr(0, contents.back().find('\n'));
      check(text == text_, ExitCode::internal,
            "NCCL (emulated): rank {} calls {} and rank {} calls {}; all processes must make the same calls in "
            "the "
            "same order",
            shared_->rank, text_, r, text);
    }
    // Everybody has given to this call, and so has read what was given to the one before.
    std::error_code error;
    if (number_ > 0) fs::remove(shared_->file(number_ - 1, shared_->rank), error);
    std::size_t at = text_.size() + 1;
    for (const Call& call : calls_) {
      std::vector<const std::byte*> parts;
      for (const std::string& content : contents)
        parts.push_back(reinterpret_cast<const std::byte*>(content.data() + at));
      call.take(parts);
      at += length(call.given);
    }
  }

 private:
  std::shared_ptr<Shared> shared_;
  std::vector<Call> calls_;
  std::uint64_t number_;
  std::string text_;
  bool is_given_ = false;
  int arrived_ = 0;
};

void start(const std::shared_ptr<Shared>& shared, std::vector<Call> calls, GpuStream stream) {
  check(!shared->is_over, ExitCode::lost, "NCCL (emulated): {}: the communicator has been ended",
        calls[0].text);
  std::vector<Use> uses;
  for (const Call& call : calls) {
    for (const Use& use : call.uses)
      for (const Use& earlier : uses)
        check(!conflict(earlier, use), ExitCode::internal,
              "NCCL (emulated): {} uses memory of an earlier call of its group, and one of them writes",
              call.text);
    uses.insert(uses.end(), call.uses.begin(), call.uses.end());
  }
  const std::string name = fmt::format("NCCL's {}{}", calls[0].text, calls.size() == 1 ? "" : " and others");
  emulation::start({name, nullptr, std::move(uses),
                    [shared, calls = std::move(calls)] {
                      const auto message = std::make_shared<Message>(shared, calls);
                      return emulation::Turn([message] { message->take(); },
                                             [message] { return message->is_ready(); });
                    }},
                   stream);
}

// ---- groups

struct Group {
  std::shared_ptr<Shared> shared;
  GpuStream stream = GpuStream::compute;
  std::vector<Call> calls;
};
thread_local std::optional<Group> group;

}  // namespace
}  // namespace kindred::nccl

struct ncclComm {
  std::shared_ptr<kindred::nccl::Shared> shared;
  int splits = 0;
};

namespace kindred::nccl {
namespace {

void add(ncclComm* communicator, GpuStream stream, Call call) {
  if (!group) return start(communicator->shared, {std::move(call)}, stream);
  check(group->calls.empty() || (group->shared == communicator->shared && group->stream == stream),
        ExitCode::internal, "NCCL (emulated): a group has calls of one communicator, on one stream");
  group->shared = communicator->shared;
  group->stream = stream;
  group->calls.push_back(std::move(call));
}

void begin_group() {
  check(!group, ExitCode::internal, "NCCL (emulated): a group was begun within a group");
  group.emplace();
}

void end_group() {
  check(group.has_value(), ExitCode::internal, "NCCL (emulated): a group was ended that was not begun");
  Group ended = std::move(*group);
  group.reset();
  if (!ended.calls.empty()) start(ended.shared, std::move(ended.calls), ended.stream);
}

// ---- reductions, in the order of the ranks

template <typename T, typename Sum>
void reduce(const std::vector<const std::byte*>& parts, std::uintptr_t to, std::int64_t count,
            Reduction reduction) {
  for (std::int64_t i = 0; i < count; ++i) {
    const auto at = static_cast<std::size_t>(i) * sizeof(T);
    Sum result{};
    for (std::size_t r = 0; r < parts.size(); ++r) {
      T element;
      std::memcpy(&element, parts[r] + at, sizeof element);
      const auto value = static_cast<Sum>(element);
      if (r == 0)
        result = value;
      else
        result = reduction == Reduction::sum ? static_cast<Sum>(result + value) : std::max(result, value);
    }
    const T rounded = static_cast<T>(result);
    std::memcpy(reinterpret_cast<std::byte*>(to) + at, &rounded, sizeof rounded);
  }
}

using Reduce = void (*)(const std::vector<const std::byte*>&, std::uintptr_t, std::int64_t, Reduction);

Reduce reduce_of(DType type) {
  switch (type) {
    case DType::f32:
      return reduce<float, float>;
    case DType::f64:
      return reduce<double, double>;
    case DType::bf16:
      return reduce<BFloat16, float>;
    case DType::f16:
      return reduce<Float16, float>;
    case DType::i32:
      return reduce<std::int32_t, std::int64_t>;
    case DType::u8:
      break;
  }
  fail(ExitCode::internal, "NCCL (emulated): {} tensors cannot be added", name(type));
}

void all_reduce(void* data, std::int64_t count, DType type, Reduction reduction, ncclComm* communicator,
                GpuStream stream) {
  const std::string text = fmt::format("all_reduce of {} {} ({})", count, name(type),
                                       reduction == Reduction::sum ? "sum" : "maximum");
  const Use use = emulation::exact_use(data, static_cast<std::size_t>(count) * size_of(type), true, text);
  const Reduce body = reduce_of(type);
  add(communicator, stream, {text, use, {use}, [=](const std::vector<const std::byte*>& parts) {
                               body(parts, use.begin, count, reduction);
                             }});
}

void all_gather(const void* from, void* to, std::size_t bytes, ncclComm* communicator, GpuStream stream) {
  const std::string text = fmt::format("all_gather of {} bytes", bytes);
  const auto size = static_cast<std::size_t>(communicator->shared->size);
  const Use given = emulation::exact_use(from, bytes, false, text);
  const Use taken = emulation::exact_use(to, size * bytes, true, text);
  add(communicator, stream, {text, given, {given, taken}, [=](const std::vector<const std::byte*>& parts) {
                               for (std::size_t r = 0; r < parts.size(); ++r)
                                 std::memcpy(reinterpret_cast<std::byte*>(taken.begin) + r * bytes, parts[r],
                                             bytes);
                             }});
}

void broadcast(void* data, std::size_t bytes, int root, ncclComm* communicator, GpuStream stream) {
  const std::string text = fmt::format("broadcast of {} bytes from rank {}", bytes, root);
  const Use use = emulation::exact_use(data, bytes, true, text);
  add(communicator, stream, {text, use, {use}, [=](const std::vector<const std::byte*>& parts) {
                               std::memcpy(reinterpret_cast<std::byte*>(use.begin),
                                           parts[static_cast<std::size_t>(root)], bytes);
                             }});
}

// ---- communicators

Id make_id() {
  std::string folder = (fs::temp_directory_path() / "kindred_emulated_nccl_XXXXXX").string();
  Id id{};
  check(folder.size() < id.size(), ExitCode::io, "the name of the folder for temporary files is too long: {}",
        folder);
  check(::mkdtemp(folder.data()) != nullptr, ExitCode::io, "{} cannot be made: {}", folder, system_message());
  std::copy(folder.begin(), folder.end(), id.begin());
  return id;
}

ncclComm* join(const Id& id, int rank, int size) {
  const auto shared = std::make_shared<Shared>();
  shared->folder = id.data();
  shared->number = 0;
  shared->rank = rank;
  shared->size = size;
  write_file(shared->has_joined(rank), "");
  for (int r = 0; r < size; ++r)
    while (!has_file(shared->has_joined(r))) {
      check(has_file(shared->folder), ExitCode::lost, "NCCL (emulated): the processes no longer join");
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  return new ncclComm{shared};
}

ncclComm* split(ncclComm* communicator) {
  const auto shared = std::make_shared<Shared>();
  shared->folder = communicator->shared->folder;
  shared->number = ++communicator->splits;
  shared->rank = communicator->shared->rank;
  shared->size = communicator->shared->size;
  return new ncclComm{shared};
}

std::string problem(ncclComm* communicator) {
  return has_file(communicator->shared->aborted()) ? "remote process exited (emulated)" : "";
}

// The last process to leave the first communicator removes the folder. Communicators that were split from it must have
// been left before. The object stays, because other threads may still ask for its problem().
void leave(ncclComm* communicator) {
  const Shared& shared = *communicator->shared;
  communicator->shared->is_over = true;
  write_file(shared.has_left(shared.rank), "");
  if (shared.number != 0) return;
  for (int r = 0; r < shared.size; ++r)
    if (!has_file(shared.has_left(r))) return;
  std::error_code error;
  fs::remove_all(shared.folder, error);
}

const Calls calls = {
    [] { return std::string(); },
    [] { return std::string("NCCL, emulated on the host, for tests"); },
    [] { return std::string("emulated"); },
    make_id,
    join,
    split,
    problem,
    [](ncclComm* communicator) {
      write_file(communicator->shared->aborted(), "");
      leave(communicator);
    },
    leave,
    all_reduce,
    all_gather,
    broadcast,
    begin_group,
    end_group,
};

}  // namespace

const Calls* const calls_of_cuda = &calls;

}  // namespace kindred::nccl
