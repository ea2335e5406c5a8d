// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Copies between views, in parallel: of the same elements, of elements that are converted to
// another dtype, and of one element everywhere.
#pragma once

#include <cstddef>
#include <cstdint>

#include "rushlight/op.h"
#include "src/ops/view.h"

namespace rushlight::ops {

// How many elements of this size are worth a task.
constexpr size_t CopyGrain(size_t element_size) { return (size_t{64} << 10) / element_size; }

// The same execution without its team, for loops whose order matters.
inline Context Serial(const Context& context) {
  Context serial = context;
  serial.parallel = nullptr;
  return serial;
}

// Gives `out` the sizes of a view.
Error ResizeAs(Tensor& out, const View& view);

// to = from.  Requires: equal sizes and element sizes; no element of `to` is shown twice.
Error Copy(Context& context, const View& to, const View& from);

// ResizeAs, then Copy.
Error CopyTo(Context& context, Tensor& out, const View& from);

// Copies `count` elements, counted in the order of indices (the last dimension first): those of
// `to` from number to_begin on become those of `from` from number from_begin on.  Sizes may differ.
// Requires: both have that many elements.
Error CopyInOrder(Context& context, const View& to, size_t to_begin, const View& from,
                  size_t from_begin, size_t count);

// Every element of `to` becomes *element.
Error Fill(Context& context, const View& to, const void* element);

// ---------------------------------------------------------------------------------------------
// Conversions, by the casts of a row (kCasts).

// From one dtype to any other: no loop where they are equal, or one cast, or two.
inline constexpr size_t kConversionSlots = 2;
class Conversion {
 public:
  Conversion() = default;
  // The casts that UseConversion picked.  One slot is enough where either dtype is a compute type.
  Conversion(const RunContext& c, size_t slot, size_t slots = kConversionSlots);

  bool identity() const { return first_ == nullptr; }
  // Converts n elements that lie `stride` apart; `to` is contiguous.
  void Run(void* to, const void* from, size_t n, int64_t stride, size_t element_size) const;

 private:
  const Loop* first_ = nullptr;
  const Loop* second_ = nullptr;
};

// Picks the casts, from `slot` on.
Error UseConversion(PrepareContext& c, size_t slot, DType from, DType to);

// to = from, converted.  Requires: equal sizes.
Error CopyConverted(Context& context, const Conversion& conversion, const View& to,
                    const View& from);

// An element made of a number.  UseNumber takes two slots: conversions from int64 and from float64.
struct Element {
  alignas(16) uint8_t bytes[16];
};
Error UseNumber(PrepareContext& c, size_t slot, DType to);
Element MakeElement(const RunContext& c, size_t slot, Scalar number);

}  // namespace rushlight::ops
