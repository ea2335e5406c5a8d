// Copyright (c) The Rushlight authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "src/ops/elementwise.h"

#include <cstring>

#include "src/ops/loop_nest.h"

namespace rushlight::ops {
namespace {

// Slots of Prepared::loops.
constexpr size_t kCompute = 0;
constexpr size_t kInputCast = 1;  // and following
constexpr size_t kOutputCast = 5;

constexpr size_t kBlockBytes = 512;  // an operand's share of the stack
constexpr size_t kGrain = 1 << 14;   // elements worth a task

// How one input reaches the loop.
struct Source {
  const uint8_t* data = nullptr;
  size_t element_size = 0;         // as stored
  const Loop* cast = nullptr;
  int64_t stride = 1;
  size_t nest_operand = 0;
  bool constant = false;           // the same element everywhere: laid out once
  bool direct = false;             // usable where it lies
  alignas(8) uint8_t number[8];    // of a scalar, in the compute type
};

void StoreScalar(Scalar scalar, DType compute, void* out) {
  switch (compute) {
    case DType::kFloat32: {
      const auto v = static_cast<float>(scalar.to_double());
      std::memcpy(out, &v, sizeof v);
      break;
    }
    case DType::kFloat64: {
      const double v = scalar.to_double();
      std::memcpy(out, &v, sizeof v);
      break;
    }
    case DType::kInt32: {
      const auto v = static_cast<int32_t>(scalar.to_int());
      std::memcpy(out, &v, sizeof v);
      break;
    }
    default: {
      const int64_t v = scalar.to_int();
      std::memcpy(out, &v, sizeof v);
      break;
    }
  }
}

// Lays n elements of a source out in the compute type, contiguously.
void LayOut(const Source& s, const uint8_t* from, size_t n, uint8_t* block) {
  if (s.cast != nullptr) {
    const kernels::CastArgs args{block, from, n, s.stride};
    s.cast->fn(&args);
  } else {
    kernels::Gather(block, from, n, s.stride, s.element_size);
  }
}

}  // namespace

DType ComputeType(DType common) {
  switch (common) {
    case DType::kFloat64:
      return DType::kFloat64;
    case DType::kInt64:
    case DType::kUInt32:
    case DType::kUInt64:
      return DType::kInt64;
    default:
      return IsFloating(common) ? DType::kFloat32 : DType::kInt32;
  }
}

DType CommonType(std::initializer_list<Operand> operands) {
  constexpr auto kUndefined = static_cast<DType>(-1);
  DType by_rank[3] = {kUndefined, kUndefined, kUndefined};  // with dimensions, without, numbers
  for (const Operand& o : operands) {
    DType& t = by_rank[o.tensor() == nullptr ? 2 : o.tensor()->rank() == 0 ? 1 : 0];
    t = t == kUndefined ? o.dtype() : PromoteTypes(t, o.dtype());
  }
  DType result = by_rank[0];
  for (const DType lower : {by_rank[1], by_rank[2]}) {
    if (lower == kUndefined) continue;
    if (result == kUndefined) {
      result = lower;
    } else if (!IsFloating(result) && (result == DType::kBool || IsFloating(lower))) {
      result = PromoteTypes(result, lower);
    }
  }
  return result;
}

Error PrepareMap(PrepareContext& c, std::initializer_list<Operand> inputs, DType common,
                 DType result, const Tensor& out) {
  const DType compute = ComputeType(common);
  const DType produced = result == kSameType ? compute : result;
  RL_RETURN_IF_ERROR(c.UseLoop(kCompute, compute, produced));
  size_t i = 0;
  for (const Operand& input : inputs) {
    if (input.tensor() != nullptr && input.dtype() != compute) {
      RL_RETURN_IF_ERROR(c.UseCast(kInputCast + i, input.dtype(), compute));
    }
    ++i;
  }
  if (out.dtype() != produced) {
    RL_CHECK(!IsFloating(produced) || IsFloating(out.dtype()), Reason::kArgumentDType,
             Error::kNone, static_cast<int64_t>(out.dtype()), static_cast<int64_t>(produced));
    RL_RETURN_IF_ERROR(c.UseCast(kOutputCast, produced, out.dtype()));
  }
  return kOk;
}

Error BroadcastShape(std::initializer_list<Operand> inputs, Shape* shape) {
  shape->rank = 0;
  for (const Operand& input : inputs) {
    if (input.tensor() != nullptr && input.tensor()->rank() > shape->rank) {
      shape->rank = input.tensor()->rank();
    }
  }
  for (size_t d = 0; d < shape->rank; ++d) shape->sizes[d] = 1;
  size_t i = 0;
  for (const Operand& input : inputs) {
    const Tensor* t = input.tensor();
    for (size_t d = 0; t != nullptr && d < t->rank(); ++d) {
      int32_t& size = shape->sizes[shape->rank - t->rank() + d];
      if (size == 1) {
        size = t->size(d);
      } else if (t->size(d) != 1 && t->size(d) != size) {
        return Error(Reason::kBroadcast, Error::kNone, t->size(d), size).WithArgument(i);
      }
    }
    ++i;
  }
  return kOk;
}

Error RunMap(RunContext& c, std::initializer_list<Operand> inputs, Tensor& out) {
  Shape shape;
  RL_RETURN_IF_ERROR(BroadcastShape(inputs, &shape));
  RL_RETURN_IF_ERROR(out.Resize(shape.span()));
  if (out.numel() == 0) return kOk;

  const Loop& loop = c.loop(kCompute);
  const size_t compute_size = ElementSize(loop.in);
  const size_t result_size = ElementSize(loop.out);
  const size_t out_size = ElementSize(out.dtype());
  const Loop* out_cast = c.has_loop(kOutputCast) ? &c.loop(kOutputCast) : nullptr;

  LoopNest nest(out);
  Source sources[kernels::kMaxMapInputs];
  size_t count = 0;
  size_t nest_operands = 0;
  for (const Operand& input : inputs) {
    Source& s = sources[count];
    const Tensor* t = input.tensor();
    if (t == nullptr || t->numel() == 1) {
      s.constant = true;
      s.stride = 0;
    } else {
      RL_RETURN_IF_ERROR(nest.AddBroadcast(*t));
      s.nest_operand = nest_operands++;
    }
    if (t == nullptr) {
      StoreScalar(input.scalar(), loop.in, s.number);
      s.data = s.number;
      s.element_size = compute_size;
    } else {
      s.data = t->data<uint8_t>();
      s.element_size = ElementSize(t->dtype());
      if (c.has_loop(kInputCast + count)) s.cast = &c.loop(kInputCast + count);
    }
    ++count;
  }
  nest.Finish();
  bool all_direct = out_cast == nullptr;
  for (size_t i = 0; i < count; ++i) {
    Source& s = sources[i];
    if (!s.constant) s.stride = nest.inner_stride(s.nest_operand);
    s.direct = s.cast == nullptr && s.stride == 1;
    all_direct &= s.direct;
  }

  auto* const out_data = out.mutable_data<uint8_t>();
  return c.context.ParallelFor(out.numel(), kGrain, [&](size_t begin, size_t end) {
    alignas(16) uint8_t blocks[kernels::kMaxMapInputs + 1][kBlockBytes];
    const size_t widest = compute_size > result_size ? compute_size : result_size;
    const size_t block = all_direct ? end - begin : kBlockBytes / widest;
    kernels::MapArgs args;
    for (size_t i = 0; i < count; ++i) {
      if (!sources[i].constant) continue;
      LayOut(sources[i], sources[i].data, end - begin < block ? end - begin : block, blocks[i]);
      args.in[i] = blocks[i];
    }
    nest.ForEachRun(begin, end, [&](size_t position, const int64_t* offsets, size_t n) {
      for (size_t done = 0; done < n; done += args.n) {
        args.n = n - done < block ? n - done : block;
        for (size_t i = 0; i < count; ++i) {
          const Source& s = sources[i];
          if (s.constant) continue;
          const int64_t element = offsets[s.nest_operand] + static_cast<int64_t>(done) * s.stride;
          const uint8_t* from = s.data + element * static_cast<int64_t>(s.element_size);
          if (s.direct) {
            args.in[i] = from;
          } else {
            LayOut(s, from, args.n, blocks[i]);
            args.in[i] = blocks[i];
          }
        }
        uint8_t* to = out_data + (position + done) * out_size;
        args.out = out_cast == nullptr ? to : blocks[kernels::kMaxMapInputs];
        loop.fn(&args);
        if (out_cast != nullptr) {
          const kernels::CastArgs cast{to, args.out, args.n, 1};
          out_cast->fn(&cast);
        }
      }
    });
  });
}

}  // namespace rushlight::ops
