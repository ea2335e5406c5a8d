// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// The parts of the extension module rushlight._native, one a source file.
#pragma once

#include <nanobind/nanobind.h>

#include <string_view>

#include "rushlight/error.h"

namespace rushlight::python {

void BindOps(nanobind::module_& m);            // the operator table, and single operators for tests
void BindDataFile(nanobind::module_& m);       // reading and writing data files (.ptd)
void BindGguf(nanobind::module_& m);           // GGUF files
void BindMemoryPlanner(nanobind::module_& m);  // offsets of buffers in planned memory

// Raises rushlight._native.Error.
[[noreturn]] void Raise(const Error& error);

// Text out of a file, which may not be UTF-8: bytes that are not become surrogates, as in
// os.fsdecode.
nanobind::str FileText(std::string_view text);

}  // namespace rushlight::python
