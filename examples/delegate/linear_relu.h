// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause
// A delegate of one's own, the part that runs: relu(x W^T + b) as one step.
//
//   rushlight::ModuleOptions options;
//   options.delegates = example::Delegates();
//   auto module = rushlight::Module::Load("model.pte", options);
#pragma once

#include "rushlight/delegate.h"

namespace example {

rushlight::Span<const rushlight::Delegate> Delegates();

}  // namespace example
