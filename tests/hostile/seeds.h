// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Seeds: small programs that together use every feature of the file format and of the runtime. What
// is hostile is made of them.  Built in memory, so that no binary is checked in.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace rushlight::hostile {

struct Seed {
  std::string name;
  std::vector<uint8_t> program;
  std::vector<uint8_t> data;  // a data file (.ptd) beside it; mostly none
};

// The same bytes each time.  None is larger than 64 KB.
std::vector<Seed> MakeSeeds();
Seed MakeSeed(const std::string& name);

}  // namespace rushlight::hostile
