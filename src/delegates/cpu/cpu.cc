// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

// The walk over a plan's steps.

#include "src/delegates/cpu/cpu.h"

#include <algorithm>
#include <cstring>

#include "src/delegates/cpu/plan.h"
#include "src/delegates/cpu/schema.h"
#include "src/kernels/packed/pack.h"

namespace rushlight::delegates::cpu {
namespace {

namespace fb = rushlight::fb::cpu;
using kernels::PackedMatrix;

// Floats of row operations that are not worth a second thread.
constexpr size_t kSerialFloats = 16 * 1024;
// Pieces for each thread, for those that come late.
constexpr size_t kPiecesPerThread = 4;

// Rows of floats in memory.
struct View {
  float* data;
  size_t stride;  // floats
  float* row(size_t i) const { return data + i * stride; }
};

// One call.
class Call {
 public:
  Call(Context& context, const Plan& plan, const DelegateRow& row)
      : context_(context), plan_(plan), source_(*plan.source), row_(row) {}

  Error Run() {
    RL_RETURN_IF_ERROR(CheckArguments());
    RL_RETURN_IF_ERROR(AllocateScratch());
    for (const fb::Step* step : *source_.steps()) RL_RETURN_IF_ERROR(RunStep(*step));
    return kOk;
  }

 private:
  Error CheckArguments();
  Error CheckOutputMemory(uint32_t index);
  Error CheckPositions();
  Error PrepareOutput(const fb::Argument& argument, uint32_t index);
  Error AllocateScratch();
  Error RunStep(const fb::Step& step);
  Error Embed(const fb::Embed& step);
  Error Matmul(const fb::Matmul& step);
  Error Attend(const fb::Attention& step);
  Error Rope(const fb::Rope& step);

  Tensor& tensor(uint32_t argument) const { return row_.args[argument].as_tensor(); }
  size_t CountOf(const fb::Rows& rows) const {
    const bool single = rows.is_argument() ? source_.arguments()->Get(rows.index())->single()
                                           : source_.buffers()->Get(rows.index())->single();
    return single ? 1 : m_;
  }
  View At(const fb::Rows& rows) const {
    if (rows.is_argument()) {
      return {tensor(rows.index()).mutable_data<float>() + rows.column(),
              source_.arguments()->Get(rows.index())->width()};
    }
    const fb::Buffer& b = *source_.buffers()->Get(rows.index());
    return {buffers_ + b.offset() * m_ + rows.column(), b.width()};
  }
  const float* Vector(int32_t index) const {
    return index < 0 ? nullptr : plan_.vectors[static_cast<size_t>(index)];
  }

  // body(row) for all rows of `width` floats.
  template <class F>
  Error ForRows(size_t count, size_t width, const F& body) {
    const size_t all = std::max<size_t>(kSerialFloats / std::max<size_t>(width, 1), 1);
    const size_t grain = count <= all ? count : Grain(count);
    return context_.ParallelFor(count, grain, [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) body(i);
    });
  }
  size_t Grain(size_t count) const {
    return context_.threads < 2 ? count
                                : kernels::DivideUp(count, context_.threads * kPiecesPerThread);
  }

  Context& context_;
  const Plan& plan_;
  const fb::Plan& source_;
  const DelegateRow& row_;
  size_t m_ = 0;         // rows
  size_t position_ = 0;  // of the first
  float* buffers_ = nullptr;
  int8_t* quantized_ = nullptr;
  float* scales_ = nullptr;
  int32_t* sums_ = nullptr;
  float* attention_ = nullptr;
};

Error Call::CheckArguments() {
  const auto& arguments = *source_.arguments();
  RL_CHECK(row_.args.count == arguments.size(), Reason::kDelegateArguments, Error::kNone,
           static_cast<int64_t>(row_.args.count), arguments.size());
  for (uint32_t i = 0; i < arguments.size(); ++i) {
    RL_CHECK(row_.args[i].is_tensor(), Reason::kDelegateArguments, i);
    const Tensor& t = tensor(i);
    const bool floats = arguments.Get(i)->kind() >= fb::ArgumentKind_ROWS_IN;
    RL_CHECK(t.dtype() == (floats ? DType::kFloat32 : DType::kInt64), Reason::kArgumentDType);
    RL_CHECK(t.IsContiguous(), Reason::kArgumentDimOrder);
    RL_CHECK(t.raw() != nullptr, Reason::kArgumentNull);
  }
  const fb::Argument& rows = *arguments.Get(source_.row_argument());
  const bool integers = rows.kind() < fb::ArgumentKind_ROWS_IN;
  m_ = tensor(source_.row_argument()).numel() / (integers ? 1 : rows.width());
  RL_CHECK(m_ <= plan_.max_rows, Reason::kArgumentSize, Error::kNone, static_cast<int64_t>(m_),
           static_cast<int64_t>(plan_.max_rows));
  RL_CHECK(m_ > 0, Reason::kArgumentSize);
  for (uint32_t i = 0; i < arguments.size(); ++i) {
    const fb::Argument& a = *arguments.Get(i);
    if (a.kind() == fb::ArgumentKind_ROWS_OUT) {
      RL_RETURN_IF_ERROR(PrepareOutput(a, i));
      continue;
    }
    const size_t width = a.kind() == fb::ArgumentKind_ROWS_IN ? a.width() : 1;
    RL_CHECK(tensor(i).numel() == (a.single() ? 1 : m_) * width, Reason::kArgumentSize,
             Error::kNone, static_cast<int64_t>(tensor(i).numel()),
             static_cast<int64_t>(m_ * width));
  }
  for (uint32_t i = 0; i < arguments.size(); ++i) {
    if (arguments.Get(i)->kind() == fb::ArgumentKind_ROWS_OUT) {
      RL_RETURN_IF_ERROR(CheckOutputMemory(i));
    }
  }
  return CheckPositions();
}

// What is written is nobody else's: tokens that were looked at stay as they are.
Error Call::CheckOutputMemory(uint32_t index) {
  RL_CHECK(!tensor(index).read_only(), Reason::kArgumentReadOnly);
  for (uint32_t i = 0; i < row_.args.count; ++i) {
    RL_CHECK(i == index || !Overlap(tensor(index), tensor(i)), Reason::kArgumentOverlap);
  }
  return kOk;
}

Error Call::CheckPositions() {
  if (source_.position_argument() < 0) return kOk;
  const int64_t* positions =
      tensor(static_cast<uint32_t>(source_.position_argument())).data<int64_t>();
  const int64_t first = positions[0];
  const int64_t limit = plan_.states.empty() ? INT32_MAX : static_cast<int64_t>(row_.capacity);
  RL_CHECK(first >= 0 && first <= limit - static_cast<int64_t>(m_), Reason::kIndexOutOfRange,
           Error::kNone, first, limit);
  for (size_t i = 1; i < m_; ++i) {
    RL_CHECK(positions[i] == first + static_cast<int64_t>(i), Reason::kArgumentValue, Error::kNone,
             positions[i], first + static_cast<int64_t>(i));
  }
  position_ = static_cast<size_t>(first);
  return kOk;
}

Error Call::PrepareOutput(const fb::Argument& argument, uint32_t index) {
  int32_t sizes[kMaxRank];
  size_t rank = 0, fixed = 1, flexible = kMaxRank;
  const size_t rows = argument.single() ? 1 : m_;
  if (argument.like() >= 0) {
    const auto like = static_cast<uint32_t>(argument.like());
    const Tensor& t = tensor(like);
    const bool floats = source_.arguments()->Get(like)->kind() == fb::ArgumentKind_ROWS_IN;
    const size_t leading = t.rank() - (floats && t.rank() > 0 ? 1 : 0);
    RL_CHECK(leading < kMaxRank && t.numel() > 0, Reason::kArgumentRank);
    for (; rank < leading; ++rank) sizes[rank] = t.size(rank);
    for (size_t d = 0; d < rank; ++d) fixed *= static_cast<size_t>(sizes[d]);
  } else if (argument.leading() != nullptr) {
    for (const int32_t size : *argument.leading()) {
      if (size == -1) {
        flexible = rank;
      } else {
        fixed *= static_cast<size_t>(size);
      }
      sizes[rank++] = size;
    }
  }
  RL_CHECK(fixed <= rows && rows % fixed == 0 && (flexible != kMaxRank || fixed == rows),
           Reason::kArgumentSize, Error::kNone, static_cast<int64_t>(rows));
  if (flexible != kMaxRank) sizes[flexible] = static_cast<int32_t>(rows / fixed);
  sizes[rank++] = static_cast<int32_t>(argument.width());
  return tensor(index).Resize({sizes, rank});
}

Error Call::AllocateScratch() {
  Arena& arena = context_.scratch;
  const size_t line = kernels::kLineBytes;
  buffers_ = static_cast<float*>(arena.Allocate(m_ * plan_.row_floats * sizeof(float), line));
  quantized_ = static_cast<int8_t*>(arena.Allocate(m_ * plan_.quantized_stride, line));
  scales_ = static_cast<float*>(arena.Allocate(m_ * plan_.quantized_groups * sizeof(float), line));
  sums_ =
      static_cast<int32_t*>(arena.Allocate(m_ * plan_.quantized_groups * sizeof(int32_t), line));
  attention_ = static_cast<float*>(
      arena.Allocate(plan_.threads * plan_.attention_floats * sizeof(float), line));
  RL_CHECK(buffers_ != nullptr && quantized_ != nullptr && scales_ != nullptr && sums_ != nullptr &&
               attention_ != nullptr,
           Reason::kScratchArena, Error::kNone, static_cast<int64_t>(ScratchBytes(plan_, m_)),
           static_cast<int64_t>(arena.capacity()));
  RL_CHECK(context_.threads <= plan_.threads, Reason::kBug);
  return kOk;
}

Error Call::RunStep(const fb::Step& step) {
  switch (step.operation_type()) {
    case fb::Operation_Embed:
      return Embed(*step.operation_as_Embed());
    case fb::Operation_Norm: {
      const fb::Norm& s = *step.operation_as_Norm();
      const View in = At(*s.input()), out = At(*s.out());
      const float* weight = Vector(s.weight());
      const float* bias = Vector(s.bias());
      return ForRows(CountOf(*s.out()), size_t{s.size()} * s.count(), [&](size_t i) {
        for (size_t c = 0; c < s.count(); ++c) {
          const float* x = in.row(i) + c * s.size();
          float* y = out.row(i) + c * s.size();
          if (s.kind() == fb::NormKind_RMS) {
            plan_.rows->rms_norm(x, weight, s.epsilon(), s.size(), y);
          } else {
            plan_.rows->layer_norm(x, weight, bias, s.epsilon(), s.size(), y);
          }
        }
      });
    }
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
      const View in = At(*s.input());
      const size_t rows = CountOf(*s.input());
      std::memcpy(At(*s.out()).data, in.row(rows - 1), s.size() * sizeof(float));
      return kOk;
    }
    case fb::Operation_Scale: {
      const fb::Scale& s = *step.operation_as_Scale();
      const View in = At(*s.input()), out = At(*s.out());
      return ForRows(CountOf(*s.out()), s.size(), [&](size_t i) {
        plan_.rows->widen(DType::kFloat32, in.row(i), s.factor(), s.size(), out.row(i));
      });
    }
    default:
      return Error(Reason::kBug);
  }
}

Error Call::Embed(const fb::Embed& step) {
  const PackedMatrix& w = plan_.matrices[step.matrix()];
  const int64_t* tokens = tensor(step.tokens()).data<int64_t>();
  for (size_t i = 0; i < m_; ++i) {
    RL_CHECK(tokens[i] >= 0 && static_cast<uint64_t>(tokens[i]) < w.n, Reason::kIndexOutOfRange,
             Error::kNone, tokens[i], static_cast<int64_t>(w.n));
  }
  const View out = At(*step.out());
  return ForRows(m_, w.k * 8, [&](size_t i) {
    kernels::DequantizeRow(w, static_cast<size_t>(tokens[i]), out.row(i));
  });
}

Error Call::Matmul(const fb::Matmul& step) {
  const PackedMatrix& w = plan_.matrices[step.matrix()];
  const size_t m = CountOf(*step.out());
  const View in = At(*step.input()), out = At(*step.out());
  kernels::MatmulOutput output{};
  output.data = out.data;
  output.stride = out.stride;
  output.columns = step.columns();
  output.epilogue.bias = Vector(step.bias());
  output.epilogue.activation = static_cast<kernels::Activation>(step.activation());
  output.epilogue.gated = step.gated();
  if (step.residual() != nullptr) {
    const View residual = At(*step.residual());
    output.epilogue.residual = residual.data;
    output.epilogue.residual_stride = residual.stride;
  }
  kernels::QuantizedRows rows{};
  const bool integers = kernels::IsInteger(w.format);
  if (integers) {
    const size_t stride = kernels::QuantizedStride(w.k), groups = kernels::GroupCount(w);
    rows = {quantized_, scales_, sums_};
    RL_RETURN_IF_ERROR(ForRows(m, w.k, [&](size_t i) {
      kernels::QuantizeArgs args{};
      args.x = in.row(i);
      args.stride = in.stride;
      args.m = 1;
      args.k = w.k;
      args.group = w.group;
      args.values = quantized_ + i * stride;
      args.scales = scales_ + i * groups;
      args.sums = sums_ + i * groups;
      plan_.integers->quantize(args);
    }));
  }
  const size_t unit = step.gated() ? 2 : 1;  // panels that belong together
  const size_t units = kernels::PanelCount(w) / unit;
  return context_.ParallelFor(units, Grain(units), [&](size_t begin, size_t end) {
    kernels::MatmulOutput part = output;
    part.begin = begin * unit;
    part.end = end * unit;
    if (integers) {
      const kernels::IntegerMatmulArgs args{w, rows, m, part};
      (w.format == kernels::PackedFormat::kU4 ? plan_.integers->matmul_u4
                                              : plan_.integers->matmul_u8)(args);
    } else {
      plan_.float_matmul({w, in.data, in.stride, m, part});
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
  RL_CHECK(position_ + m_ <= positions, Reason::kIndexOutOfRange, Error::kNone,
           static_cast<int64_t>(position_ + m_), static_cast<int64_t>(positions));
  const float* cos = Vector(step.cos()) + position_ * half;
  const float* sin = Vector(step.sin()) + position_ * half;
  return ForRows(m_, size_t{step.heads()} * step.size(), [&](size_t i) {
    kernels::RopeArgs args{};
    args.x = args.out = rows.row(i);
    args.cos = cos + i * half;
    args.sin = sin + i * half;
    args.heads = step.heads();
    args.size = step.size();
    args.rotary = step.rotary();
    args.kind = static_cast<kernels::Rope>(step.kind());
    plan_.rows->rope(args);
  });
}

Error Call::Attend(const fb::Attention& step) {
  const fb::Cache& c = *source_.caches()->Get(step.cache());
  kernels::KvCache cache{};
  cache.type = TypeOfCache(c.type());
  cache.keys = row_.state[2 * step.cache()];
  cache.values = row_.state[2 * step.cache() + 1];
  cache.kv_heads = c.heads();
  cache.capacity = row_.capacity;
  cache.key_size = c.key_size();
  cache.value_size = c.value_size();

  const View key = At(*step.key()), value = At(*step.value());
  kernels::AppendArgs append{};
  append.cache = cache;
  append.position = position_;
  append.m = m_;
  append.keys = key.data;
  append.keys_stride = key.stride;
  append.values = value.data;
  append.values_stride = value.stride;
  const size_t floats = m_ * cache.kv_heads * (cache.key_size + cache.value_size);
  RL_RETURN_IF_ERROR(context_.ParallelFor(
      cache.kv_heads, floats <= kSerialFloats ? cache.kv_heads : 1, [&](size_t begin, size_t end) {
        kernels::AppendArgs part = append;
        part.begin = begin;
        part.end = end;
        kernels::AppendToCache(part);
      }));

  const View query = At(*step.query()), out = At(*step.out());
  kernels::AttentionArgs args{};
  args.cache = cache;
  args.q = query.data;
  args.q_stride = query.stride;
  args.out = out.data;
  args.out_stride = out.stride;
  args.m = m_;
  args.heads = step.heads();
  args.length = position_ + m_;
  args.first_position = position_;
  args.causal = true;
  args.window = step.window();
  args.scale = step.scale();
  args.soft_cap = step.soft_cap();
  args.sinks = Vector(step.sinks());
  // A short cache is read faster than another thread comes.
  const size_t work = m_ * step.heads() * args.length * (cache.key_size + cache.value_size);
  const size_t items = kernels::AttentionItems(args);
  return context_.ParallelFor(items, work <= 4 * kSerialFloats ? items : 1,
                              [&](size_t thread, size_t begin, size_t end) {
                                kernels::AttentionArgs part = args;
                                part.begin = begin;
                                part.end = end;
                                part.scratch = attention_ + thread * plan_.attention_floats;
                                plan_.attention(part);
                              });
}

Result<const void*> Load(const PlanSource& source, Arena& arena) {
  Result<const Plan*> plan = LoadPlan(source, arena);
  if (!plan.ok()) return plan.error();
  return static_cast<const void*>(*plan);
}

PlanInfo Info(const void* opaque) {
  const Plan& plan = *static_cast<const Plan*>(opaque);
  return {ScratchBytes(plan, plan.max_rows), plan.states};
}

Error Run(Context& context, const void* plan, Span<const DelegateRow> rows) {
  for (const DelegateRow& row : rows) {
    const size_t mark = context.scratch.used();
    RL_RETURN_IF_ERROR(Call(context, *static_cast<const Plan*>(plan), row).Run());
    context.scratch.Release(mark);
  }
  return kOk;
}

}  // namespace

const Delegate kDelegate = {"RushlightCpu", Load, Info, Run};

}  // namespace rushlight::delegates::cpu
