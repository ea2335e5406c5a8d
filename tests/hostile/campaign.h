// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Campaign: a numbered list of damaged files, each made from its number alone, so that a finding
// can be made again:
//   - every seed, cut at every byte;
//   - the published mutation table: 3,000 mutants of one network, all of the file, seed 7;
//   - mutants of the seeds' metadata, every other one structure-aware.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/hostile/exercise.h"
#include "tests/hostile/mutator.h"
#include "tests/hostile/seeds.h"

namespace rushlight::hostile {

struct HostileFile {
  std::string description;
  File program;
  File data;  // empty: none
};

class Campaign {
 public:
  static constexpr size_t kPublished = 3000;

  Campaign(uint32_t seed, uint64_t mutants);

  uint64_t truncations() const { return truncations_; }
  uint64_t size() const { return truncations_ + kPublished + mutants_; }
  // Requires: i < size().
  HostileFile Make(uint64_t i) const;

 private:
  HostileFile Truncated(uint64_t i) const;
  HostileFile Mutant(uint64_t i) const;

  const std::vector<Seed> seeds_;
  const uint32_t seed_;
  const uint64_t mutants_;
  uint64_t truncations_ = 0;
  std::vector<File> published_;
};

// Through the core and through Module with the files mapped and read; the first error, if any.
class Trial {
 public:
  explicit Trial(const std::string& name) : program_(name + ".pte"), data_(name + ".ptd") {}
  Error Run(const HostileFile& file) const;

 private:
  TemporaryFile program_;
  TemporaryFile data_;
};

}  // namespace rushlight::hostile
