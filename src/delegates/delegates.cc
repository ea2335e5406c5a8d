// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "rushlight/delegates.h"

#include "src/delegates/cpu/cpu.h"

namespace rushlight::delegates {

Span<const Delegate> AllDelegates() { return {&cpu::kDelegate, 1}; }

}  // namespace rushlight::delegates
