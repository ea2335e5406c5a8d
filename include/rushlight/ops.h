// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// The operators that come with the library.
#pragma once

#include "rushlight/op.h"

namespace rushlight::ops {

// Every table, to be searched in order.  An application that must be small passes tables of its own
// instead, and the linker drops the rest.
Span<const Span<const Op>> AllOps();

}  // namespace rushlight::ops
