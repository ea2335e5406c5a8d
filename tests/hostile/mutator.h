// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Mutators: damaged copies of a program file or of a data file.  Each is a function of the file and
// of the random numbers alone.
#pragma once

#include <cstdint>
#include <vector>

#include "src/program/schema.h"
#include "tests/hostile/random.h"

namespace rushlight::hostile {

using File = std::vector<uint8_t>;

// A file in its parts.
struct FileParts {
  size_t metadata = 0;      // bytes of the FlatBuffer, header included
  size_t segment_base = 0;  // 0: none
};
// Requires: a sound program or data file.
FileParts PartsOf(const File& file);

// Edits of a few bytes among the first `limit`: the generator of mutate.py, number for number.
File MutateBytes(const File& file, size_t limit, Random& random);

// Edits of what looks like an offset or the length of a vector.
File MutateOffsets(const File& file, Random& random);

// Edits of fields in their meaning: boundary values, other kinds, elements swapped, repeated, left
// out.  The result is well-formed as a FlatBuffer.
File MutateProgram(const File& file, Random& random);
File MutateDataFile(const File& file, Random& random);

// Edits an unpacked program in place (what MutateProgram does between unpacking and packing).
void MutateFields(fb::ProgramT& program, Random& random);

// A program of these fields with the segments of `original`.
File Repack(const fb::ProgramT& program, const File& original);

// A number that is likely to be at the edge of something.
int64_t BoundaryNumber(Random& random);

}  // namespace rushlight::hostile
