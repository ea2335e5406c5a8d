// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// The delegates that come with the library.
#pragma once

#include "rushlight/delegate.h"

namespace rushlight::delegates {

Span<const Delegate> AllDelegates();

}  // namespace rushlight::delegates
