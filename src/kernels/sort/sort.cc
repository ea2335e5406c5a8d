// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/kernels/sort/sort.h"

#include <cstring>
#include <type_traits>
#include <utility>

namespace rushlight::kernels {
namespace {

template <class T>
uint64_t KeyOf(T number) {
  uint64_t bits;
  std::memcpy(&bits, &number, sizeof bits);
  constexpr uint64_t kSign = uint64_t{1} << 63;
  if constexpr (std::is_floating_point_v<T>) {
    if (number != number) return ~uint64_t{0};
    if (number == 0) return kSign;
    return (bits & kSign) != 0 ? ~bits : bits | kSign;
  } else {
    return std::is_signed_v<T> ? bits ^ kSign : bits;
  }
}

template <class T>
uint64_t* MakeKeys(const SortArgs& a) {
  auto* keys = static_cast<uint64_t*>(a.keys);
  const uint64_t flip = a.descending ? ~uint64_t{0} : 0;
  for (size_t i = 0; i < a.n; ++i) {
    T number;
    std::memcpy(&number, keys + i, sizeof number);
    keys[i] = KeyOf(number) ^ flip;
  }
  return keys;
}

void InsertionSort(uint64_t* keys, uint32_t* order, size_t n) {
  for (size_t i = 1; i < n; ++i) {
    const uint64_t key = keys[i];
    const uint32_t position = order[i];
    size_t j = i;
    for (; j > 0 && keys[j - 1] > key; --j) {
      keys[j] = keys[j - 1];
      order[j] = order[j - 1];
    }
    keys[j] = key;
    order[j] = position;
  }
}

// By one byte of the keys after the other, the lowest first, but for bytes that are all alike.
void RadixSort(uint64_t* keys, const SortArgs& a) {
  uint32_t* order = a.order;
  uint64_t* other_keys = a.spare_keys;
  uint32_t* other_order = a.spare_order;
  uint64_t differing = 0;
  for (size_t i = 1; i < a.n; ++i) differing |= keys[i] ^ keys[0];
  for (int shift = 0; shift < 64; shift += 8) {
    if ((differing >> shift & 0xff) == 0) continue;
    uint32_t next[256] = {};  // how many there are, then where the next one goes
    for (size_t i = 0; i < a.n; ++i) ++next[keys[i] >> shift & 0xff];
    uint32_t sum = 0;
    for (uint32_t& place : next) sum += std::exchange(place, sum);
    for (size_t i = 0; i < a.n; ++i) {
      const uint32_t place = next[keys[i] >> shift & 0xff]++;
      other_keys[place] = keys[i];
      other_order[place] = order[i];
    }
    std::swap(keys, other_keys);
    std::swap(order, other_order);
  }
  if (order != a.order) std::memcpy(a.order, order, a.n * sizeof *order);
}

// A heap of positions whose root is the last of them in the order of the row.
class Heap {
 public:
  Heap(const uint64_t* keys, uint32_t* positions, size_t size)
      : keys_(keys), positions_(positions), size_(size) {
    for (size_t i = size / 2; i-- > 0;) Sink(positions_[i], i);
  }

  uint64_t LastKey() const { return keys_[positions_[0]]; }
  void ReplaceLast(uint32_t position) { Sink(position, 0); }
  // Leaves the positions in order.
  void Sort() {
    while (size_ > 1) {
      const uint32_t last = positions_[0];
      const uint32_t moved = positions_[--size_];
      Sink(moved, 0);
      positions_[size_] = last;
    }
  }

 private:
  bool Before(uint32_t a, uint32_t b) const {
    return keys_[a] != keys_[b] ? keys_[a] < keys_[b] : a < b;
  }
  void Sink(uint32_t position, size_t i) {
    for (size_t child = 2 * i + 1; child < size_; child = 2 * i + 1) {
      if (child + 1 < size_ && Before(positions_[child], positions_[child + 1])) ++child;
      if (!Before(position, positions_[child])) break;
      positions_[i] = positions_[child];
      i = child;
    }
    positions_[i] = position;
  }

  const uint64_t* keys_;
  uint32_t* positions_;
  size_t size_;
};

}  // namespace

template <class T>
void Sort(const SortArgs& a) {
  constexpr size_t kFew = 48;  // below it, counting bytes takes longer
  uint64_t* keys = MakeKeys<T>(a);
  for (size_t i = 0; i < a.n; ++i) a.order[i] = static_cast<uint32_t>(i);
  if (a.n <= kFew) return InsertionSort(keys, a.order, a.n);
  RadixSort(keys, a);
}

template <class T>
void SelectFirst(const SortArgs& a) {
  const uint64_t* keys = MakeKeys<T>(a);
  for (size_t i = 0; i < a.k; ++i) a.order[i] = static_cast<uint32_t>(i);
  Heap heap(keys, a.order, a.k);
  uint64_t last = heap.LastKey();
  for (size_t i = a.k; i < a.n; ++i) {
    if (keys[i] >= last) continue;
    heap.ReplaceLast(static_cast<uint32_t>(i));
    last = heap.LastKey();
  }
  heap.Sort();
}

template void Sort<double>(const SortArgs&);
template void Sort<int64_t>(const SortArgs&);
template void Sort<uint64_t>(const SortArgs&);
template void SelectFirst<double>(const SortArgs&);
template void SelectFirst<int64_t>(const SortArgs&);
template void SelectFirst<uint64_t>(const SortArgs&);

}  // namespace rushlight::kernels
