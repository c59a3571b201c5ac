// The threads of the block that runs: fibers that take turns in a random order. Internal to the emulation
// (emulation.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

namespace kindred::cuda::emulation {

// Calls body(closure) once in each of `threads` threads, until all have ended. False when stop() was called;
// its message is in `message`. An exception of the body is thrown here.
bool run_block(std::size_t threads, void (*body)(const void*), const void* closure, std::string& message);

// Ends the block for an error of the kernel; nothing of it runs afterwards. `message` is called outside of the
// fibers.
[[noreturn]] void stop(std::function<std::string()> message);

unsigned running_thread();  // of the block

// Where the hardware may let others go first: now and then it does.
void maybe_give_way();

// What is drawn depends on the seed (KINDRED_EMULATION_SEED, or 1) and on the number of launches since it was
// set.
std::uint64_t seed();
void set_seed(std::uint64_t seed);
void start_drawing();  // for the next launch
std::size_t draw(std::size_t below);

}  // namespace kindred::cuda::emulation
