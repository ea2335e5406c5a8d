// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "board.h"

#include <cstdint>
#include <cstring>

// From mps2_an505.ld.
extern "C" {
extern uint32_t board_data_begin[], board_data_end[], board_data_source[];
extern uint32_t board_bss_begin[], board_bss_end[];
extern uint32_t board_stack_limit[], board_stack_top[];
}

namespace board {
namespace {

constexpr uint32_t kPaint = 0x5AFE57AC;

// Semihosting: a breakpoint that the debugger, or QEMU, answers.
enum class Call : uint32_t { kWrite0 = 0x04, kExitExtended = 0x20 };

uint32_t Semihost(Call call, const void* argument) {
  register uint32_t r0 asm("r0") = static_cast<uint32_t>(call);
  register const void* r1 asm("r1") = argument;
  asm volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
  return r0;
}

[[noreturn]] void Exit(int status) {
  constexpr uint32_t kApplicationExit = 0x20026;
  const uint32_t block[] = {kApplicationExit, static_cast<uint32_t>(status)};
  Semihost(Call::kExitExtended, block);
  while (true) {
  }
}

[[noreturn]] void Fault() {
  Print("FAIL: processor fault\n");
  Exit(1);
}

[[noreturn]] void Reset() {
  std::memcpy(
      board_data_begin, board_data_source,
      reinterpret_cast<uintptr_t>(board_data_end) - reinterpret_cast<uintptr_t>(board_data_begin));
  std::memset(
      board_bss_begin, 0,
      reinterpret_cast<uintptr_t>(board_bss_end) - reinterpret_cast<uintptr_t>(board_bss_begin));
  // Paint what is below this function's own frame.
  volatile uint32_t* const frame = static_cast<uint32_t*>(__builtin_frame_address(0)) - 64;
  for (volatile uint32_t* p = board_stack_limit; p < frame; ++p) *p = kPaint;
#ifdef __ARM_FP  // compiled for a floating-point unit: let everybody use it
  *reinterpret_cast<volatile uint32_t*>(0xE000ED88) |= 0xFu << 20;
  asm volatile("dsb\n isb");
#endif
  Exit(main());
}

using Handler = void (*)();
struct VectorTable {
  uint32_t* stack_top;
  Handler handlers[15];
};
__attribute__((section(".vectors"), used))
const VectorTable kVectors = {board_stack_top,
                              {Reset, Fault, Fault, Fault, Fault, Fault, Fault, nullptr, nullptr,
                               nullptr, Fault, Fault, nullptr, Fault, Fault}};

}  // namespace

void Print(const char* text) { Semihost(Call::kWrite0, text); }

void Print(size_t number) {
  char digits[12];
  char* p = digits + sizeof digits - 1;
  *p = '\0';
  do {
    *--p = static_cast<char>('0' + number % 10);
    number /= 10;
  } while (number != 0);
  Print(p);
}

size_t StackUsed() {
  const volatile uint32_t* p = board_stack_limit;
  while (p < board_stack_top && *p == kPaint) ++p;
  return (board_stack_top - p) * sizeof *p;
}

size_t StackSize() { return (board_stack_top - board_stack_limit) * sizeof *board_stack_top; }

}  // namespace board
