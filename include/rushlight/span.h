// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Span: a pointer and a count, as in C++20.  Nothing is owned.
#pragma once

#include <cstddef>
#include <type_traits>

namespace rushlight {

template <class T>
class Span {
 public:
  constexpr Span() = default;
  constexpr Span(T* data, size_t size) : data_(data), size_(size) {}
  template <size_t N>
  constexpr Span(T (&array)[N]) : data_(array), size_(N) {}
  // From any container with data() and size(): vector, array, string, another Span.
  template <class C, class = decltype(static_cast<T*>(std::declval<C&>().data()))>
  constexpr Span(C&& c) : data_(c.data()), size_(c.size()) {}

  constexpr T* data() const { return data_; }
  constexpr size_t size() const { return size_; }
  constexpr bool empty() const { return size_ == 0; }
  // Requires: i < size().
  constexpr T& operator[](size_t i) const { return data_[i]; }
  constexpr T* begin() const { return data_; }
  constexpr T* end() const { return data_ + size_; }
  // Requires: offset + count <= size().
  constexpr Span subspan(size_t offset, size_t count) const { return {data_ + offset, count}; }

 private:
  T* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace rushlight
