// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// NoThrow: the border where the standard library's exceptions become Errors.
#pragma once

#include <new>

#include "rushlight/error.h"

namespace rushlight {

// Returns body(), or an Error if it throws.  Our own code never does; containers may be out of
// memory.
template <class Body>
auto NoThrow(const Body& body) noexcept -> decltype(body()) {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return Error(Reason::kHeap);
  } catch (...) {
    return Error(Reason::kBug);
  }
}

}  // namespace rushlight
