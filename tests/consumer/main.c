/* Copyright (c) The Rushlight authors.
 * SPDX-License-Identifier: BSD-3-Clause */

/* The same from C. */

#include <stdio.h>

#include "rushlight/c_api.h"

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  RlError error;
  RlModule* module = rl_module_load(argv[1], NULL, &error);
  if (module == NULL) {
    fprintf(stderr, "%s\n", error.message);
    return 1;
  }
  float ones[4] = {1, 1, 1, 1};
  const int32_t sizes[1] = {4};
  const RlValue x = rl_tensor(RL_FLOAT32, 1, sizes, ones);
  RlValue outputs[2];
  size_t count = 2;
  const bool ok = rl_module_execute(module, "forward", &x, 1, outputs, &count, NULL, &error);
  if (ok) {
    const float* y = outputs[0].u.as_tensor.data;
    printf("%g %g %g %g\n", y[0], y[1], y[2], y[3]);
  } else {
    fprintf(stderr, "%s\n", error.message);
  }
  rl_module_free(module);
  return ok ? 0 : 1;
}
