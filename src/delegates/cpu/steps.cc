// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// The walk over a plan's steps.

#include <algorithm>
#include <cstring>

#include "src/delegates/cpu/call.h"
#include "src/kernels/packed/pack.h"

namespace rushlight::delegates::cpu {

namespace fb = rushlight::fb::cpu;
using kernels::PackedMatrix;

Error Call::Run() {
  RL_RETURN_IF_ERROR(AllocateScratch());
  for (size_t i = 0; i < sequences_.size(); ++i) {
    Sequence& s = sequences_[i];
    std::fill_n(sequence_of_row_ + s.first, s.rows, static_cast<uint32_t>(i));
    RL_RETURN_IF_ERROR(CheckArguments(&s));
  }
  for (uint32_t i = 0; i < source_.steps()->size(); ++i) {
    RL_RETURN_IF_ERROR(context_.CheckBudget());  // loops on one thread do not look
    context_.BeginStep(i);
    RL_RETURN_IF_ERROR(RunStep(*source_.steps()->Get(i)));
  }
  return kOk;
}

float* Call::ArgumentRow(const fb::Rows& rows, size_t i, bool single) const {
  const Sequence& s = single ? sequences_[i] : SequenceOf(i);
  const size_t width = source_.arguments()->Get(rows.index())->width();
  return tensor(s, rows.index()).mutable_data<float>() + (single ? 0 : i - s.first) * width +
         rows.column();
}

Call::View Call::At(const fb::Rows& rows) const {
  if (!rows.is_argument()) {
    const fb::Buffer& b = *source_.buffers()->Get(rows.index());
    return {buffers_ + b.offset() * m_ + rows.column(), b.width(), nullptr, this, b.single()};
  }
  const fb::Argument& a = *source_.arguments()->Get(rows.index());
  float* const data = Together(rows) ? ArgumentRow(rows, 0, a.single()) : nullptr;
  return {data, a.width(), &rows, this, a.single()};
}

Error Call::RunStep(const fb::Step& step) {
  switch (step.operation_type()) {
    case fb::Operation_Embed:
      return Embed(*step.operation_as_Embed());
    case fb::Operation_Norm:
      return Norm(*step.operation_as_Norm());
    case fb::Operation_Matmul:
      return Matmul(*step.operation_as_Matmul());
    case fb::Operation_Rope:
      return Rope(*step.operation_as_Rope());
    case fb::Operation_Attention:
      return Attend(*step.operation_as_Attention());
    case fb::Operation_Add: {
      const fb::Add& s = *step.operation_as_Add();
      const View a = At(*s.a()), b = At(*s.b()), out = At(*s.out());
      return ForRows(CountOf(*s.out()), s.size(),
                     [&](size_t i) { plan_.rows->add(a.row(i), b.row(i), s.size(), out.row(i)); });
    }
    case fb::Operation_Gate: {
      const fb::Gate& s = *step.operation_as_Gate();
      const View gate = At(*s.gate()), in = At(*s.input()), out = At(*s.out());
      const auto activation = static_cast<kernels::Activation>(s.activation());
      return ForRows(CountOf(*s.out()), s.size(), [&](size_t i) {
        plan_.rows->gate(activation, gate.row(i), in.row(i), s.size(), out.row(i));
      });
    }
    case fb::Operation_Last: {
      const fb::Last& s = *step.operation_as_Last();
      const View in = At(*s.input()), out = At(*s.out());
      const bool single = IsSingle(*s.input());
      for (size_t i = 0; i < sequences_.size(); ++i) {
        const size_t last = single ? i : sequences_[i].first + sequences_[i].rows - 1;
        std::memmove(out.row(i), in.row(last), s.size() * sizeof(float));  // buffers may overlap
      }
      return kOk;
    }
    case fb::Operation_Scale: {
      const fb::Scale& s = *step.operation_as_Scale();
      const View in = At(*s.input()), out = At(*s.out());
      return ForRows(CountOf(*s.out()), s.size(), [&](size_t i) {
        plan_.rows->widen(DType::kFloat32, in.row(i), s.factor(), s.size(), out.row(i));
      });
    }
    case fb::Operation_SelfAttention:
      return SelfAttend(*step.operation_as_SelfAttention());
    case fb::Operation_Affine:
      return Affine(*step.operation_as_Affine());
    default:
      return Error(Reason::kBug);
  }
}

Error Call::Embed(const fb::Embed& step) {
  const PackedMatrix& w = plan_.matrices[step.matrix()];
  const auto token = [&](size_t i) {
    const Sequence& s = SequenceOf(i);
    return tensor(s, step.tokens()).data<int64_t>()[i - s.first];
  };
  for (size_t i = 0; i < m_; ++i) {
    RL_CHECK(token(i) >= 0 && static_cast<uint64_t>(token(i)) < w.n, Reason::kIndexOutOfRange,
             Error::kNone, token(i), static_cast<int64_t>(w.n));
  }
  const View out = At(*step.out());
  return ForRows(m_, w.k * 8, [&](size_t i) {
    kernels::DequantizeRow(w, static_cast<size_t>(token(i)), out.row(i));
  });
}

Error Call::Norm(const fb::Norm& step) {
  const View in = At(*step.input()), out = At(*step.out());
  const float* weight = Vector(step.weight());
  const float* bias = Vector(step.bias());
  return ForRows(CountOf(*step.out()), size_t{step.size()} * step.count(), [&](size_t i) {
    for (size_t c = 0; c < step.count(); ++c) {
      const float* x = in.row(i) + c * step.size();
      float* y = out.row(i) + c * step.size();
      if (step.kind() == fb::NormKind_RMS) {
        plan_.rows->rms_norm(x, weight, step.epsilon(), step.size(), y);
      } else {
        plan_.rows->layer_norm(x, weight, bias, step.epsilon(), step.size(), y);
      }
    }
  });
}

Error Call::Matmul(const fb::Matmul& step) {
  if (Together(*step.input()) && (step.residual() == nullptr || Together(*step.residual()))) {
    return MatmulRows(step, 0, CountOf(*step.out()));
  }
  const bool single = IsSingle(*step.out());
  for (size_t i = 0; i < sequences_.size(); ++i) {
    const Sequence& s = sequences_[i];
    RL_RETURN_IF_ERROR(MatmulRows(step, single ? i : s.first, single ? 1 : s.rows));
  }
  return kOk;
}

// Rows of one sequence, or rows of all that lie together but in the output: there they go through
// memory of a thread's own.
Error Call::MatmulRows(const fb::Matmul& step, size_t first, size_t m) {
  const PackedMatrix& w = plan_.matrices[step.matrix()];
  const View in = At(*step.input()), out = At(*step.out());
  const float* const x = in.row(first);
  const bool apart = !Together(*step.out()) && m == CountOf(*step.out());
  kernels::MatmulOutput output{};
  output.data = apart ? nullptr : out.row(first);
  output.stride = out.stride;
  output.columns = step.columns();
  output.epilogue.bias = Vector(step.bias());
  output.epilogue.activation = static_cast<kernels::Activation>(step.activation());
  output.epilogue.gated = step.gated();
  if (step.residual() != nullptr) {
    const View residual = At(*step.residual());
    output.epilogue.residual = residual.row(first);
    output.epilogue.residual_stride = residual.stride;
  }
  kernels::QuantizedRows rows{};
  const bool integers = kernels::IsInteger(w.format) && !step.float_activations();
  if (integers) {
    const size_t stride = kernels::QuantizedStride(w.k), groups = kernels::GroupCount(w);
    rows = {quantized_, scales_, sums_, totals_};
    RL_RETURN_IF_ERROR(ForRows(m, w.k, [&](size_t i) {
      kernels::QuantizeArgs args{};
      args.x = x + i * in.stride;
      args.stride = in.stride;
      args.m = 1;
      args.k = w.k;
      args.group = w.group;
      args.row_scale = kernels::HasTwoLevels(w);
      args.values = quantized_ + i * stride;
      args.scales = scales_ + i * groups;
      args.sums = sums_ + i * groups;
      args.totals = totals_ + i * groups;
      plan_.integers->quantize(args);
    }));
  }
  const bool bf16 = w.format == kernels::PackedFormat::kBF16 && step.bf16_activations();
  auto* const halves = reinterpret_cast<BFloat16*>(quantized_);
  if (bf16) {
    RL_RETURN_IF_ERROR(ForRows(m, w.k, [&](size_t i) {
      plan_.round_row(x + i * in.stride, w.k, halves + i * kernels::RoundedStride(w.k));
    }));
  }
  const auto multiply = [&](const PackedMatrix& part, const kernels::MatmulOutput& to) {
    if (integers) {
      const kernels::IntegerMatmulArgs args{part, rows, m, to};
      (w.format == kernels::PackedFormat::kU4 ? plan_.integers->matmul_u4
                                              : plan_.integers->matmul_u8)(args);
    } else if (bf16) {
      plan_.bf16_matmul({part, halves, m, to});
    } else {
      plan_.float_matmul({part, x, in.stride, m, to});
    }
  };
  const size_t unit = step.gated() ? 2 : 1;  // panels that belong together: a panel of outputs
  const size_t units = kernels::PanelCount(w) / unit;
  if (!apart) {
    return context_.ParallelFor(units, Grain(units), [&](size_t begin, size_t end) {
      kernels::MatmulOutput part = output;
      part.begin = begin * unit;
      part.end = end * unit;
      multiply(w, part);
    });
  }
  constexpr size_t kOutputs = kernels::kPanelOutputs;
  const size_t most = std::max<size_t>(plan_.thread_floats / (kOutputs * m), 1);
  return context_.ParallelFor(units, Grain(units), [&](size_t thread, size_t begin, size_t end) {
    float* const own = of_threads_ + thread * plan_.thread_floats;
    for (size_t u = begin; u < end; u += most) {
      const size_t some = std::min(most, end - u), column = u * kOutputs;
      PackedMatrix panels = w;
      panels.panels = w.panels + u * unit * kernels::PanelBytes(w);
      panels.n = std::min(w.n - column * unit, some * unit * kOutputs);
      kernels::MatmulOutput part = output;
      part.data = own;
      part.stride = some * kOutputs;
      part.columns = std::min<size_t>(step.columns() - column, some * kOutputs);
      part.begin = 0;
      part.end = some * unit;
      if (part.epilogue.bias != nullptr) part.epilogue.bias += column * unit;
      if (part.epilogue.residual != nullptr) part.epilogue.residual += column;
      multiply(panels, part);
      for (size_t i = 0; i < m; ++i) {
        std::memcpy(out.row(i) + column, own + i * part.stride, part.columns * sizeof(float));
      }
    }
  });
}

Error Call::Rope(const fb::Rope& step) {
  const View rows = At(*step.rows());
  const size_t half = step.rotary() / 2;
  const uint64_t positions =
      std::min(source_.vectors()->Get(static_cast<uint32_t>(step.cos()))->size(),
               source_.vectors()->Get(static_cast<uint32_t>(step.sin()))->size()) /
      half;
  for (const Sequence& s : sequences_) {
    size_t end = s.position + s.rows;
    if (step.groups() != nullptr) {
      RL_ASSIGN_OR_RETURN(end, LengthOf(*step.groups(), s));
    }
    RL_CHECK(end <= positions, Reason::kIndexOutOfRange, Error::kNone, static_cast<int64_t>(end),
             static_cast<int64_t>(positions));
  }
  return ForRows(m_, size_t{step.heads()} * step.size(), [&](size_t i) {
    const Sequence& s = SequenceOf(i);
    const size_t position =
        step.groups() == nullptr ? s.position + i - s.first : PlaceInGroup(*step.groups(), i);
    kernels::RopeArgs args{};
    args.x = args.out = rows.row(i);
    args.cos = Vector(step.cos()) + position * half;
    args.sin = Vector(step.sin()) + position * half;
    args.heads = step.heads();
    args.size = step.size();
    args.rotary = step.rotary();
    args.kind = static_cast<kernels::Rope>(step.kind());
    plan_.rows->rope(args);
  });
}

Error Call::Affine(const fb::Affine& step) {
  RL_RETURN_IF_ERROR(CheckGroups(*step.groups()));
  const View in = At(*step.input()), out = At(*step.out());
  const float* const weight = Vector(step.weight());
  const float* const bias = Vector(step.bias());
  return ForRows(CountOf(*step.out()), step.size(), [&](size_t i) {
    const size_t place = PlaceInGroup(*step.groups(), i) * step.size();
    plan_.rows->affine(in.row(i), weight == nullptr ? nullptr : weight + place,
                       bias == nullptr ? nullptr : bias + place, step.size(), out.row(i));
  });
}

Error Call::Attend(const fb::Attention& step) {
  const kernels::KvCache form = CacheOf(*source_.caches()->Get(step.cache()));
  const auto cache_of = [&](const Sequence& s) {
    kernels::KvCache cache = form;
    cache.keys = s.source->state[2 * step.cache()];
    cache.values = s.source->state[2 * step.cache() + 1];
    return cache;
  };
  const View key = At(*step.key()), value = At(*step.value());
  const size_t floats = m_ * form.kv_heads * (form.key_size + form.value_size);
  const size_t heads = sequences_.size() * form.kv_heads;
  RL_RETURN_IF_ERROR(context_.ParallelFor(
      heads, floats <= kSerialFloats ? heads : 1, [&](size_t thread, size_t begin, size_t end) {
        for (size_t i = begin; i < end; ++i) {
          const Sequence& s = sequences_[i / form.kv_heads];
          const size_t head = i % form.kv_heads;
          kernels::AppendToCache(
              {cache_of(s), s.position, s.rows, key.row(s.first), key.stride, value.row(s.first),
               value.stride, head, head + 1, plan_.integers->quantize,
               reinterpret_cast<int8_t*>(of_threads_ + thread * plan_.thread_floats)});
        }
      }));

  const View query = At(*step.query()), out = At(*step.out());
  const auto attention_of = [&](const Sequence& s) {
    kernels::AttentionArgs args{};
    args.cache = cache_of(s);
    args.q = query.row(s.first);
    args.q_stride = query.stride;
    args.out = out.row(s.first);
    args.out_stride = out.stride;
    args.m = s.rows;
    args.heads = step.heads();
    args.length = s.position + s.rows;
    args.first_position = s.position;
    args.causal = true;
    args.window = step.window();
    args.scale = step.scale();
    args.soft_cap = step.soft_cap();
    args.sinks = Vector(step.sinks());
    return args;
  };
  size_t items = 0, work = 0;
  for (size_t i = 0; i < sequences_.size(); ++i) {
    const kernels::AttentionArgs args = attention_of(sequences_[i]);
    items += kernels::AttentionItems(args);
    work += args.m * step.heads() * args.length * (form.key_size + form.value_size);
  }
  // A short cache is read faster than another thread comes.
  return context_.ParallelFor(items, work <= 4 * kSerialFloats ? items : 1,
                              [&](size_t thread, size_t begin, size_t end) {
                                size_t first = 0;  // item of the sequence
                                for (size_t i = 0; i < sequences_.size() && first < end; ++i) {
                                  kernels::AttentionArgs args = attention_of(sequences_[i]);
                                  const size_t count = kernels::AttentionItems(args);
                                  args.begin = std::max(begin, first) - first;
                                  args.end = std::min(end, first + count) - first;
                                  args.scratch = of_threads_ + thread * plan_.thread_floats;
                                  if (first + count > begin) plan_.attention(args);
                                  first += count;
                                }
                              });
}

}  // namespace rushlight::delegates::cpu
