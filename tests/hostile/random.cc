// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "tests/hostile/random.h"

#include <algorithm>

namespace rushlight::hostile {
namespace {

// The initial state that the authors of the Mersenne Twister give a key of one word
// (init_by_array), in the form that std::mt19937 takes: it asks for all of its state.
class KeySequence {
 public:
  using result_type = uint32_t;

  explicit KeySequence(uint32_t key) : key_(key) {}

  template <class Iterator>
  void generate(Iterator begin, Iterator end) const {
    constexpr uint32_t kWords = std::mt19937::state_size;
    uint32_t state[kWords];
    const auto mixed = [&](uint32_t i) { return state[i - 1] ^ (state[i - 1] >> 30); };
    state[0] = 19650218u;
    for (uint32_t i = 1; i < kWords; ++i) state[i] = 1812433253u * mixed(i) + i;
    uint32_t i = 1;
    const auto next = [&] {
      if (++i == kWords) {
        state[0] = state[kWords - 1];
        i = 1;
      }
    };
    for (uint32_t k = 0; k < kWords; ++k, next()) {
      state[i] = (state[i] ^ mixed(i) * 1664525u) + key_;
    }
    for (uint32_t k = 1; k < kWords; ++k, next()) {
      state[i] = (state[i] ^ mixed(i) * 1566083941u) - i;
    }
    state[0] = 0x80000000u;
    std::copy(state, state + (end - begin), begin);
  }

 private:
  uint32_t key_;
};

std::mt19937 Seeded(uint32_t seed) {
  KeySequence sequence(seed);
  return std::mt19937(sequence);
}

}  // namespace

Random::Random(uint32_t seed) : generator_(Seeded(seed)) {}

double Random::Unit() {
  const uint32_t a = Bits(27);
  const uint32_t b = Bits(26);
  return (a * 67108864.0 + b) * (1.0 / 9007199254740992.0);
}

uint32_t Random::Bits(unsigned bits) { return static_cast<uint32_t>(generator_()) >> (32 - bits); }

size_t Random::Below(size_t n) {
  unsigned bits = 0;
  while (bits < 8 * sizeof n && n >> bits != 0) ++bits;
  size_t r = n;
  while (r >= n) {
    r = bits <= 32 ? Bits(bits) : static_cast<size_t>(Bits(32) | uint64_t{Bits(bits - 32)} << 32);
  }
  return r;
}

}  // namespace rushlight::hostile
