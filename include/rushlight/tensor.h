// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Tensor: a typed, shaped view of memory that somebody else owns.
//
// A tensor is dense in the order that dim_order gives (outermost dimension first; none means
// 0, 1, 2, ...), so strides follow from the sizes.  The rank is fixed; a dynamic tensor may be
// resized up to its capacity.  Copies are shallow.  Not synchronised.
#pragma once

#include <cstddef>
#include <cstdint>

#include "rushlight/dtype.h"
#include "rushlight/error.h"
#include "rushlight/span.h"

namespace rushlight {

inline constexpr size_t kMaxRank = 16;

class Tensor {
 public:
  Tensor() = default;
  // A static tensor over the caller's arrays: sizes [rank]; dim_order [rank] or null.
  Tensor(DType dtype, void* data, Span<int32_t> sizes, const uint8_t* dim_order = nullptr);

  DType dtype() const { return dtype_; }
  size_t rank() const { return rank_; }
  // Requires: d < rank().
  int32_t size(size_t d) const { return sizes_[d]; }
  Span<const int32_t> sizes() const { return {sizes_, rank_}; }
  // Empty where the order is 0, 1, 2, ... or the rank is 0.
  Span<const uint8_t> dim_order() const { return {dim_order_, dim_order_ ? rank_ : size_t{0}}; }
  size_t numel() const;
  size_t nbytes() const { return numel() * ElementSize(dtype_); }
  // Elements that the memory holds: numel() at most.
  size_t capacity() const { return capacity_; }

  void* raw() const { return data_; }
  template <class T>
  const T* data() const {
    return static_cast<const T*>(data_);
  }
  template <class T>
  T* mutable_data() const {
    return static_cast<T*>(data_);
  }
  // Points the tensor at other memory that holds `capacity` elements.
  void Rebind(void* data, size_t capacity) {
    data_ = data;
    capacity_ = capacity;
  }
  // Points it at the memory of another tensor, or of none, for the rest of an execution.
  void Borrow(const Tensor& from) {
    Rebind(from.data_, from.capacity_);
    read_only_ = from.read_only_;
    borrowed_ = true;
  }

  bool dynamic() const { return dynamic_; }      // may be resized
  bool read_only() const { return read_only_; }  // a constant, perhaps mapped read-only
  bool planned() const { return planned_; }      // lives in planned memory
  bool borrowed() const { return borrowed_; }    // an instruction replaced its memory
  void set_dynamic(bool v) { dynamic_ = v; }
  void set_read_only(bool v) { read_only_ = v; }
  void set_planned(bool v) { planned_ = v; }

  // Gives the tensor these sizes.  A static tensor accepts only the sizes it has; a dynamic one any
  // of the same rank whose elements fit.  Errors: kOutputRank, kOutputShape, kOutputTooSmall,
  // kArgumentSize (a negative size).
  Error Resize(Span<const int32_t> sizes);

  // True where elements lie in the order 0, 1, 2, ... of dimensions (sizes of 1 do not matter).
  bool IsContiguous() const;

 private:
  void* data_ = nullptr;
  int32_t* sizes_ = nullptr;            // [rank]
  const uint8_t* dim_order_ = nullptr;  // [rank] or null
  size_t capacity_ = 0;
  uint8_t rank_ = 0;
  DType dtype_ = DType::kFloat32;
  bool dynamic_ = false;
  bool read_only_ = false;
  bool planned_ = false;
  bool borrowed_ = false;
};

// Element strides, in dimension order.  `strides` has tensor.rank() entries.
void ComputeStrides(const Tensor& tensor, int64_t* strides);

// True where both tensors lie in memory in the same order.  Requires: equal sizes.
bool SameDimOrder(const Tensor& a, const Tensor& b);

// True where the bytes of the two overlap.
bool Overlap(const Tensor& a, const Tensor& b);

// Product of sizes, or false where it does not fit size_t or a size is negative.
bool CheckedNumel(Span<const int32_t> sizes, size_t* numel);

}  // namespace rushlight
