// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Reductions: many elements into one, for several results at a time.
//
// A fold reads its input once and takes it in whatever pieces the caller has; what it knows so far
// is a *state* for each result, in the widest type of the kind (double, int64), so that sums of
// pieces stay accurate.  Some folds keep a second number beside it.
//
//   fold         state                      beside it       input types T
//   Sum          sum                                        float, double, uint64
//   Product      product                                    double, uint64
//   Maximum      greatest; NaN wins                         float, double, int64
//   Minimum      least; NaN wins                            float, double, int64
//   Any, All     1 or 0: any, all not zero                  double, int64
//   ArgMaximum   greatest; NaN wins         its position    float, double, int64
//   ArgMinimum   least; NaN wins            its position    float, double, int64
//   Moments      sum of (x - mean)^2        mean            float, double
//   LogSumExp    sum of exp(x - shift)      shift           double
//   Norm         sum of |x|^p, or as below                  double
//
// Integers add and multiply modulo 2^64, hence uint64.  The order of operations for one result
// depends on n, step and how often the fold is called; not on `outputs` or on other results.
#pragma once

#include <cstddef>
#include <cstdint>

namespace rushlight::kernels {

struct FoldArgs {
  void* state;     // double or int64 [outputs], by T
  void* beside;    // double, or int64 for a position [outputs]; folds without one ignore it
  const void* in;  // T; null: set `state` and `beside` to those of no elements
  size_t outputs;
  int64_t output_stride;  // elements from the first input of a result to that of the next
  size_t n;               // inputs of each result
  int64_t step;           // elements from one input of a result to the next
  size_t position;        // how many inputs were folded before
  double parameter;       // p of Norm
};

// Folds n more inputs into each result.  Requires: step == 1 or output_stride == 1.
template <class F, class T>
void Fold(const FoldArgs& a);

struct Sum;
struct Product;
struct Maximum;
struct Minimum;
struct Any;
struct All;
struct ArgMaximum;
struct ArgMinimum;
struct Moments;
struct LogSumExp;

// The state of a p-norm before its root: the number of elements that are not zero for p == 0, the
// greatest (least) absolute value for p == infinity (-infinity).
void FoldNorm(const FoldArgs& a);
double NormRoot(double state, double p);

}  // namespace rushlight::kernels
