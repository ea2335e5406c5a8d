// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// Padding with a number, by reflection and by replication; roll.

#include "src/ops/casts.h"
#include "src/ops/copy.h"
#include "src/ops/shapes.h"
#include "src/ops/tables.h"

namespace rushlight::ops {
namespace {

// Along one dimension, the output is at most three pieces of the input, one after another.  Element
// i of a piece is element  from + i * step  of the input.
struct Piece {
  int64_t length;
  int64_t from;
  int64_t step;
};
struct Axis {
  size_t dim;
  size_t count = 0;
  Piece pieces[3] = {};

  void Add(Piece piece) {
    if (piece.length > 0) pieces[count++] = piece;
  }
};

// Copies every combination of pieces; dimensions without an axis are copied as they are.
Error CopyPieces(Context& context, const View& to, const View& from, Span<const Axis> axes) {
  size_t combinations = 1;
  for (const Axis& axis : axes) combinations *= axis.count;
  for (size_t i = 0; i < combinations; ++i) {
    View target = to;
    View source = from;
    size_t rest = i;
    for (const Axis& axis : axes) {
      const size_t chosen = rest % axis.count;
      rest /= axis.count;
      int64_t start = 0;
      for (size_t k = 0; k < chosen; ++k) start += axis.pieces[k].length;
      const Piece& piece = axis.pieces[chosen];
      Cut(target, axis.dim, start, piece.length);
      Cut(source, axis.dim, piece.from, piece.length);
      source.strides[axis.dim] *= piece.step;
    }
    RL_RETURN_IF_ERROR(Copy(context, target, source));
  }
  return kOk;
}

int64_t Positive(int64_t v) { return v > 0 ? v : 0; }

// The pads of dimension d of `rank`, which are listed from the last dimension on.
struct Pads {
  int64_t before = 0;
  int64_t after = 0;
};
Pads PadsOf(Span<const int64_t> padding, size_t rank, size_t d) {
  const size_t i = 2 * (rank - 1 - d);
  return i < padding.size() ? Pads{padding[i], padding[i + 1]} : Pads{};
}
Error CheckPads(Span<const int64_t> padding, size_t rank) {
  RL_CHECK(padding.size() % 2 == 0 && padding.size() / 2 <= rank, Reason::kArgumentValue,
           Error::kNone, static_cast<int64_t>(padding.size()), static_cast<int64_t>(2 * rank));
  for (const int64_t pad : padding) {
    RL_CHECK(pad >= -INT32_MAX && pad <= INT32_MAX, Reason::kArgumentValue, Error::kNone, pad,
             INT32_MAX);
  }
  return kOk;
}

// constant_pad_nd.

Error PrepareConstantPad(PrepareContext& c, const Tensor& self, Span<const int64_t>, Scalar,
                         Tensor& out) {
  RL_RETURN_IF_ERROR(CheckDType(out, self.dtype(), 3));
  return UseNumber(c, 0, out.dtype());
}
Error RunConstantPad(RunContext& c, const Tensor& self, Span<const int64_t> padding, Scalar value,
                     Tensor& out) {
  RL_RETURN_IF_ERROR(CheckPads(padding, self.rank()));
  View from = ViewOf(self);
  View padded = from;
  for (size_t d = 0; d < from.rank; ++d) {
    const Pads pads = PadsOf(padding, from.rank, d);
    padded.sizes[d] += pads.before + pads.after;
    const int64_t cut = Positive(-pads.before);  // negative pads cut the input
    const int64_t kept = from.sizes[d] - cut - Positive(-pads.after);
    RL_CHECK(kept >= 0, Reason::kArgumentValue, Error::kNone, pads.before + pads.after,
             from.sizes[d]);
    Cut(from, d, cut, kept);
  }
  RL_RETURN_IF_ERROR(ResizeAs(out, padded));
  const Element element = MakeElement(c, 0, value);
  // From the outside to the inside: the bands at both ends of each dimension, then what is left.
  View inner = ViewOf(out);
  for (size_t d = 0; d < inner.rank; ++d) {
    const int64_t before = Positive(PadsOf(padding, inner.rank, d).before);
    const int64_t after = inner.sizes[d] - before - from.sizes[d];
    View band = inner;
    Cut(band, d, 0, before);
    RL_RETURN_IF_ERROR(Fill(c.context, band, element.bytes));
    band = inner;
    Cut(band, d, inner.sizes[d] - after, after);
    RL_RETURN_IF_ERROR(Fill(c.context, band, element.bytes));
    Cut(inner, d, before, from.sizes[d]);
  }
  return Copy(c.context, inner, from);
}

// reflection_pad, replication_pad.  With b before and a after an input of n elements, output j is
// input j - b where there is one; beyond, it is its mirror image at the edge, or the edge.

Axis Reflected(size_t d, int64_t n, const Pads& pads, int64_t length) {
  const int64_t before = Positive(pads.before) < length ? Positive(pads.before) : length;
  const int64_t middle = Positive((length < n + pads.before ? length : n + pads.before) - before);
  const int64_t done = before + middle;
  Axis axis{d};
  axis.Add({before, pads.before, -1});
  axis.Add({middle, Positive(-pads.before), 1});
  axis.Add({length - done, 2 * (n - 1) + pads.before - done, -1});
  return axis;
}
Axis Replicated(size_t d, int64_t n, const Pads& pads, int64_t length) {
  Axis axis = Reflected(d, n, pads, length);
  for (size_t k = 0; k < axis.count; ++k) {
    Piece& piece = axis.pieces[k];
    if (piece.step == 1) continue;
    piece.from = k == 0 && pads.before > 0 ? 0 : n - 1;
    piece.step = 0;
  }
  return axis;
}

template <size_t kDims>
Error PrepareEdgePad(PrepareContext&, const Tensor& self, Span<const int64_t>, Tensor& out) {
  RL_CHECK(self.rank() == kDims + 1 || self.rank() == kDims + 2, Reason::kArgumentRank,
           Error::kNone, static_cast<int64_t>(self.rank()), kDims + 2);
  return CheckDType(out, self.dtype(), 2);
}
template <size_t kDims, bool kReflect>
Error RunEdgePad(RunContext& c, const Tensor& self, Span<const int64_t> padding, Tensor& out) {
  RL_CHECK(padding.size() == 2 * kDims, Reason::kArgumentValue, Error::kNone,
           static_cast<int64_t>(padding.size()), 2 * kDims);
  RL_RETURN_IF_ERROR(CheckPads(padding, self.rank()));
  const View from = ViewOf(self);
  View padded = from;
  Axis axes[kDims];
  for (size_t k = 0; k < kDims; ++k) {
    const size_t d = from.rank - kDims + k;
    const int64_t n = from.sizes[d];
    const Pads pads = PadsOf(padding, from.rank, d);
    RL_CHECK(!kReflect || (pads.before < n && pads.after < n), Reason::kArgumentValue, Error::kNone,
             pads.before < n ? pads.after : pads.before, n);
    padded.sizes[d] += pads.before + pads.after;
    RL_CHECK(n > 0 && padded.sizes[d] > 0, Reason::kArgumentSize, Error::kNone, padded.sizes[d], n);
    axes[k] = (kReflect ? Reflected : Replicated)(d, n, pads, padded.sizes[d]);
  }
  RL_RETURN_IF_ERROR(ResizeAs(out, padded));
  return CopyPieces(c.context, ViewOf(out), from, axes);
}

// roll.

Error PrepareRoll(PrepareContext&, const Tensor& self, Span<const int64_t>, Span<const int64_t>,
                  Tensor& out) {
  return CheckDType(out, self.dtype(), 3);
}
// `size` elements rolled by any shift: how many of the last come first.
int64_t Shift(int64_t shift, int64_t size) {
  const int64_t r = size > 0 ? shift % size : 0;
  return r < 0 ? r + size : r;
}
Error RunRoll(RunContext& c, const Tensor& self, Span<const int64_t> shifts,
              Span<const int64_t> dims, Tensor& out) {
  const View from = ViewOf(self);
  const size_t numel = self.numel();
  RL_CHECK(dims.empty() ? shifts.size() == 1 : shifts.size() == dims.size(), Reason::kArgumentValue,
           Error::kNone, static_cast<int64_t>(shifts.size()), static_cast<int64_t>(dims.size()));
  int64_t by[kMaxRank] = {};  // a dimension may be named more than once
  for (size_t i = 0; i < dims.size(); ++i) {
    RL_CHECK(from.rank > 0, Reason::kArgumentRank, Error::kNone, 0, 1);
    size_t d = 0;
    RL_RETURN_IF_ERROR(NormalizeDim(dims[i], from.rank, &d));
    by[d] = Shift(by[d] + Shift(shifts[i], from.sizes[d]), from.sizes[d]);
  }
  RL_RETURN_IF_ERROR(ResizeAs(out, from));
  if (numel == 0) return kOk;
  const View to = ViewOf(out);
  if (dims.empty()) {  // as if there were one dimension
    const auto first = static_cast<size_t>(Shift(shifts[0], static_cast<int64_t>(numel)));
    RL_RETURN_IF_ERROR(CopyInOrder(c.context, to, 0, from, numel - first, first));
    return CopyInOrder(c.context, to, first, from, 0, numel - first);
  }
  Axis axes[kMaxRank];
  size_t count = 0;
  for (size_t d = 0; d < from.rank; ++d) {
    if (by[d] == 0) continue;
    Axis axis{d};
    axis.Add({by[d], from.sizes[d] - by[d], 1});
    axis.Add({from.sizes[d] - by[d], 0, 1});
    axes[count++] = axis;
  }
  return CopyPieces(c.context, to, from, {axes, count});
}

constexpr Op kOps[] = {
    {"aten::constant_pad_nd.out", Boxed<PrepareConstantPad, RunConstantPad>, {}, kCasts},
    {"aten::reflection_pad1d.out", Boxed<PrepareEdgePad<1>, RunEdgePad<1, true>>},
    {"aten::reflection_pad2d.out", Boxed<PrepareEdgePad<2>, RunEdgePad<2, true>>},
    {"aten::reflection_pad3d.out", Boxed<PrepareEdgePad<3>, RunEdgePad<3, true>>},
    {"aten::replication_pad1d.out", Boxed<PrepareEdgePad<1>, RunEdgePad<1, false>>},
    {"aten::replication_pad2d.out", Boxed<PrepareEdgePad<2>, RunEdgePad<2, false>>},
    {"aten::replication_pad3d.out", Boxed<PrepareEdgePad<3>, RunEdgePad<3, false>>},
    {"aten::roll.out", Boxed<PrepareRoll, RunRoll>},
};
static_assert(SortedUnique(kOps));

}  // namespace

Span<const Op> PadOps() { return SelectedRows<kOps>(); }

}  // namespace rushlight::ops
