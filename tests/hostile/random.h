// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Random: the numbers of Python's random.Random(seed), so that a mutant has the same bytes whether
// a test here or mutate.py made it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>

namespace rushlight::hostile {

class Random {
 public:
  explicit Random(uint32_t seed);

  // random(): in [0, 1).
  double Unit();
  // getrandbits(bits).  Requires: 1 <= bits <= 32.
  uint32_t Bits(unsigned bits);
  // randrange(n), and the index that choice() takes of a list of n.  Requires: n > 0.
  size_t Below(size_t n);

  bool Chance(double probability) { return Unit() < probability; }
  template <class T, size_t N>
  T Choice(const T (&items)[N]) {
    return items[Below(N)];
  }

 private:
  std::mt19937 generator_;
};

}  // namespace rushlight::hostile
