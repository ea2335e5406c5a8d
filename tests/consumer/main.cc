// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Runs the program of tests/bare_metal_program.cc with the installed library.

#include <cstdio>

#include "rushlight/chat_template.h"
#include "rushlight/describe.h"
#include "rushlight/module.h"

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  auto module = rushlight::Module::Load(argv[1]);
  if (!module.ok()) {
    std::fprintf(stderr, "%s\n", rushlight::Describe(module.error()).c_str());
    return 1;
  }
  const rushlight::HostTensor x(rushlight::DType::kFloat32, {4}, {1.0f, 1.0f, 1.0f, 1.0f});
  auto outputs = module->Forward({x});
  if (!outputs.ok()) {
    std::fprintf(stderr, "%s\n", rushlight::Describe(outputs.error(), &module->program()).c_str());
    return 1;
  }
  const float* y = (*outputs)[0].as_tensor().data<float>();
  std::printf("%g %g %g %g\n", y[0], y[1], y[2], y[3]);
  return rushlight::ChatTemplate::Parse("{{ messages }}").ok() ? 0 : 1;
}
