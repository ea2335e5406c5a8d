// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause
// Runs a program that linear_relu.py compiled, with the delegate of this folder.

#include <cstdio>

#include "linear_relu.h"
#include "rushlight/describe.h"
#include "rushlight/module.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: example_delegate model.pte\n");
    return 2;
  }
  rushlight::ModuleOptions options;
  options.delegates = example::Delegates();
  auto module = rushlight::Module::Load(argv[1], options);
  if (!module.ok()) {
    std::fprintf(stderr, "%s\n", rushlight::Describe(module.error()).c_str());
    return 1;
  }
  rushlight::HostTensor x(rushlight::DType::kFloat32, {2, 8});
  for (int i = 0; i < 16; ++i) x.tensor().mutable_data<float>()[i] = static_cast<float>(i) / 8;
  auto outputs = module->Forward({x});
  if (!outputs.ok()) {
    std::fprintf(stderr, "%s\n", rushlight::Describe(outputs.error(), &module->program()).c_str());
    return 1;
  }
  const rushlight::Tensor& y = (*outputs)[0].as_tensor();
  for (size_t i = 0; i < y.numel(); ++i)
    std::printf("%s%.4f", i == 0 ? "" : " ", y.data<float>()[i]);
  std::printf("\n");
}
