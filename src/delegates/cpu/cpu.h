// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// The delegate "RushlightCpu" (docs/rfc/cpu_delegate.md).
#pragma once

#include "rushlight/delegate.h"

namespace rushlight::delegates::cpu {

extern const Delegate kDelegate;

}  // namespace rushlight::delegates::cpu
