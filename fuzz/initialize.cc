// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Fills empty corpus folders with the target's seeds, so that no binary is checked in.

#include <filesystem>
#include <fstream>

#include "fuzz/target.h"

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  namespace fs = std::filesystem;
  for (int i = 1; i < *argc; ++i) {
    const fs::path folder = (*argv)[i];
    if (!fs::is_directory(folder) || !fs::is_empty(folder)) continue;
    size_t number = 0;
    for (const std::string& seed : rushlight::fuzz::Seeds()) {
      std::ofstream file(folder / ("seed" + std::to_string(number++)), std::ios::binary);
      file.write(seed.data(), static_cast<std::streamsize>(seed.size()));
    }
  }
  return 0;
}
