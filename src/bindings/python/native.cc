// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// rushlight._native: what the Python package takes from C++.

#include "src/bindings/python/native.h"

NB_MODULE(_native, m) {
  m.doc() = "Runtime and compiler parts of Rushlight that are written in C++.";
  rushlight::python::BindOps(m);
}
