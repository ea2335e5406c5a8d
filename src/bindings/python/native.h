// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// The parts of the extension module rushlight._native, one a source file.
#pragma once

#include <nanobind/nanobind.h>

#include "rushlight/error.h"

namespace rushlight::python {

void BindOps(nanobind::module_& m);       // the operator table, and single operators for tests
void BindTokenizers(nanobind::module_& m);
void BindChatTemplate(nanobind::module_& m);

// Raises ValueError(reason, code, index, found, limit), the numbers of an Error.
[[noreturn]] void RaiseError(const Error& error);

// The value of a Result, or RaiseError().
template <class T>
T ValueOf(Result<T> result) {
  if (!result.ok()) RaiseError(result.error());
  return *std::move(result);
}

}  // namespace rushlight::python
