// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Describe: the sentence of an Error.
#pragma once

#include <string>

#include "rushlight/error.h"
#include "rushlight/program.h"

namespace rushlight {

// "InvalidProgram", "OutOfMemory", ...
const char* CodeName(ErrorCode code);

// Code, what was expected, what was found, and where.  With the program that the error came from,
// the method, the operator and the source line of the model are named too.  Names out of a file are
// escaped and cut.
std::string Describe(const Error& error, const Program* program = nullptr);

}  // namespace rushlight
