// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// SelectedRows: a table of operators, or the part of it that the build selects
// (rushlight/selection.h).
#pragma once

#include "rushlight/op.h"
#ifdef RUSHLIGHT_SELECTION
#include <array>

#include RUSHLIGHT_SELECTION
#endif

namespace rushlight::ops {

#ifndef RUSHLIGHT_SELECTION

template <const auto& table>
Span<const Op> SelectedRows() {
  return table;
}

#else

namespace internal {

constexpr bool IsSelected(const Op& op) {
  for (const Selected& s : kSelection) {
    if (s.kind == SelectedKind::kOperator && s.op == op.name) return true;
  }
  return false;
}

constexpr bool IsSelected(const Op& op, SelectedKind kind, const Loop& loop) {
  for (const Selected& s : kSelection) {
    if (s.kind == kind && s.in == loop.in && s.out == loop.out && s.variant == loop.variant &&
        s.op == op.name) {
      return true;
    }
  }
  return false;
}

// The selected loops of a row.  Templates all the way, so that nothing but the result is compiled
// into the image.
template <const auto& table, size_t row, Span<const Loop> Op::*list, SelectedKind kind>
struct LoopSelection {
  static constexpr size_t Count() {
    size_t n = 0;
    for (const Loop& loop : table[row].*list) n += IsSelected(table[row], kind, loop) ? 1 : 0;
    return n;
  }
  static constexpr auto Make() {
    std::array<Loop, Count()> loops{};
    size_t n = 0;
    for (const Loop& loop : table[row].*list) {
      if (IsSelected(table[row], kind, loop)) loops[n++] = loop;
    }
    return loops;
  }
  static constexpr auto kLoops = Make();
};

template <const auto& table>
struct RowSelection {
  static constexpr size_t Count() {
    size_t n = 0;
    for (const Op& op : table) n += IsSelected(op) ? 1 : 0;
    return n;
  }
  // The position in `table` of selected row `i`.
  static constexpr size_t Row(size_t i) {
    size_t row = 0;
    while (!IsSelected(table[row]) || i-- > 0) ++row;
    return row;
  }
  template <size_t... i>
  static constexpr std::array<Op, sizeof...(i)> Make(std::index_sequence<i...>) {
    return {Op{table[Row(i)].name, table[Row(i)].prepare,
               LoopSelection<table, Row(i), &Op::loops, SelectedKind::kLoop>::kLoops,
               LoopSelection<table, Row(i), &Op::casts, SelectedKind::kCast>::kLoops}...};
  }
  static constexpr auto kRows = Make(std::make_index_sequence<Count()>());
};

}  // namespace internal

template <const auto& table>
Span<const Op> SelectedRows() {
  return internal::RowSelection<table>::kRows;
}

#endif

}  // namespace rushlight::ops
