// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// CrashNote: says on stderr which input a crash, a sanitizer's report or a hang belongs to.
#pragma once

#include <string>

namespace rushlight::hostile {

// The input that is under test from now on.  It has `seconds` to come to an end, or the process
// dies.
void NoteInput(const std::string& description, unsigned seconds = 60);
// Nothing is under test any more.
void NoteDone();

}  // namespace rushlight::hostile
