#include <kindred/engine/communicator/communicator.h>

#include <utility>

namespace kindred {
namespace {

// Never destroyed at the end of the program: by then the libraries that it calls may be gone.
std::unique_ptr<Communicator>& processes_of_run() {
  static auto* const processes = new std::unique_ptr<Communicator>;
  return *processes;
}

thread_local const Communicator* processes_of_thread = nullptr;

}  // namespace

const Communicator& world() {
  static const Communicator alone;
  if (processes_of_thread != nullptr) return *processes_of_thread;
  const Communicator* const all = processes_of_run().get();
  return all != nullptr ? *all : alone;
}

void set_world(std::unique_ptr<Communicator> processes) {
  processes_of_run() = std::move(processes);
}

WorldScope::WorldScope(const Communicator& processes)
    : outer_(std::exchange(processes_of_thread, &processes)) {}

WorldScope::~WorldScope() {
  processes_of_thread = outer_;
}

}  // namespace kindred
