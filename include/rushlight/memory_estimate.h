// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// MemoryEstimate: the peak of resident memory of running a method, before it is loaded.
//
// Weights count as far as they are read: all of a matrix, but of an embedding table what looking
// rows up makes resident, which is tried on the mapped file.  State counts as far as it is filled.
#pragma once

#include <cstdint>

#include "rushlight/module.h"

namespace rushlight {

struct EstimateOptions {
  // How much of the dynamic shapes' bounds a call uses, and how much of the state is filled: 0
  // to 1.
  double shapes = 1.0;
  double state = 1.0;
  size_t threads = 0;  // of an execution; 0: what the module was loaded for
};

struct MemoryEstimate {
  uint64_t process =
      0;                // this process with the program's metadata, and what is to come of its code
  uint64_t tables = 0;  // the method's values and instructions
  uint64_t activations = 0;  // planned memory that is used again and again
  uint64_t state = 0;        // planned memory with names
  uint64_t scratch = 0;      // of operators and delegates
  uint64_t inputs = 0;       // the caller's tensors
  uint64_t outputs = 0;      // in the caller's memory
  uint64_t weights = 0;

  uint64_t total() const {
    return process + tables + activations + state + scratch + inputs + outputs + weights;
  }
};

Result<MemoryEstimate> EstimateMemory(const Module& module, std::string_view method,
                                      const EstimateOptions& options = {});

// Resident memory of this process, now and at its peak; 0 where the system does not tell.
uint64_t ResidentBytes();
uint64_t PeakResidentBytes();

}  // namespace rushlight
