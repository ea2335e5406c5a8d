// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// A delegate as small as one can be that uses everything a delegate is offered: payload, compile
// specs, named data, the method's arena, scratch, and state that outlives a call.
#pragma once

#include <string>
#include <vector>

#include "rushlight/delegate.h"

namespace rushlight::hostile {

inline constexpr const char* kTestDelegateId = "HostileTestBackend";
// Of a compile spec: its value is the key of named data that is added to every result.
inline constexpr const char* kTestDelegateAddendSpec = "addend";

// out = in * scale + addend (+ how often the state has been called, where there is one), float32.
std::vector<uint8_t> TestDelegatePayload(float scale, bool with_state);

Span<const Delegate> TestDelegates();

}  // namespace rushlight::hostile
