// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/kernels/conv/conv.h"

#include <algorithm>
#include <cstring>

namespace rushlight::kernels {
namespace {

constexpr size_t kFewRows = 8;  // a panel does not pay for fewer
constexpr size_t kMaxTaps = 32;
static_assert(kLanes<float> <= kConvColumns && kConvColumns % kLanes<double> == 0);

// Positions of a transposed convolution that lie a stride apart meet the same taps, so they are
// counted one after the other: 0, s, 2s, ..., 1, s + 1, ...  The taps that miss them are skipped.
int64_t Coordinate(const ConvDim& d, bool transposed, int64_t i) {
  if (!transposed) return i;
  const int64_t turns = d.out / d.stride;
  const int64_t longer = d.out % d.stride;  // so many first ones have turns + 1
  const int64_t in_longer = longer * (turns + 1);
  if (i < in_longer) return i / (turns + 1) + i % (turns + 1) * d.stride;
  i -= in_longer;
  return longer + i / turns + i % turns * d.stride;
}

// What `tap` multiplies for output `o`, along one dimension; -1 outside of the input.
int64_t Source(const ConvDim& d, bool transposed, int64_t o, int64_t tap) {
  if (!transposed) {
    const int64_t i = o * d.stride - d.padding + tap * d.dilation;
    return i >= 0 && i < d.in ? i : -1;
  }
  const int64_t i = o + d.padding - tap * d.dilation;
  return i >= 0 && i % d.stride == 0 && i / d.stride < d.in ? i / d.stride : -1;
}

// Up to kLanes output positions.
struct Columns {
  int64_t at[kConvColumns][3];
  int64_t out[kConvColumns];  // offset from the channel's first element
  bool consecutive = true;    // in the output
  size_t count;

  Columns(const ConvShape& s, size_t begin, size_t n) : count(n) {
    for (size_t c = 0; c < n; ++c) {
      auto rest = static_cast<int64_t>(begin + c);
      out[c] = 0;
      for (size_t d = 3; d-- > 0;) {
        const ConvDim& dim = s.dims[d];
        at[c][d] = Coordinate(dim, s.transposed, rest % dim.out);
        out[c] += at[c][d] * dim.out_stride;
        rest /= dim.out;
      }
      consecutive &= out[c] == out[0] + static_cast<int64_t>(c);
    }
  }
};

// The inputs that one tap multiplies for the columns of a panel.
struct TapInputs {
  int64_t offset[kConvColumns];  // from the channel's first element; -1 for a zero
  bool consecutive;              // all of them
};

// Fills in the taps [first, first + tap_count) for panels of `lanes` columns; false where they all
// miss the input.
bool Locate(const ConvShape& s, const Columns& columns, size_t lanes, size_t first,
            size_t tap_count, TapInputs* taps) {
  bool any = false;
  int64_t tap[3];
  auto rest = static_cast<int64_t>(first);
  for (size_t d = 3; d-- > 0; rest /= s.dims[d].kernel) tap[d] = rest % s.dims[d].kernel;
  for (size_t t = 0; t < tap_count; ++t) {
    TapInputs& inputs = taps[t];
    inputs.consecutive = columns.count == lanes;
    for (size_t c = 0; c < columns.count; ++c) {
      int64_t offset = 0;
      for (size_t d = 0; d < 3 && offset >= 0; ++d) {
        const int64_t i = Source(s.dims[d], s.transposed, columns.at[c][d], tap[d]);
        offset = i < 0 ? -1 : offset + i * s.dims[d].in_stride;
      }
      inputs.offset[c] = offset;
      inputs.consecutive &= offset >= 0 && offset == inputs.offset[0] + static_cast<int64_t>(c);
      any |= offset >= 0;
    }
    for (size_t d = 3; d-- > 0 && ++tap[d] == s.dims[d].kernel;) tap[d] = 0;
  }
  return any;
}

// Copies what the taps meet in each of the channels: rows of kColumns elements, of which the first
// `count` are columns.
template <size_t kBytes, size_t kColumns>
void Gather(const uint8_t* in, int64_t channel_stride, size_t channels, const TapInputs* taps,
            size_t tap_count, size_t count, uint8_t* to) {
  constexpr auto kStep = static_cast<int64_t>(kBytes);
  for (size_t channel = 0; channel < channels; ++channel) {
    for (size_t t = 0; t < tap_count; ++t) {
      const TapInputs& inputs = taps[t];
      if (inputs.consecutive) {
        std::memcpy(to, in + inputs.offset[0] * kStep, kBytes * kColumns);
      } else {
        std::memset(to, 0, kBytes * kColumns);
        for (size_t c = 0; c < count; ++c) {
          if (inputs.offset[c] < 0) continue;
          std::memcpy(to + c * kBytes, in + inputs.offset[c] * kStep, kBytes);
        }
      }
      to += kBytes * kColumns;
    }
    in += channel_stride * kStep;
  }
}

template <class C>
void FillPanel(const ConvArgs& a, size_t channel, size_t channels, const TapInputs* taps,
               size_t tap_count, size_t count, Panel<C>* panel) {
  constexpr size_t kColumns = kLanes<C>;
  const int64_t stride = a.shape->in_channel;
  const auto* in =
      static_cast<const uint8_t*>(a.storage.At(a.in, static_cast<int64_t>(channel) * stride));
  if (a.storage.widen == nullptr) {
    Gather<sizeof(C), kColumns>(in, stride, channels, taps, tap_count, count,
                                reinterpret_cast<uint8_t*>(panel->values));
    return;
  }
  alignas(16) uint8_t raw[sizeof panel->values / 2];
  switch (a.storage.size) {
    case 1:
      Gather<1, kColumns>(in, stride, channels, taps, tap_count, count, raw);
      break;
    case 2:
      Gather<2, kColumns>(in, stride, channels, taps, tap_count, count, raw);
      break;
    default:  // 4, in 8
      Gather<sizeof(C) / 2, kColumns>(in, stride, channels, taps, tap_count, count, raw);
      break;
  }
  a.storage.Read(raw, channels * tap_count * kColumns, 1, panel->values);
}

// Adds the bias and stores the sums of all rows, along whichever dimension lies close together.
template <class C>
void StorePanel(const ConvArgs& a, const Columns& columns, const Panel<C>& panel) {
  const int64_t out_channel = a.shape->out_channel;
  C zeros[kConvRows];
  const C* bias = zeros;
  if (a.bias == nullptr) {
    std::fill(zeros, zeros + a.rows, C(0));
  } else {
    bias = a.storage.Read(a.bias, a.rows, 1, zeros);
  }
  if (out_channel == 1) {
    for (size_t c = 0; c < columns.count; ++c) {
      C values[kConvRows];
      for (size_t r = 0; r < a.rows; ++r) values[r] = panel.sums[r * kLanes<C> + c] + bias[r];
      a.storage.Write(a.storage.At(a.out, columns.out[c]), values, a.rows);
    }
    return;
  }
  for (size_t r = 0; r < a.rows; ++r) {
    C values[kLanes<C>];
    for (size_t c = 0; c < kLanes<C>; ++c) values[c] = panel.sums[r * kLanes<C> + c] + bias[r];
    const int64_t row = static_cast<int64_t>(r) * out_channel;
    if (columns.consecutive) {
      a.storage.Write(a.storage.At(a.out, row + columns.out[0]), values, columns.count);
    } else {
      for (size_t c = 0; c < columns.count; ++c) {
        a.storage.Write(a.storage.At(a.out, row + columns.out[c]), values + c, 1);
      }
    }
  }
}

template <class C>
void ConvolvePanel(const ConvArgs& a, size_t begin) {
  const ConvShape& s = *a.shape;
  const Columns columns(s, begin, std::min(kLanes<C>, a.end - begin));
  // The depth of the panel: several channels of all taps where the weights of these follow each
  // other, else one tap of several channels.
  const bool flat =
      !s.transposed &&
      (s.channels == 1 || s.weight_channel == static_cast<int64_t>(s.taps) * s.weight_tap);
  const size_t tap_step = flat ? std::min(s.taps, kMaxTaps) : 1;
  const size_t channel_step = tap_step == s.taps || !flat ? kPanelDepth / tap_step : 1;
  const int64_t depth_step = flat ? s.weight_tap : s.weight_channel;
  TapInputs taps[kMaxTaps];
  Panel<C> panel;
  panel.Clear(a.rows);
  for (size_t tap = 0; tap < s.taps; tap += tap_step) {
    const size_t tap_count = std::min(tap_step, s.taps - tap);
    if (!Locate(s, columns, kLanes<C>, tap, tap_count, taps)) continue;
    for (size_t channel = 0; channel < s.channels; channel += channel_step) {
      const size_t channels = std::min(channel_step, s.channels - channel);
      FillPanel(a, channel, channels, taps, tap_count, columns.count, &panel);
      const int64_t at = static_cast<int64_t>(channel) * s.weight_channel +
                         static_cast<int64_t>(tap) * s.weight_tap;
      panel.Multiply(a.storage, a.storage.At(a.weight, at), s.weight_row, depth_step, a.rows,
                     channels * tap_count);
    }
  }
  StorePanel(a, columns, panel);
}

}  // namespace

template <class C>
void Convolve(const ConvArgs& a) {
  if (a.shape->channels == 1 && !a.shape->transposed && a.rows < kFewRows) {
    ConvolveChannel<C>(a);
    return;
  }
  for (size_t p = a.begin; p < a.end; p += kLanes<C>) ConvolvePanel<C>(a, p);
}

template void Convolve<float>(const ConvArgs&);
template void Convolve<double>(const ConvArgs&);
template void Convolve<uint32_t>(const ConvArgs&);
template void Convolve<uint64_t>(const ConvArgs&);

}  // namespace rushlight::kernels
