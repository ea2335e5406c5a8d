// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Rows to panels and back (layout.h), for the compiler: plain loops that touch every byte once.
//
// Requires, everywhere: PackedBytes(w) > 0 and `panels` (or w.panels) has as many bytes.
#pragma once

#include <cstddef>
#include <cstdint>

#include "src/kernels/packed/layout.h"

namespace rushlight::kernels {

// Quantized weights, row by row: value = scale * code + minimum, with two levels times the
// output's.
template <class Code, class Scale>
struct IntegerRows {
  Code* codes;               // [n, k]; u8: -128..127; u4: -8..7, with minimums 0..15
  Scale* scales;             // [n, groups]
  Scale* minimums;           // [n, groups], or null
  Scale* outputs = nullptr;  // [n]; two levels only
};
using ConstIntegerRows = IntegerRows<const int8_t, const float>;
using MutableIntegerRows = IntegerRows<int8_t, float>;

// A scale or a minimum as a matrix stores it.
float RoundScale(ScaleType type, float scale);

// Requires: rows.minimums is not null if w.has_minimum, rows.outputs if w has two levels.  Scales
// and minimums are rounded to w.scale; of a code that is out of range the low bits are taken.
void PackIntegers(const PackedMatrix& w, const ConstIntegerRows& rows, uint8_t* panels);
// The inverse.
void UnpackIntegers(const PackedMatrix& w, const MutableIntegerRows& rows);

// Rows [n, k] of float, BFloat16 or Float16, as w.format says.
void PackFloats(const PackedMatrix& w, const void* rows, uint8_t* panels);
void UnpackFloats(const PackedMatrix& w, void* rows);

// A row's values, whatever the format.  Requires: row < w.n; values has space for w.k.
void DequantizeRow(const PackedMatrix& w, size_t row, float* values);

}  // namespace rushlight::kernels
