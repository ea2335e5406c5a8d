// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Data files (.ptd): loaded, all entries read and looked up.

#include "fuzz/target.h"
#include "tests/hostile/exercise.h"
#include "tests/hostile/seeds.h"

namespace rushlight {

std::vector<std::string> fuzz::Seeds() {
  std::vector<std::string> seeds;
  for (const hostile::Seed& s : hostile::MakeSeeds()) {
    if (!s.data.empty()) seeds.push_back(TextOf(s.data));
  }
  return seeds;
}

}  // namespace rushlight

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static_cast<void>(rushlight::hostile::ExerciseDataFile({data, size}));
  return 0;
}
