// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// rushlight._native: what the Python package takes from C++.

#include "src/bindings/python/native.h"

#include <string>

namespace nb = nanobind;

namespace rushlight::python {
namespace {

PyObject* error_type = nullptr;

}  // namespace

void Raise(const Error& error) {
  const std::string text = "error " + std::to_string(static_cast<int>(error.reason)) + ": index " +
                           std::to_string(static_cast<int32_t>(error.index)) + ", found " +
                           std::to_string(error.found) + ", limit " + std::to_string(error.limit);
  PyErr_SetString(error_type, text.c_str());
  throw nb::python_error();
}

nb::str FileText(std::string_view text) {
  PyObject* decoded =
      PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "surrogateescape");
  if (decoded == nullptr) throw nb::python_error();
  return nb::steal<nb::str>(decoded);
}

}  // namespace rushlight::python

NB_MODULE(_native, m) {
  m.doc() = "Runtime and compiler parts of Rushlight that are written in C++.";
  rushlight::python::error_type =
      PyErr_NewException("rushlight._native.Error", PyExc_RuntimeError, nullptr);
  m.attr("Error") = nb::borrow(rushlight::python::error_type);
  rushlight::python::BindOps(m);
  rushlight::python::BindDataFile(m);
  rushlight::python::BindGguf(m);
  rushlight::python::BindMemoryPlanner(m);
}
