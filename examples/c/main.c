/* Copyright (c) The Rushlight authors.
 * SPDX-License-Identifier: BSD-3-Clause */

/* Runs `forward` of a program on ones, from C. */

#include <stdio.h>
#include <stdlib.h>

#include "rushlight/c_api.h"

enum { kMost = 16 };

static void print(const RlValue* value) {
  if (value->kind != RL_TENSOR || value->u.as_tensor.dtype != RL_FLOAT32) {
    printf("(kind %d)\n", (int)value->kind);
    return;
  }
  const RlTensor* t = &value->u.as_tensor;
  const float* items = t->data;
  for (size_t i = 0; i < t->nbytes / sizeof(float) && i < 8; ++i) printf("%g ", items[i]);
  printf("\n");
}

int main(int argc, char** argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: example_c model.pte\n");
    return 2;
  }
  RlError error;
  RlModule* module = rl_module_load(argv[1], NULL, &error);
  if (module == NULL) {
    fprintf(stderr, "%s\n", error.message);
    return 1;
  }
  RlValue inputs[kMost] = {{RL_NONE, {0}}}, outputs[kMost];
  size_t input_count = 0, output_count = kMost;
  bool ok = rl_module_method_arity(module, "forward", &input_count, NULL, &error);
  if (input_count > kMost) ok = false;
  for (size_t i = 0; ok && i < input_count; ++i) {
    ok = rl_module_input_info(module, "forward", i, &inputs[i], &error);
    RlTensor* t = &inputs[i].u.as_tensor;
    if (!ok || inputs[i].kind != RL_TENSOR || t->dtype != RL_FLOAT32) continue;
    float* ones = malloc(t->nbytes);
    for (size_t j = 0; ones != NULL && j < t->nbytes / sizeof(float); ++j) ones[j] = 1;
    t->data = ones;
  }
  ok = ok && rl_module_execute(module, "forward", inputs, input_count, outputs, &output_count, NULL,
                               &error);
  if (ok) {
    for (size_t i = 0; i < output_count && i < kMost; ++i) print(&outputs[i]);
  } else {
    fprintf(stderr, "%s\n", error.message);
  }
  for (size_t i = 0; i < input_count && i < kMost; ++i) {
    if (inputs[i].kind == RL_TENSOR) free(inputs[i].u.as_tensor.data);
  }
  rl_module_free(module);
  return ok ? 0 : 1;
}
