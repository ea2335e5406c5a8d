// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// The parts of the extension module rushlight._native, one a source file.
#pragma once

#include <nanobind/nanobind.h>

#include <string_view>

#include "rushlight/describe.h"

namespace rushlight::python {

void BindOps(nanobind::module_& m);             // the operator table; single operators, for tests
void BindProgramBuilder(nanobind::module_& m);  // writing and checking program files
void BindCpuPlan(nanobind::module_& m);         // plans and packed weights of the CPU delegate
void BindMemoryPlanner(nanobind::module_& m);   // offsets of buffers in planned memory
void BindDataFile(nanobind::module_& m);        // reading and writing data files (.ptd)
void BindGguf(nanobind::module_& m);            // GGUF files
void BindSafetensors(nanobind::module_& m);     // safetensors files
void BindRuntime(nanobind::module_& m);         // loading and running them
void BindTokenizers(nanobind::module_& m);      // text to ids and back
void BindChatTemplate(nanobind::module_& m);    // conversations to prompts
void BindLlm(nanobind::module_& m);             // text generation

// Raises rushlight._native.Error, whose text is the error's sentence.
[[noreturn]] void Raise(const Error& error, const Program* program = nullptr);
// What Python sees of an Error: a dict of its numbers and its sentence.
nanobind::dict ToDict(const Error& error, const Program* program = nullptr);

// Text out of a file, which may not be UTF-8: bytes that are not become surrogates, as in
// os.fsdecode.
nanobind::str FileText(std::string_view text);

// The value of a Result, or Raise().
template <class T>
T ValueOf(Result<T> result) {
  if (!result.ok()) Raise(result.error());
  return *std::move(result);
}

}  // namespace rushlight::python
