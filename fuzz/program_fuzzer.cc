// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Program files (.pte): loaded, inspected and executed within a budget, through the core and
// through Module.  Half of the mutations edit the program in its meaning.

#include <algorithm>
#include <cstring>

#include "fuzz/target.h"
#include "rushlight/program.h"
#include "tests/hostile/exercise.h"
#include "tests/hostile/mutator.h"
#include "tests/hostile/seeds.h"

namespace rushlight {

std::vector<std::string> fuzz::Seeds() {
  std::vector<std::string> seeds;
  for (const hostile::Seed& s : hostile::MakeSeeds()) seeds.push_back(TextOf(s.program));
  return seeds;
}

namespace {

// Whether the mutators for sound files may have it.
bool IsSound(const uint8_t* data, size_t size) {
  std::vector<uint64_t> aligned((size + 23) / 8);
  auto* const p =
      reinterpret_cast<uint8_t*>((reinterpret_cast<uintptr_t>(aligned.data()) + 15) / 16 * 16);
  std::memcpy(p, data, size);
  return Program::LoadInPlace({p, size}).ok();
}

}  // namespace
}  // namespace rushlight

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size,
                                          unsigned seed) {
  using namespace rushlight;
  hostile::Random random(seed);
  if (random.Chance(0.5) && IsSound(data, size)) {
    const hostile::File mutant = hostile::MutateProgram({data, data + size}, random);
    if (mutant.size() <= max_size) {
      std::copy(mutant.begin(), mutant.end(), data);
      return mutant.size();
    }
  }
  return LLVMFuzzerMutate(data, size, max_size);
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace rushlight;
  constexpr hostile::Limits kLimits = {200, 100'000'000, uint64_t{4} << 20};
  static_cast<void>(hostile::ExerciseCore({data, size}, {}, kLimits));
  static_cast<void>(hostile::ExerciseBytes({data, size}, kLimits));
  return 0;
}
