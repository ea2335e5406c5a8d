// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// rushlight._native: what the Python package takes from C++.

#include "src/bindings/python/native.h"

namespace nb = nanobind;

void rushlight::python::RaiseError(const Error& error) {
  const nb::tuple numbers =
      nb::make_tuple(static_cast<int>(error.reason), static_cast<int>(error.code()), error.index,
                     error.found, error.limit);
  PyErr_SetObject(PyExc_ValueError, numbers.ptr());
  throw nb::python_error();
}

NB_MODULE(_native, m) {
  m.doc() = "Runtime and compiler parts of Rushlight that are written in C++.";
  rushlight::python::BindOps(m);
  rushlight::python::BindTokenizers(m);
  rushlight::python::BindChatTemplate(m);
}
