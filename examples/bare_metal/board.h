// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// What an image needs of its board: a way to say something, and to stop.  board.cc has it for Arm's
// MPS2+ AN505 as QEMU emulates it.
#pragma once

#include <cstddef>

namespace board {

// To the console of the debugger, or of QEMU.
void Print(const char* text);
void Print(size_t number);

// The most bytes of stack that were in use at any time since the start, and those there are.
size_t StackUsed();
size_t StackSize();

}  // namespace board

// The application.  The image stops with its result as exit status.
int main();
