// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// The parts of the extension module rushlight._native, one a source file.
#pragma once

#include <nanobind/nanobind.h>

namespace rushlight::python {

void BindOps(nanobind::module_& m);       // the operator table, and single operators for tests

}  // namespace rushlight::python
