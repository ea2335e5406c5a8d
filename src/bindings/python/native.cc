// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// rushlight._native: what the Python package takes from C++.

#include "src/bindings/python/native.h"

#include <nanobind/stl/string.h>

namespace nb = nanobind;

namespace rushlight::python {
namespace {

PyObject* error_type = nullptr;

}  // namespace

nb::dict ToDict(const Error& error, const Program* program) {
  nb::dict d;
  d["code"] = CodeName(error.code());
  d["reason"] = static_cast<int>(error.reason);
  d["index"] =
      error.index == Error::kNone ? nb::object(nb::none()) : nb::object(nb::int_(error.index));
  d["method"] =
      error.method == Error::kNone ? nb::object(nb::none()) : nb::object(nb::int_(error.method));
  d["instruction"] = error.instruction == Error::kNone ? nb::object(nb::none())
                                                       : nb::object(nb::int_(error.instruction));
  d["argument"] = error.argument == Error::kNoArgument ? nb::object(nb::none())
                                                       : nb::object(nb::int_(error.argument));
  d["found"] = error.found;
  d["limit"] = error.limit;
  d["text"] = Describe(error, program);
  return d;
}

void Raise(const Error& error, const Program* program) {
  const nb::dict numbers = ToDict(error, program);
  nb::object exception = nb::steal(
      PyObject_CallFunctionObjArgs(error_type, nb::object(numbers["text"]).ptr(), nullptr));
  for (const char* key :
       {"code", "reason", "index", "method", "instruction", "argument", "found", "limit"}) {
    exception.attr(key) = numbers[key];
  }
  PyErr_SetObject(error_type, exception.ptr());
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
  m.attr("NO_KERNEL") = static_cast<int>(rushlight::Reason::kNoKernel);
  m.attr("NO_DELEGATE") = static_cast<int>(rushlight::Reason::kNoDelegate);
  rushlight::python::BindOps(m);
  rushlight::python::BindCpuPlan(m);
  rushlight::python::BindMemoryPlanner(m);
  rushlight::python::BindDataFile(m);
  rushlight::python::BindGguf(m);
  rushlight::python::BindSafetensors(m);
  rushlight::python::BindProgramBuilder(m);
  rushlight::python::BindRuntime(m);
  rushlight::python::BindTokenizers(m);
  rushlight::python::BindChatTemplate(m);
  rushlight::python::BindLlm(m);
}
