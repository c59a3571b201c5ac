// Switching stacks. Fibers switch millions of times in a test, so this is written in assembly. Only
// threads.cpp includes this file, so that the assembly code exists once.
#pragma once

#include <ucontext.h>  // defines: makecontext, swapcontext

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace kindred::cuda::emulation {

#ifdef __x86_64__
// Saves the stack pointer and the registers that a call must preserve, then continues where `to` was saved.
extern "C" void kindred_switch_fiber(void** from, void* to);
asm(R"(
.text
.type kindred_switch_fiber, @function
kindred_switch_fiber:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size kindred_switch_fiber, . - kindred_switch_fiber
)");

using Context = void*;  // a stack pointer

inline void prepare(Context& context, std::byte* /*stack*/, std::byte* top, void (*entry)()) {
  constexpr std::size_t registers = 6;
  auto* words = reinterpret_cast<void**>(top);
  std::fill_n(words, registers, nullptr);
  words[registers] = reinterpret_cast<void*>(entry);  // the first switch returns to this address
  context = words;
}

inline void change(Context& from, Context& to) {
  kindred_switch_fiber(&from, to);
}
#else
using Context = ucontext_t;

inline void prepare(Context& context, std::byte* stack, std::byte* top, void (*entry)()) {
  getcontext(&context);
  context.uc_stack.ss_sp = stack;
  context.uc_stack.ss_size = static_cast<std::size_t>(top - stack);
  context.uc_link = nullptr;
  makecontext(&context, entry, 0);
}

inline void change(Context& from, Context& to) {
  swapcontext(&from, &to);
}
#endif

}  // namespace kindred::cuda::emulation
