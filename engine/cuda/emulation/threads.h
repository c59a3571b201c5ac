// The threads of the running block: fibers that take turns in random order. Internal to the emulation
// (emulation.h).
#pragma once

#include <kindred/engine/cuda/emulation/draws.h>

#include <cstddef>
#include <functional>
#include <string>

namespace kindred::cuda::emulation {

// Calls body(closure) once in each of `threads` threads and returns when all have ended. Returns false if
// stop() was called, and puts its message into `message`. An exception thrown by the body is thrown here.
bool run_block(std::size_t threads, void (*body)(const void*), const void* closure, std::string& message);

// Ends the block because of an error in the kernel; nothing of the block runs afterwards. `message` is called
// outside of the fibers.
[[noreturn]] void stop(std::function<std::string()> message);

unsigned running_thread();  // index within the block

// Called where the hardware may let other threads run first. Sometimes it switches to another thread.
void maybe_give_way();

}  // namespace kindred::cuda::emulation
