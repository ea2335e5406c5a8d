// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "rushlight/delegates.h"

namespace rushlight::delegates {

Span<const Delegate> AllDelegates() { return {}; }

}  // namespace rushlight::delegates
